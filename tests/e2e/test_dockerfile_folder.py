"""`r2d dockerfile OUTDIR`: a folder that the engines' own command lines build."""

import os
import subprocess
from pathlib import Path

import pytest

from r2d.engines.podman_service import containers_conf, read_machine
from tests.e2e.machine import Machine
from tests.golden.corpus import ROOT, read_example

EXAMPLE = read_example(ROOT / "examples/binder-folder")


@pytest.fixture
def written(docker: Machine, tmp_path: Path) -> Path:
    """The folder, and in it everything a build needs."""
    into = tmp_path / "out"
    docker.r2d("dockerfile", EXAMPLE.folder, into, check=True)
    return into


def _docker() -> str:
    """A docker whose build is BuildKit's: the distribution's own has it without a plugin."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def test_plain_docker_build_takes_it(docker: Machine, written: Path) -> None:
    name = docker.new_name()
    built = subprocess.run(
        [_docker(), "build", "--quiet", "-t", name, str(written)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert EXAMPLE.output in docker.tell(name, *EXAMPLE.command)


def test_podman_build_takes_it(podman: Machine, written: Path, tmp_path: Path) -> None:
    name = podman.new_name()
    settings = tmp_path / "containers.conf"
    settings.write_text(containers_conf(read_machine(os.environ)))
    built = subprocess.run(
        ["podman", "build", "--format", "docker", "--layers", "-t", name, str(written)],
        env={"CONTAINERS_CONF": str(settings), **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert EXAMPLE.output in podman.tell(f"localhost/{name}", *EXAMPLE.command)


def test_it_is_the_folder_r2d_itself_builds_from(docker: Machine, written: Path) -> None:
    printed = docker.r2d("dockerfile", EXAMPLE.folder, "-", check=True).stdout
    assert (written / "Dockerfile").read_text() == printed
    assert (written / "src/binder/apt.txt").read_bytes() == (EXAMPLE.folder / "binder/apt.txt").read_bytes()


def test_a_folder_with_something_in_it_is_left_alone(docker: Machine, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("two years of work")
    done = docker.r2d("dockerfile", EXAMPLE.folder, tmp_path)
    assert done.returncode == 33
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
