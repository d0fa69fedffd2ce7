"""An engine in memory, for tests: it reads every context in full, builds nothing, and does what it is told."""

import hashlib
import itertools
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal, Self

from r2d.engines.complaints import build_failure, image_unavailable, out_of_disk, start_failure, stopped
from r2d.engines.protocol import BuildRequest, EngineFacts, Image, RunRequest
from r2d.engines.steps import TAIL_LINES, FailedStep
from r2d.events import (
    ContainerOutput,
    Emit,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    Transferred,
)

_FIRST_FREE_PORT = 49153
_SIGNAL_NUMBERS = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGTERM": 15}


@dataclass(frozen=True)
class StepOf:
    """What a step of a build prints, and how it ends. `matching` is part of its instruction."""

    matching: str
    prints: tuple[str, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True)
class FullDisk:
    """The disk is full when the build reaches the step."""

    matching: str = ""


@dataclass(frozen=True)
class Death:
    """The engine dies when the build reaches the step."""

    matching: str = ""


BuildScript = StepOf | FullDisk | Death


@dataclass(frozen=True)
class ContainerScript:
    """What a container prints, and how it ends: by itself, or when it is stopped."""

    prints: tuple[tuple[Literal["stdout", "stderr"], str], ...] = ()
    exit_code: int = 0
    until_stopped: bool = False
    not_started_because: str | None = None


@dataclass(frozen=True)
class RecordedBuild:
    """A build the engine was asked for, and what its context held."""

    request: BuildRequest
    dockerfile: str
    members: tuple[str, ...]
    size: int


@dataclass
class FakeContainer:
    """A container that plays a script."""

    id: str
    request: RunRequest
    script: ContainerScript
    ports: dict[tuple[int, str], tuple[str, int]]
    signals: list[str] = field(default_factory=list)
    removed: bool = False
    _code: int | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def host_ports(self) -> dict[tuple[int, str], tuple[str, int]]:
        """Where each published port is reached."""
        return dict(self.ports)

    def follow(self, emit: Emit) -> None:
        """Emit what the script prints, then wait for the end."""
        for stream, text in self.script.prints:
            emit(ContainerOutput(text=text, stream=stream))
        self.wait()

    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._code

    def wait(self) -> int:
        """Block until it ended; its exit code."""
        self._ended.wait()
        return self._code or 0

    def stop(self, grace_seconds: int) -> None:  # noqa: ARG002 (it always obeys at once)
        """End it as SIGTERM would; no error when it has ended already."""
        self.signal("SIGTERM")

    def signal(self, name: str) -> None:
        """End it as this signal would; no error when it has ended already."""
        if self._code is None:
            self.signals.append(name)
            self.end(128 + _SIGNAL_NUMBERS.get(name, 15))

    def remove(self) -> None:
        """Take it away, running or not; no error when it is gone."""
        self.signal("SIGKILL")
        self.removed = True

    def end(self, exit_code: int) -> None:
        """Let it end with this code."""
        if self._code is None:
            self._code = exit_code
            self._ended.set()


