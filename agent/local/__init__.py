"""The built-in model: find, download, verify, serve."""

from agent.local.download import Progress, pull
from agent.local.models import DEFAULT_MODEL, MODELS, ModelFile, file_to_serve, find, model_named, models_dir, own_file
from agent.local.served import announced, in_use, until_idle
from agent.local.server import LocalServer, serve

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "LocalServer",
    "ModelFile",
    "Progress",
    "announced",
    "file_to_serve",
    "find",
    "in_use",
    "model_named",
    "models_dir",
    "own_file",
    "pull",
    "serve",
    "until_idle",
]
