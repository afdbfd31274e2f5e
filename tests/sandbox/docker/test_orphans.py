"""Containers without a living owner are found, and no others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from sandbox.docker import connect, default_image, find_orphans, remove_container
from sandbox.docker.orphans import LABEL, OWNER, gone_owner, own_label


def test_a_living_owner_is_not_gone() -> None:
    assert gone_owner(own_label()) is None


def test_a_dead_owner_is_gone() -> None:
    script = "from sandbox.docker.orphans import own_label; print(own_label())"
    label = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert gone_owner(label) == int(label.split("/")[-2])


def test_a_process_that_took_over_the_number_is_not_the_owner() -> None:
    machine, pid, ticks = own_label().rsplit("/", 2)
    assert int(pid) == os.getpid()
    assert gone_owner(f"{machine}/{pid}/{int(ticks) - 1}") == os.getpid()


@pytest.mark.parametrize("owner", ["", "elsewhere/1/1"])
def test_an_owner_on_another_machine_is_left_alone(owner: str) -> None:
    assert gone_owner(owner) is None


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with closing(connect()) as client:
        yield client


@pytest.mark.docker
def test_a_container_that_was_never_started_is_found_and_removed(client: docker.DockerClient) -> None:
    machine, _, _ = own_label().rsplit("/", 2)
    labels = {LABEL: "1", OWNER: f"{machine}/4194304/1"}
    created = client.api.create_container(default_image(), command=["true"], labels=labels)["Id"]
    assert [orphan.status for orphan in find_orphans(client) if orphan.id == created] == ["created"]
    remove_container(client, created)
    assert created not in [orphan.id for orphan in find_orphans(client)]