class FakeEngine:
    """An engine that holds images in memory and plays scripts."""

    def __init__(self, facts: EngineFacts | None = None) -> None:
        self.facts = facts or EngineFacts(
            name="Fake 1.0",
            address="fake://",
            builder="buildkit",
            platform="linux/amd64",
            host=None,
        )
        self.builds: list[RecordedBuild] = []
        self.containers: list[FakeContainer] = []
        self.pullable: set[str] = set()
        self.closed = False
        self._images: dict[str, Image] = {}
        self._build_script: tuple[BuildScript, ...] = ()
        self._container_script = ContainerScript()
        self._cached: set[str] = set()
        self._free_ports = itertools.count(_FIRST_FREE_PORT)

    def script_build(self, *script: BuildScript) -> None:
        """Settle how the steps of the builds from now on go; a step that is not named ends well and says nothing."""
        self._build_script = script

    def script_container(self, script: ContainerScript) -> None:
        """Settle what the containers from now on do."""
        self._container_script = script

    def add_image(self, name: str, **config: object) -> Image:
        """Put an image into the store as if it had been there always; `config` are fields of Image."""
        image = Image(id=_id("image", name), names=(), size=1, labels={}, env={}, working_dir="", user="")
        return self._store(replace(image, **config), name)  # type: ignore[arg-type]

    def find(self, name: str) -> Image | None:
        """The image of this name or id."""
        wanted = _full(name)
        return next(
            (image for image in self._images.values() if wanted in image.names or name == image.id), None
        )

    def pull(self, name: str, emit: Emit) -> Image:
        """Fetch an image that `pullable` names."""
        if name not in self.pullable:
            raise image_unavailable(name, "manifest unknown")
        emit(Transferred(what=name, done=1, total=1))
        return self.add_image(name)

    def load(
        self,
        tag: str,
        rootfs: Callable[[], Iterator[bytes]],
        *,
        command: tuple[str, ...],
        labels: tuple[tuple[str, str], ...] = (),
    ) -> Image:
        """Read the root filesystem and make an image of its hash."""
        digest, size = hashlib.sha256(repr((command, labels)).encode()), 0
        for piece in rootfs():
            digest.update(piece)
            size += len(piece)
        layer = f"sha256:{digest.hexdigest()}"
        image = Image(
            id=_id("loaded", layer), names=(), size=size, labels=dict(labels), env={}, working_dir="",
            user="", layers=(layer,),
        )  # fmt: skip
        return self._store(image, tag)

    def build(self, request: BuildRequest, emit: Emit) -> Image:
        """Read the context, play the script step by step, and keep an image of what was read."""
        recorded, content = _read(request)
        self.builds.append(recorded)
        base: Image | None = None
        key = content if request.no_cache else _id(content, request.build_args)
        layers: tuple[str, ...] = ()
        stages: set[str] = set()
        for number, instruction in enumerate(_instructions(recorded.dockerfile), 1):
            key = _id(key, instruction)
            if found := re.match(r"FROM (?:--\S+ )*(\S+)(?: AS (\S+))?", instruction, re.I):
                base = self._base(found[1], stages)
                layers = base.layers if base else ()
                stages |= {found[2]} if found[2] else set()
            elif re.match(r"RUN|COPY|ADD", instruction, re.I):
                layers = (*layers, key)
            self._play(number, instruction, key, request, emit)
        image = Image(
            id=_id(key, request.labels),
            names=(),
            size=recorded.size,
            labels={**(base.labels if base else {}), **dict(request.labels)},
            env=dict(base.env) if base else {},
            working_dir=base.working_dir if base else "",
            user=base.user if base else "",
            layers=layers,
        )
        return self._store(image, request.tag)

    def run(self, request: RunRequest) -> FakeContainer:
        """Start a container that plays the script."""
        image = self.find(request.image)
        if image is None:
            raise start_failure(f"no such image: {request.image}", request.image)
        if self._container_script.not_started_because:
            raise start_failure(self._container_script.not_started_because, request.image)
        container = FakeContainer(
            id=f"{len(self.containers) + 1:064x}",
            request=request,
            script=self._container_script,
            ports=self._ports(request),
        )
        self.containers.append(container)
        if not container.script.until_stopped:
            container.end(container.script.exit_code)
        return container

    def tag(self, image: str, name: str) -> None:
        """Give an image a further name."""
        found = self.find(image)
        if found is None:
            raise start_failure(f"no such image: {image}", image)
        self._store(found, name)

    def remove_image(self, name: str) -> None:
        """Take a name away, and its image with the last one; no error when it is gone."""
        image = self.find(name)
        if image is None:
            return
        names = tuple(known for known in image.names if known != _full(name) and name != image.id)
        if names:
            self._images[image.id] = replace(image, names=names)
        else:
            del self._images[image.id]

    def images(self, label: str) -> tuple[Image, ...]:
        """Images that carry this label, given as NAME or NAME=VALUE."""
        name, equals, value = label.partition("=")
        return tuple(
            image
            for image in self._images.values()
            if name in image.labels and (not equals or image.labels[name] == value)
        )

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _store(self, image: Image, name: str) -> Image:
        full = _full(name)
        for other in tuple(self._images.values()):
            if full in other.names:
                self._images[other.id] = replace(
                    other, names=tuple(known for known in other.names if known != full)
                )
        known = self._images.get(image.id, image)
        self._images[image.id] = replace(image, names=(*known.names, full))
        return self._images[image.id]

    def _base(self, name: str, stages: set[str]) -> Image | None:
        if name == "scratch" or name in stages:
            return None
        image = self.find(name)
        if image is None and name not in self.pullable:
            raise image_unavailable(name, "manifest unknown")
        return image or self.add_image(name)

    def _play(self, number: int, instruction: str, key: str, request: BuildRequest, emit: Emit) -> None:
        step, name = str(number), request.step_name(instruction)
        emit(StepStarted(step=step, name=name))
        script = next((one for one in self._build_script if one.matching in instruction), None)
        match script:
            case FullDisk():
                raise out_of_disk()
            case Death():
                raise stopped("connection reset by peer")
            case StepOf(exit_code=code, prints=lines) if code:
                self._say(step, lines, emit)
                problem, tail = f"exit code: {code}", lines[-TAIL_LINES:]
                emit(StepFailed(step=step, name=name, seconds=0.0, problem=problem, tail=tail))
                raise build_failure(problem, FailedStep(name, instruction, problem, tail))
        is_cached = key in self._cached and not request.no_cache
        self._cached.add(key)
        if isinstance(script, StepOf) and not is_cached:
            self._say(step, script.prints, emit)
        emit(StepFinished(step=step, name=name, seconds=0.0, cached=is_cached))

    def _say(self, step: str, lines: tuple[str, ...], emit: Emit) -> None:
        for line in lines:
            emit(StepOutput(step=step, text=f"{line}\n"))

    def _ports(self, request: RunRequest) -> dict[tuple[int, str], tuple[str, int]]:
        taken = {
            place
            for container in self.containers
            if container.exit_code() is None
            for place in container.ports.values()
        }
        ports: dict[tuple[int, str], tuple[str, int]] = {}
        for port in request.ports:
            place = (port.host_ip, port.host_port or next(self._free_ports))
            if place in taken:
                raise start_failure(
                    f"Bind for {place[0]}:{place[1]}: port is already allocated", request.image
                )
            ports[port.container_port, port.protocol] = place
        return ports


