"""Ctrl-C and SIGTERM at different moments: the right exit code, and nothing of ours is left."""

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.machine import Machine
from tests.golden.corpus import ROOT

FolderWith = Callable[[Mapping[str, str | bytes]], Path]
EXAMPLE = ROOT / "examples/plain"

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])


@pytest.fixture
def leaves_nothing(machine: Machine) -> Iterator[None]:
    """After the test the machine holds the containers and the temporary files it held before."""
    before = {each.id for each in machine.client.containers.list(all=True, filters={"label": "r2d.run"})}
    yield
    after = {each.id for each in machine.client.containers.list(all=True, filters={"label": "r2d.run"})}
    assert after - before == set()
    assert machine.left_behind() == []


@each_signal
def test_while_a_step_of_the_build_runs(
    machine: Machine, folder_with: FolderWith, leaves_nothing: None, number: signal.Signals
) -> None:
    folder = folder_with({"postBuild": "#!/bin/sh\necho now-it-is-long\nsleep 120\n"})
    name = machine.new_name()
    with machine.starting("build", "-t", name, folder) as running:
        running.until("step_output", lambda said: "now-it-is-long" in said["text"])
        assert running.ended_by(number) == 128 + number
    assert machine.engine.find(name) is None
    assert not _sleeps("120")


@each_signal
def test_while_the_server_starts(machine: Machine, leaves_nothing: None, number: signal.Signals) -> None:
    name = (
        machine.build(EXAMPLE) if machine.name == "docker" else machine.build(ROOT / "examples/requirements")
    )
    folder = EXAMPLE if machine.name == "docker" else ROOT / "examples/requirements"
    with machine.starting("run", "-t", name, folder) as running:
        container = running.until("container_started")["id"]
        assert running.ended_by(number) == 128 + number
    told = [said["event"] for said in running.events]
    assert "server_ready" not in told[told.index("container_stopping") :]
    assert not machine.has_container(container)


@each_signal
def test_while_a_command_runs(docker: Machine, number: signal.Signals) -> None:
    line = "trap 'echo saved; exit 0' TERM; echo at work; while :; do sleep 0.1; done"
    with docker.starting("run", "-t", docker.build(EXAMPLE), EXAMPLE, "bash", "-c", line) as running:
        container = running.until("container_started")["id"]
        running.until("container_output", lambda said: "at work" in said["text"])
        assert running.ended_by(number) == 128 + number
    assert not docker.has_container(container)


def test_twice_while_the_server_starts(docker: Machine) -> None:
    with docker.starting("run", "-t", docker.build(EXAMPLE), EXAMPLE) as running:
        container = running.until("container_started")["id"]
        running.process.send_signal(signal.SIGINT)
        running.until("container_stopping")
        code = running.ended_by(signal.SIGINT)
    assert code == 130
    assert not docker.has_container(container)


def _sleeps(seconds: str) -> bool:
    wanted = f"sleep\0{seconds}\0".encode()
    return any(_command_line(file) == wanted for file in Path("/proc").glob("[0-9]*/cmdline"))


def _command_line(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
