"""The connection to an engine when things go wrong on it, against a small server and against Podman's service."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r2d.engines.engine_api import EngineApi
from r2d.engines.protocol import BuildRequest
from r2d.errors import (
    BuildFailed,
    EngineAbsent,
    EngineDied,
    EngineFailed,
    EngineOutOfDisk,
    EngineTooOld,
)
from r2d.events import Event, StepOutput, ignore
from tests.engines.conftest import Bench, context_of
from tests.engines.speaking import DOCKER, PODMAN, Asked, speaking_engine

GIGABYTE = 1 << 30


def zeros(size: int) -> Callable[[], Iterator[bytes]]:
    piece = bytes(1 << 20)
    return lambda: (piece for _ in range(size // len(piece)))


def build_against(
    tmp_path: Path, respond: Callable[[Asked], None], context: Callable[[], Iterator[bytes]] | None = None
) -> None:
    with speaking_engine(tmp_path / "s", respond) as address, EngineApi(address) as engine:
        engine.build(BuildRequest("x", context or zeros(1 << 20)), ignore)


def test_an_error_that_comes_while_the_context_is_sent_reaches_the_user(tmp_path: Path) -> None:
    def fail_early(asked: Asked) -> None:
        asked.rfile.read(1000)
        asked.start_stream()
        asked.say({"error": "dockerfile parse error line 2: unknown instruction: RUM"})
        asked.end_stream()
        asked.close_connection = True

    with pytest.raises(BuildFailed, match="unknown instruction: RUM"):
        build_against(tmp_path, fail_early, zeros(GIGABYTE // 16))


def test_an_engine_that_dies_in_the_middle_of_a_build_is_named(tmp_path: Path) -> None:
    def die(asked: Asked) -> None:
        asked.swallow()
        asked.start_stream()
        asked.say({"stream": "a beginning"})
        asked.close_connection = True

    with pytest.raises(EngineDied) as caught:
        build_against(tmp_path, die)
    assert str(tmp_path) in caught.value.problem
    assert caught.value.fix


def test_an_engine_that_dies_while_the_context_is_sent_is_named(tmp_path: Path) -> None:
    def die(asked: Asked) -> None:
        asked.rfile.read(1000)
        asked.close_connection = True

    with pytest.raises(EngineDied):
        build_against(tmp_path, die, zeros(GIGABYTE // 16))


def test_an_answer_that_ends_without_an_image_is_no_success(tmp_path: Path) -> None:
    def end(asked: Asked) -> None:
        asked.swallow()
        asked.start_stream()
        asked.end_stream()

    with pytest.raises(EngineDied, match="before the image was made"):
        build_against(tmp_path, end)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    def fail(asked: Asked) -> None:
        asked.swallow()
        asked.answer({"message": "write /var/lib/docker/tmp/x: no space left on device"}, 500)

    with pytest.raises(EngineOutOfDisk):
        build_against(tmp_path, fail)


def test_an_answer_that_is_no_json_is_told(tmp_path: Path) -> None:
    def babble(asked: Asked) -> None:
        asked.swallow()
        asked.start_stream()
        asked.wfile.write(b"4\r\n<p>\n\r\n")
        asked.end_stream()

    with pytest.raises(EngineFailed, match="<p>"):
        build_against(tmp_path, babble)


def test_a_context_of_two_gigabytes_passes_in_constant_memory(tmp_path: Path) -> None:
    sizes: list[int] = []

    def swallow(asked: Asked) -> None:
        sizes.append(asked.swallow())
        asked.answer({"message": "enough"}, 500)

    # In a process of its own, as the server is no part of what is measured.
    program = """
