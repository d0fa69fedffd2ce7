"""What the shipped fake offers to tests beyond the contract."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator

import pytest

from r2d.engines.fake import ContainerScript, Death, FakeEngine, FullDisk, StepOf
from r2d.engines.protocol import BuildRequest, Engine, RunRequest
from r2d.errors import BuildFailed, EngineDied, EngineOutOfDisk
from r2d.events import Event, ignore


def context(dockerfile: str) -> Callable[[], Iterator[bytes]]:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in (("./Dockerfile", dockerfile.encode()), ("src/a.ipynb", b"{}")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    pieces = raw.getvalue()
    return lambda: (pieces[start : start + 100] for start in range(0, len(pieces), 100))


def test_it_is_an_engine() -> None:
    engine: Engine = FakeEngine()
    assert engine.find("x") is None


def test_a_build_is_recorded_with_its_dockerfile_and_the_names_in_its_context() -> None:
    engine = FakeEngine()
    engine.build(BuildRequest("x", context("FROM scratch\nRUN a \\\n  b\n")), ignore)
    (build,) = engine.builds
    assert build.dockerfile == "FROM scratch\nRUN a \\\n  b\n"
    assert build.members == ("./Dockerfile", "src/a.ipynb")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (StepOf("RUN", exit_code=2), BuildFailed),
        (FullDisk("RUN"), EngineOutOfDisk),
        (Death("RUN"), EngineDied),
    ],
)
def test_a_build_fails_as_its_script_says_and_leaves_no_tag(
    script: StepOf | FullDisk | Death, error: type[Exception]
) -> None:
    engine = FakeEngine()
    engine.script_build(script)
    with pytest.raises(error):
        engine.build(BuildRequest("x", context("FROM scratch\nRUN a\n")), ignore)
    assert engine.find("x") is None


def test_a_container_runs_until_it_is_ended_by_the_test() -> None:
    engine = FakeEngine()
    engine.add_image("x", env={"PATH": "/bin"})
    engine.script_container(ContainerScript((("stdout", "hello"),), until_stopped=True))
    container = engine.run(RunRequest("x"))
    assert container.exit_code() is None
    container.end(7)
    events: list[Event] = []
    container.follow(events.append)
    assert len(events) == 1
    assert container.wait() == 7


def test_importing_the_engines_does_not_import_the_docker_package() -> None:
    program = "import sys, r2d.engines.find, r2d.engines.fake; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