class _Pieces:
    """The pieces of a stream as a file that `tarfile` reads, in constant memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.size = 0

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, None)) is not None:
            self._rest += piece
            self.size += len(piece)
        content, self._rest = self._rest[:size], self._rest[size:]
        return content


def _read(request: BuildRequest) -> tuple[RecordedBuild, str]:
    """What the context holds, and a hash of it."""
    pieces = _Pieces(request.context())
    members: list[str] = []
    dockerfile: str | None = None
    digest = hashlib.sha256()
    with tarfile.open(fileobj=pieces, mode="r|") as tar:  # type: ignore[call-overload]
        for member in tar:
            members.append(member.name)
            digest.update(repr((member.name, member.mode, member.type, member.linkname)).encode())
            content = tar.extractfile(member)
            while content and (block := content.read(1 << 20)):
                digest.update(block)
                if PurePosixPath(member.name) == PurePosixPath(request.dockerfile):
                    dockerfile = (dockerfile or "") + block.decode()
    while pieces.read(1 << 20):
        continue
    if dockerfile is None:
        raise build_failure(
            f"failed to read dockerfile: {request.dockerfile}: no such file or directory", None
        )
    return RecordedBuild(request, dockerfile, tuple(members), pieces.size), digest.hexdigest()


def _instructions(dockerfile: str) -> list[str]:
    lines = (line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines()]


def _full(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _id(*parts: object) -> str:
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