import resource, sys
from r2d.engines.engine_api import EngineApi
from r2d.engines.protocol import BuildRequest
from r2d.errors import BuildFailed
piece = bytes(1 << 20)
engine = EngineApi(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    engine.build(BuildRequest("x", lambda: (piece for _ in range(2048))), lambda _: None)
except BuildFailed as error:
    assert "enough" in error.problem
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with speaking_engine(tmp_path / "s", swallow) as address:
        done = subprocess.run(
            [sys.executable, "-c", program, address],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    assert sizes == [2 * GIGABYTE]
    assert int(done.stdout) < 100 * 1024  # KiB


def test_nothing_at_the_address_is_told_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(EngineAbsent) as caught:
        EngineApi(f"unix://{tmp_path}/none")
    assert "No such file" in caught.value.problem
    assert caught.value.fix


def test_a_socket_without_permission_is_a_refusal(tmp_path: Path) -> None:
    # Root passes every permission bit: the refusal is asked for from a process that has given up being root.
    program = """
import os, sys
import docker, urllib3
from r2d.engines.engine_api import EngineApi
from r2d.errors import EngineRefused
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    EngineApi(sys.argv[1])
except EngineRefused as error:
    print(error.fix)
"""
    with speaking_engine(tmp_path / "s") as address:
        (tmp_path / "s").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", program, address],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)},
        )
    assert "usermod" in done.stdout


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (DOCKER | {"ApiVersion": "1.40", "Version": "19.03.15"}, "20.10"),
        (DOCKER | {"ApiVersion": "1.12", "Version": "1.0"}, "1.24"),
        (PODMAN | {"Version": "3.4.4", "ApiVersion": "1.40"}, "version 4"),
        (DOCKER | {"Os": "windows"}, "windows"),
    ],
)
def test_an_engine_that_cannot_build_is_refused_before_the_build(
    tmp_path: Path, version: dict[str, object], words: str
) -> None:
    with (
        speaking_engine(tmp_path / "s", version=version) as address,
        pytest.raises(EngineTooOld, match=words),
    ):
        EngineApi(address)


def test_something_else_at_the_address_is_told(tmp_path: Path) -> None:
    with (
        speaking_engine(tmp_path / "s", version={"hello": "world"}) as address,
        pytest.raises(EngineAbsent, match="no container engine"),
    ):
        EngineApi(address)


def remove_what_a_killed_build_leaves(base: str) -> None:
    """A service that is killed cannot clean up; its working container would hold the base image."""
    listing = ["podman", "ps", "--all", "--external", "--format", "{{.ID}} {{.Image}} {{.Command}}"]
    for line in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines():
        if base in line and "buildah" in line:
            subprocess.run(["podman", "rm", "--force", line.split()[0]], capture_output=True, check=True)


@pytest.mark.parametrize("shared_engine", ["podman"], indirect=True)
def test_podmans_service_that_is_killed_in_the_middle_of_a_build_is_named(bench: Bench, marker: str) -> None:
    from r2d.engines.find import open_embedded

    def kill_the_service(event: Event) -> None:
        if isinstance(event, StepOutput):
            path = engine.facts.address.removeprefix("unix://")
            for line in subprocess.run(
                ["pgrep", "-f", f"^[^ ]*podman system service .*{path}"], capture_output=True, text=True
            ).stdout.split():
                os.kill(int(line), signal.SIGKILL)

    with open_embedded("podman", os.environ) as engine:
        context = context_of(f"FROM {bench.base}\nRUN echo begun; sleep 20; echo {marker}\n")
        with pytest.raises(EngineDied):
            engine.build(BuildRequest(bench.new_name(), context), kill_the_service)
    remove_what_a_killed_build_leaves(bench.base)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_podmans_service_ends_with_the_program_that_started_it(how: signal.Signals) -> None:
    program = """
import os, time
from r2d.engines.find import open_embedded
engine = open_embedded("podman", os.environ)
print(engine.facts.address, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip().removeprefix("unix://")).parent
        assert folder.is_dir()
        process.send_signal(how)
        process.wait()
        from tests.engines.test_engine_contract import until

        assert until(lambda: not folder.exists())
