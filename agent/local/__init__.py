"""The built-in model: find, download, verify, serve."""

from agent.local.download import Progress, pull
from agent.local.models import DEFAULT_MODEL, MODELS, ModelFile, find, model_named, models_dir, own_file
from agent.local.server import LocalServer, serve

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "LocalServer",
    "ModelFile",
    "Progress",
    "find",
    "model_named",
    "models_dir",
    "own_file",
    "pull",
    "serve",
]
