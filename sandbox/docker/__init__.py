"""Sandboxes on a Docker engine. The only package that imports docker."""

from sandbox.docker.launcher import DockerLauncher

__all__ = ["DockerLauncher"]
