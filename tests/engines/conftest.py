"""Three engines and a bench to try them on: the shipped fake, Docker with BuildKit, and Podman that r2d starts."""

import io
import os
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from r2d.engines.fake import BuildScript, ContainerScript, FakeEngine
from r2d.engines.find import open_embedded, open_engine
from r2d.engines.protocol import BuildRequest, Container, Engine, Image, RunRequest
from r2d.errors import R2DError
from r2d.events import ContainerOutput, Event

BASE = "r2d-contract:base"
BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh",
    "cat",
    "echo",
    "env",
    "id",
    "ls",
    "seq",
    "sleep",
    "test",
    "true",
    "yes",
    "head",
    "printf",
    "kill",
)


def tar_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar with these files, executable for all."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return raw.getvalue()


def context_of(dockerfile: str, files: Mapping[str, bytes] | None = None) -> Callable[[], Iterator[bytes]]:
    """A build context with this Dockerfile and these files."""
    raw = tar_of({"Dockerfile": dockerfile.encode(), **(files or {})})
    return lambda: iter([raw])


@dataclass
class Bench:
    """An engine with a tiny base image, and a broom."""

    engine: Engine
    base: str = BASE
    events: list[Event] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _containers: list[Container] = field(default_factory=list)

    @property
    def is_real(self) -> bool:
        return not isinstance(self.engine, FakeEngine)

    def will(self, *script: BuildScript) -> None:
        """Tell the fake what a real engine does by itself."""
        if isinstance(self.engine, FakeEngine):
            self.engine.script_build(*script)

    def container_will(self, script: ContainerScript) -> None:
        """Tell the fake what a real container does by itself."""
        if isinstance(self.engine, FakeEngine):
            self.engine.script_container(script)

    def new_name(self) -> str:
        """A name no other test uses; it is gone after the test."""
        name = f"r2d-contract:{uuid.uuid4().hex[:12]}"
        self._names.append(name)
        return name

    def build(self, instructions: str, files: Mapping[str, bytes] | None = None, **request: Any) -> Image:
        """Build upon the base; `events` then holds what was emitted."""
        self.events.clear()
        tag = request.pop("tag", None) or self.new_name()
        dockerfile = f"FROM {self.base}\n{instructions}\n"
        context = context_of(dockerfile, files)
        return self.engine.build(BuildRequest(tag=tag, context=context, **request), self.events.append)

    def run(self, *command: str, **request: Any) -> Container:
        """Run a command in the base, or in `image`."""
        image = request.pop("image", self.base)
        container = self.engine.run(RunRequest(image=image, command=command, **request))
        self._containers.append(container)
        return container

    def output_of(self, container: Container) -> dict[str, str]:
        """Follow a container to its end; what it printed, by stream."""
        printed: list[Event] = []
        container.follow(printed.append)
        return {
            stream: "".join(e.text for e in printed if isinstance(e, ContainerOutput) and e.stream == stream)
            for stream in ("stdout", "stderr")
        }

    def sweep(self) -> None:
        for container in self._containers:
            container.remove()
        for name in self._names:
            self.engine.remove_image(name)


def _rootfs() -> bytes:
    if not BUSYBOX.exists():
        pytest.fail("The engine tests need a static busybox: install the package busybox-static.")
    links = {f"bin/{name}": "busybox" for name in APPLETS}
    return tar_of({"bin/busybox": BUSYBOX.read_bytes()}, links)


def _open(name: str) -> Engine:
    if name == "fake":
        return FakeEngine()
    if name == "podman":
        podman = shutil.which("podman")
        if podman is None:
            pytest.fail("The engine tests need Podman: install the package podman.")
        return open_embedded(podman, os.environ)
    try:
        return open_engine("unix:///var/run/docker.sock", environ=os.environ)
    except R2DError as error:
        pytest.fail(f"The engine tests need a Docker engine at /var/run/docker.sock. {error}")


@pytest.fixture(scope="session", params=["fake", "docker", "podman"])
def shared_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with _open(request.param) as engine:
        rootfs = _rootfs()
        engine.load(
            BASE, lambda: iter([rootfs]), command=("sh",), labels=(("r2d.contract", 'a "b" $c \\ d'),)
        )
        yield engine
        engine.remove_image(BASE)


@pytest.fixture
def bench(shared_engine: Engine) -> Iterator[Bench]:
    bench = Bench(shared_engine)
    bench.will()
    bench.container_will(ContainerScript())
    yield bench
    bench.sweep()


@pytest.fixture
def marker() -> str:
    """A word that no earlier build has seen, so that nothing is cached by chance."""
    return uuid.uuid4().hex
