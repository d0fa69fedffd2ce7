"""What r2d asks of a container engine: few methods, frozen requests, one contract test for all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

from r2d.events import Emit


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself."""

    name: str  # "Docker 20.10.24", "Podman 4.3.1"
    address: str  # what it was reached at
    builder: Literal["buildkit", "classic"]
    platform: str  # "linux/amd64"
    host: str | None  # where published ports are reached; None: this machine
    rootless: bool = False


@dataclass(frozen=True)
class Image:
    """An image the engine holds."""

    id: str
    names: tuple[str, ...]
    size: int
    labels: dict[str, str]
    env: dict[str, str]
    working_dir: str
    user: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildRequest:
    """A build: a context stream that holds its Dockerfile, and the name its image gets."""

    tag: str
    context: Callable[[], Iterator[bytes]]  # called once per attempt; an uncompressed tar in pieces
    dockerfile: str = "Dockerfile"
    build_args: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    platform: str | None = None
    no_cache: bool = False
    host_network: bool = False  # steps share the network of the engine's machine
    # How a step of this build is called in events; the engine knows only instructions.
    step_name: Callable[[str], str] = field(default=lambda instruction: instruction)


@dataclass(frozen=True)
class Port:
    """A container port published on the host; `host_port` None lets the engine pick a free one."""

    container_port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str = "127.0.0.1"
    host_port: int | None = None


@dataclass(frozen=True)
class Volume:
    """A host path seen in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class RunRequest:
    """A container to start. An empty command means the image's own."""

    image: str
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()
    publish_all: bool = False
    volumes: tuple[Volume, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    uid: int | None = None  # of the image's user, who is to own what `volumes` name; None: 1000


class Container(Protocol):
    """A started container."""

    id: str

    def host_ports(self) -> dict[tuple[int, str], tuple[str, int]]:
        """Where each published port is reached: (8888, "tcp") → ("127.0.0.1", 49153)."""

    def follow(self, emit: Emit) -> None:
        """Emit what the container prints, from its start, until it ends; nothing is lost at the end."""

    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""

    def wait(self) -> int:
        """Block until it ended; its exit code."""

    def stop(self, grace_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the grace time; no error when it has ended already."""

    def signal(self, name: str) -> None:
        """Send a signal ("SIGINT") to its main process; no error when it has ended already."""

    def remove(self) -> None:
        """Take it away, running or not; no error when it is gone."""


class Engine(Protocol):
    """A place that builds and runs images."""

    facts: EngineFacts

    def find(self, name: str) -> Image | None:
        """The image of this name or id in the engine's own store; no network."""

    def pull(self, name: str, emit: Emit) -> Image:
        """Fetch an image from its registry."""

    def load(
        self,
        tag: str,
        rootfs: Callable[[], Iterator[bytes]],
        *,
        command: tuple[str, ...],
        labels: tuple[tuple[str, str], ...] = (),
    ) -> Image:
        """Make an image of one layer from the tar of a root filesystem."""

    def build(self, request: BuildRequest, emit: Emit) -> Image:
        """Build; the image is there under `request.tag`, or an error was raised and no half-made image has the tag."""

    def run(self, request: RunRequest) -> Container:
        """Start a container."""

    def tag(self, image: str, name: str) -> None:
        """Give an image a further name."""

    def remove_image(self, name: str) -> None:
        """Take a name, and its image if that was the last one, out of the store; no error when it is gone."""

    def images(self, label: str) -> tuple[Image, ...]:
        """Images that carry this label."""

    def close(self) -> None:
        """Let go of connections, and of a service that was started for this command."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...
