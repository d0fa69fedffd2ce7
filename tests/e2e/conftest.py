"""The machines that the stories happen on."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from r2d.engines.find import open_embedded, open_engine
from r2d.engines.protocol import Engine
from r2d.testing import repository_with
from tests.e2e.machine import R2D, Machine
from tests.golden.corpus import ROOT

BASE = "localhost/r2d-base:debian-trixie"


def _open(name: str) -> Engine:
    if name == "docker":
        return open_engine("docker", environ=os.environ)
    podman = shutil.which("podman")
    if podman is None:
        pytest.fail("These tests need Podman: install the package podman.")
    return open_embedded(podman, os.environ)


@contextmanager
def _machine(name: str) -> Iterator[Machine]:
    # A short path: sockets live in it.
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        machine = Machine(name, _open(name), BASE, Path(folder))
        try:
            if machine.engine.find(BASE) is None:
                machine.r2d("base", "create", "--progress", "plain", "debian:trixie", check=True)
            yield machine
        finally:
            machine.sweep()


@pytest.fixture(scope="session")
def docker() -> Iterator[Machine]:
    """A machine with Docker."""
    with _machine("docker") as machine:
        yield machine


@pytest.fixture(scope="session")
def podman() -> Iterator[Machine]:
    """A machine on which r2d starts Podman's service itself."""
    with _machine("podman") as machine:
        yield machine


@pytest.fixture(params=["docker", "podman"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each of the machines in turn."""
    found: Machine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def settings_of(request: pytest.FixtureRequest) -> Callable[[Machine, str], None]:
    """Adds lines to the r2d.toml of a machine for one test."""

    def add(machine: Machine, lines: str) -> None:
        before = machine.settings.read_text()
        request.addfinalizer(lambda: machine.settings.write_text(before))
        machine.settings.write_text(f"{before}\n{lines}")

    return add


@pytest.fixture
def folder_with(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Makes the folder of a repository from a mapping; a script is executable."""

    def make(files: Mapping[str, str | bytes], name: str = "repository") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        repository_with(folder, files)
        return folder

    return make


@pytest.fixture(scope="session")
def example() -> Callable[[str], Path]:
    """The folder of an example."""
    return lambda name: ROOT / "examples" / name


@pytest.fixture
def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


@pytest.fixture
def folder_of_git(tmp_path: Path) -> Path:
    """A git repository with the plain example in it."""
    folder = tmp_path / "repository-of-git"
    shutil.copytree(ROOT / "examples/plain", folder)
    author = ["-c", "user.name=A Test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "-m", "A notebook"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _r2d_is_installed() -> None:
    if not R2D.exists():
        pytest.fail(f"There is no {R2D}: install this project into the environment of the tests.")
