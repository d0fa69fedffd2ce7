"""What is built again after a change, and what is not."""

import shutil
import uuid
from pathlib import Path

import pytest

from r2d.engines.protocol import BuildRequest
from r2d.events import ignore
from tests.e2e.machine import Machine, Said, step_named, steps
from tests.engines.conftest import context_of
from tests.golden.corpus import ROOT

SERVER = "and the Jupyter server"
DEPENDENCIES = "Install the packages of requirements.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of an example that a test may change."""
    copied = tmp_path / "requirements"
    shutil.copytree(ROOT / "examples/requirements", copied)
    return copied


def new_word() -> str:
    """A word that no build has seen: engines remember those of earlier days."""
    return uuid.uuid4().hex[:8]


def event_names(events: list[Said]) -> set[str]:
    return {event["event"] for event in events}


def test_after_a_new_notebook_only_the_repository_is_copied(docker: Machine, folder: Path) -> None:
    name = docker.new_name()
    docker.build_events("-t", name, folder)
    written = (folder / "index.ipynb").read_text()
    (folder / "second.ipynb").write_text(written.replace("cell-1", new_word()))
    events = docker.build_events("-t", name, folder)
    assert step_named(events, SERVER)
    assert step_named(events, DEPENDENCIES)
    assert not step_named(events, "Copy the repository")


def test_a_comment_in_requirements_txt_installs_nothing_again(docker: Machine, folder: Path) -> None:
    name = docker.new_name()
    docker.build_events("-t", name, folder)
    before = docker.image(name).layers
    listed = folder / "requirements.txt"
    listed.write_text(f"# Another remark: {new_word()}.\n{listed.read_text()}")
    assert step_named(docker.build_events("-t", name, folder), DEPENDENCIES)
    after = docker.image(name).layers
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == 1


def test_another_package_installs_the_packages_and_not_the_server(docker: Machine, folder: Path) -> None:
    name = docker.new_name()
    docker.build_events("-t", name, folder)
    listed = folder / "requirements.txt"
    never_asked_for_before = f"cowsay>=6,!={int(new_word(), 16)}"
    listed.write_text(f"{listed.read_text()}{never_asked_for_before}\n")
    events = docker.build_events("-t", name, folder)
    assert step_named(events, SERVER)
    assert not step_named(events, DEPENDENCIES)


def test_without_a_change_nothing_is_built(machine: Machine, folder: Path) -> None:
    name = machine.new_name()
    machine.build_events("-t", name, folder)
    before = machine.image(name).id
    names = event_names(machine.build_events("-t", name, folder))
    assert "image_reused" in names
    assert not {"build_started", "step_started"} & names
    assert machine.image(name).id == before


@pytest.fixture(scope="module")
def base_of_its_own(docker: Machine) -> str:
    """A base nothing was built on yet, so that no earlier build's layers can be taken."""
    name = docker.new_name()
    context = context_of(f"FROM {docker.base}\nCOPY made-for /etc/\n", {"made-for": name.encode()})
    docker.engine.build(BuildRequest(tag=name, context=context), ignore)
    return name


def test_two_repositories_on_one_base_share_the_servers_layer_until_one_is_rebuilt(
    docker: Machine, base_of_its_own: str
) -> None:
    plain, on_it = ROOT / "examples/plain", ("--base-image", base_of_its_own)
    name = docker.new_name()
    docker.build_events("-t", name, *on_it, plain)
    other = docker.image(docker.build(ROOT / "examples/requirements", *on_it)).layers
    mine = docker.image(name).layers
    # The base's own, the user and folders, four files, the server.
    assert shared(mine, other) == len(docker.image(base_of_its_own).layers) + 6

    again = steps(docker.build_events("-t", name, *on_it, "--rebuild", plain))
    ours = {step: cached for step, cached in again.items() if SERVER in step or step.startswith("Place")}
    assert len(ours) == 5
    assert not any(ours.values())


def shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many layers two images have in common, from the bottom up."""
    return [a == b for a, b in zip(one, other, strict=False)].count(True)


def test_a_change_on_podman_builds_only_what_it_touches(podman: Machine, folder: Path) -> None:
    name = podman.new_name()
    podman.build_events("-t", name, folder)
    before = podman.image(name).layers
    (folder / "notes.md").write_text(f"A remark: {new_word()}.\n")
    events = podman.build_events("-t", name, folder)
    assert step_named(events, DEPENDENCIES)
    after = podman.image(name).layers
    assert [a == b for a, b in zip(before, after, strict=False)].count(False) == 1
