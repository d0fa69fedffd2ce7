"""What `r2d doctor --repair` would install, and what it leaves alone."""

import os
from pathlib import Path

import pytest

from r2d.cli import repair
from r2d.cli.repair import Repair, podman_packages
from r2d.configuration import load
from r2d.engines.find import START_DOCKER
from r2d.errors import EngineAbsent, ToolMissing
from r2d.events import ignore


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions the user was asked; the answer is always no."""
    monkeypatch.setattr(
        repair.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return []


def repairing(asked: list[str], engine: str | None = None) -> Repair:
    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    return Repair(load(None, None, None, {"engine": engine}), {}, ignore, refuse)


def test_what_another_package_has_brought_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert podman_packages({"runc": "/usr/bin/runc", "newuidmap": "/usr/bin/newuidmap"}.get) == (
        "podman",
        "slirp4netns",
        "fuse-overlayfs",
    )


def test_root_needs_podman_and_its_runtime_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert podman_packages(lambda _name: None) == ("podman", "runc")


def test_installing_podman_removes_nothing_and_gives_its_reason(asked: list[str]) -> None:
    with pytest.raises(ToolMissing):
        repairing(asked)._provide_engine(EngineAbsent("No container engine answers.", fix="Install one."))
    (question,) = asked
    assert question.startswith("No container engine answers.")
    assert "--no-remove podman runc" in question


def test_a_docker_that_does_not_run_is_started_where_systemd_can(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _path: True)
    with pytest.raises(ToolMissing) as caught:
        repairing(asked)._provide_engine(EngineAbsent("Nothing answers.", fix=START_DOCKER))
    assert caught.value.fix == "systemctl start docker"


def test_podman_beside_a_docker_that_cannot_be_started_is_said(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _path: False)
    with pytest.raises(ToolMissing):
        repairing(asked)._provide_engine(EngineAbsent("Nothing answers.", fix=START_DOCKER))
    assert asked[0].startswith("Docker is installed and does not answer.")


def test_an_engine_that_was_named_is_not_replaced(asked: list[str]) -> None:
    named = EngineAbsent("Nothing answers.", where="DOCKER_HOST", fix="Start it.")
    with pytest.raises(EngineAbsent):
        repairing(asked)._provide_engine(named)
    with pytest.raises(EngineAbsent):
        repairing(asked, "docker")._provide_engine(EngineAbsent("Docker does not answer.", fix="Install it."))
    assert asked == []
