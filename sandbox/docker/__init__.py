"""Sandboxes on a Docker engine. The only package that imports docker."""

from sandbox.docker.added import lock_in
from sandbox.docker.diagnosis import check_engine
from sandbox.docker.engine import connect
from sandbox.docker.image import (
    ImageInfo,
    build_image,
    default_image,
    find_image,
    list_images,
    remove_image,
    require_image,
)
from sandbox.docker.launcher import DockerLauncher
from sandbox.docker.orphans import Orphan, find_orphans
from sandbox.docker.removal import remove_container

__all__ = [
    "DockerLauncher",
    "ImageInfo",
    "Orphan",
    "build_image",
    "check_engine",
    "connect",
    "default_image",
    "find_image",
    "find_orphans",
    "list_images",
    "lock_in",
    "remove_container",
    "remove_image",
    "require_image",
]
