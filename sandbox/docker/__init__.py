"""Sandboxes on a Docker engine. The only package that imports docker."""

from sandbox.docker.engine import connect
from sandbox.docker.image import (
    ImageInfo,
    build_image,
    default_image,
    find_image,
    list_images,
    require_image,
)
from sandbox.docker.launcher import DockerLauncher

__all__ = [
    "DockerLauncher",
    "ImageInfo",
    "build_image",
    "connect",
    "default_image",
    "find_image",
    "list_images",
    "require_image",
]
