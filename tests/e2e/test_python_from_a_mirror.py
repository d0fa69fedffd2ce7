"""A Python that the base image does not have, from a mirror of standalone builds.

The pinned builds cannot be fetched everywhere tests run. A CPython made here stands in for one: r2d itself must
refuse it, for its checksum is not the pinned one; a folder of `r2d dockerfile` with that checksum builds with it.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from r2d_buildpacks.python.standalone import downloads_json
from r2d_buildpacks.python.update_pins import MIRRORED_PREFIX
from tests.e2e.machine import Machine
from tests.e2e.test_build_every_example import does_what_it_promises
from tests.golden.corpus import ROOT, read_example
from tests.relocatable_python import host_minor, make_standalone, mirror_of, serve

EXAMPLE = read_example(ROOT / "examples/python-version")


@dataclass(frozen=True)
class Mirror:
    """A place that has standalone Pythons, and how uv is told what to find there."""

    address: str
    downloads: bytes


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    minor = EXAMPLE.python
    assert minor == host_minor(), (
        f"The stand-in is made of this machine's packages, which are of {host_minor()}."
    )
    packed = make_standalone(minor, tmp_path_factory.mktemp("python"))
    folder = tmp_path_factory.mktemp("mirror")
    downloads = mirror_of(packed, downloads_json(minor, "linux/amd64"), folder, MIRRORED_PREFIX)
    with serve(folder) as address:
        yield Mirror(address, downloads)


@pytest.fixture
def _mirrored(docker: Machine, mirror: Mirror, settings_of: Callable[[Machine, str], None]) -> None:
    settings_of(docker, f'[origins]\nstandalone_pythons = "{mirror.address}"\n')


@pytest.mark.usefixtures("_mirrored")
def test_a_python_that_is_not_the_pinned_one_is_refused(docker: Machine) -> None:
    done = docker.r2d("build", "--progress", "plain", "--host-network", EXAMPLE.folder)
    assert done.returncode == 30
    assert "hash mismatch" in done.stderr.lower()


@pytest.mark.usefixtures("_mirrored")
def test_the_pinned_python_is_fetched_from_the_mirror(
    docker: Machine, mirror: Mirror, tmp_path: Path
) -> None:
    into = tmp_path / "out"
    docker.r2d("dockerfile", EXAMPLE.folder, into, check=True)
    (listed,) = into.glob("r2d/jupyter-*/pythons.json")
    listed.write_bytes(mirror.downloads)
    name = docker.new_name()
    built = subprocess.run(
        ["/usr/bin/docker", "build", "--network", "host", "--quiet", "-t", name, str(into)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    does_what_it_promises(docker, name, EXAMPLE)
    assert mirror.address not in docker.tell(name, "bash", "-c", "env")
