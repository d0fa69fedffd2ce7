"""Everything that can happen, as data. The library emits these and never prints; renderers draw them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fetching:
    """A source is being brought here."""

    source: str


@dataclass(frozen=True)
class Fetched:
    """The files are here. `content` names exactly what was fetched, where that is known."""

    source: str
    folder: str
    content: str | None


@dataclass(frozen=True)
class Transferred:
    """Bytes moved so far; `total` where it is known."""

    what: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Detected:
    """A buildpack recognised the repository."""

    buildpack: str
    because: str


@dataclass(frozen=True)
class Decided:
    """A choice the plan made, and why."""

    what: str
    value: str
    because: str


@dataclass(frozen=True)
class IgnoredFile:
    """A file that looks as if it counted, and does not."""

    file: str
    because: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know that does not stop the work."""

    problem: str
    fix: str | None = None


@dataclass(frozen=True)
class BuildStarted:
    """The engine got the build."""

    image: str
    engine: str


@dataclass(frozen=True)
class StepStarted:
    """A step of the build runs. `step` identifies it in later events; `name` is the instruction."""

    step: str
    name: str


@dataclass(frozen=True)
class StepOutput:
    """A step printed. `text` is raw: renderers neutralise control characters."""

    step: str
    text: str


@dataclass(frozen=True)
class StepFinished:
    """A step ended well, or was not needed because its result was cached."""

    step: str
    name: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class StepFailed:
    """A step ended the build. `tail` holds its last lines."""

    step: str
    name: str
    seconds: float
    problem: str
    tail: tuple[str, ...]


@dataclass(frozen=True)
class ImageBuilt:
    """The image is in the engine under `name`."""

    name: str
    id: str
    size: int
    seconds: float


@dataclass(frozen=True)
class ImageReused:
    """The image was there already, with the same content and options: nothing was built."""

    name: str
    id: str


@dataclass(frozen=True)
class ContainerStarted:
    """The container runs."""

    id: str
    image: str


@dataclass(frozen=True)
class ContainerOutput:
    """The container printed. `text` is raw: renderers neutralise control characters."""

    text: str
    stream: Literal["stdout", "stderr"]


@dataclass(frozen=True)
class ServerReady:
    """The server in the container answered at this address."""

    url: str
    seconds: float


@dataclass(frozen=True)
class ContainerStopping:
    """The container was asked to stop."""

    because: str


@dataclass(frozen=True)
class ContainerExited:
    """The container ended."""

    exit_code: int


@dataclass(frozen=True)
class Failed:
    """The work ended with an error; the last event of a run that failed."""

    problem: str
    where: str | None
    fix: str | None
    exit_code: int


Event = (
    Fetching
    | Fetched
    | Transferred
    | Detected
    | Decided
    | IgnoredFile
    | Warned
    | BuildStarted
    | StepStarted
    | StepOutput
    | StepFinished
    | StepFailed
    | ImageBuilt
    | ImageReused
    | ContainerStarted
    | ContainerOutput
    | ServerReady
    | ContainerStopping
    | ContainerExited
    | Failed
)

Emit = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """An `emit` for callers that want only the result."""
