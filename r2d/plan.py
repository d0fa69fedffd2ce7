"""What will be done, as data: typed steps in stages, each stage with a key.

Stages run from what is the same for everybody to what belongs to one commit; a stage's key is a hash of its own
inputs and of the stage below, and of nothing else. Only `r2d.dockerfile` turns steps into syntax.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import reduce


class Stage(Enum):
    """The cache policy, in order."""

    BASE = "base"
    SERVER = "server"
    SYSTEM = "system"
    TOOLCHAIN = "toolchain"
    DEPENDENCIES = "dependencies"
    PROJECT = "project"
    AFTER = "after"


@dataclass(frozen=True)
class Chosen:
    """A decision and its reason, shown to the user and kept in a label."""

    what: str
    value: str
    because: str


@dataclass(frozen=True)
class Ignored:
    """A file that is present and not used, and the reason."""

    file: str
    because: str


@dataclass(frozen=True)
class Base:
    """The image everything starts from, and what is known of it."""

    reference: str
    distribution: str  # "debian", "ubuntu"
    release: str  # "trixie", "24.04"
    python: str | None  # the minor version of its own python3: "3.13"
    because: str


@dataclass(frozen=True)
class Target:
    """What a plan is made for: everything that shapes the image and is not in the repository."""

    base: Base
    user: str = "jovyan"
    uid: int = 1000
    repo_dir: str = "/home/jovyan"
    platform: str = "linux/amd64"

    @property
    def home(self) -> str:
        return f"/home/{self.user}"


@dataclass(frozen=True)
class ContextFile:
    """A file of ours in the build context. A step finds it by its path, in the step's own folder."""

    path: str
    content: bytes
    executable: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Cache:
    """A folder the engine keeps from build to build; never part of an image. A step finds it at `cache/<name>`."""

    name: str
    locked: bool = False  # one build at a time, for tools that lock nothing themselves


# --- steps


@dataclass(frozen=True)
class Apt:
    """Install packages of the distribution. Those of one stage are installed together."""

    packages: tuple[str, ...]


@dataclass(frozen=True)
class Env:
    """Set environment variables, for later steps and in the image."""

    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class OnPath:
    """Put directories before the others on PATH, the first one first."""

    directories: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Put a file of ours into the image for good."""

    file: ContextFile
    destination: str


@dataclass(frozen=True)
class BringRepository:
    """Copy the repository to where it lives in the image."""


@dataclass(frozen=True)
class Run:
    """Run a script of ours; its values are arguments, and nothing of it stays in the image."""

    script: ContextFile
    args: tuple[str, ...] = ()
    why: str = ""
    as_root: bool = False
    in_repository: bool = False  # the working directory is the repository's
    files: tuple[ContextFile, ...] = ()  # what the script reads
    caches: tuple[Cache, ...] = ()
    tools: tuple[str, ...] = ()  # programs r2d brings for the step, at `bin/<name>`: "uv"
    variables: tuple[tuple[str, str], ...] = ()  # for this script only


Step = Apt | Env | OnPath | Place | BringRepository | Run
_STEP_TYPES = (Apt, Env, OnPath, Place, BringRepository, Run)


@dataclass(frozen=True)
class Plan:
    """Steps in their stages, with the decisions behind them. Plans add up."""

    steps: tuple[tuple[Stage, Step], ...] = ()
    chosen: tuple[Chosen, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(
            steps=self.steps + other.steps,
            chosen=self.chosen + other.chosen,
            ignored=self.ignored + other.ignored,
        )

    def at(self, stage: Stage) -> tuple[Step, ...]:
        """The steps of a stage: its packages first, merged and sorted, then the others in order."""
        steps = [step for at, step in self.steps if at is stage]
        packages = sorted({name for step in steps if isinstance(step, Apt) for name in step.packages})
        others = tuple(step for step in steps if not isinstance(step, Apt))
        return ((Apt(tuple(packages)),) if packages else ()) + others

    def keys(self, target: Target) -> dict[Stage, str]:
        """Each stage's key: equal keys, equal layers (and equal files, where a stage copies the repository)."""
        below = json.dumps([target.base.reference, target.platform, target.user, target.uid, target.repo_dir])
        found: dict[Stage, str] = {}
        for stage in Stage:
            inputs = [below, *(_inputs(step) for step in self.at(stage))]
            below = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
            found[stage] = below
        return found


def total(plans: Iterable[Plan]) -> Plan:
    """The sum of plans."""
    return reduce(Plan.__add__, plans, Plan())


def steps(stage: Stage, *these: Step) -> Plan:
    """A plan of these steps in one stage."""
    return Plan(steps=tuple((stage, step) for step in these))


def _inputs(value: object) -> object:
    """A step as what its result depends on: contents by digest, without the words for people."""
    match value:
        case ContextFile(path=path, executable=executable):
            return [path, value.digest, executable]
        case Run(why=why) if why:
            return _inputs(replace(value, why=""))
        case tuple():
            return [_inputs(item) for item in value]
        case _ if is_dataclass(value):
            return [
                type(value).__name__,
                {field.name: _inputs(getattr(value, field.name)) for field in fields(value)},
            ]
        case _:
            return value


def as_data(plan: Plan, target: Target) -> dict[str, object]:
    """The plan for machines: `r2d plan --json`."""
    keys = plan.keys(target)
    return {
        "format": 1,
        "base": _shown(target.base),
        "target": {
            "user": target.user,
            "uid": target.uid,
            "repo_dir": target.repo_dir,
            "platform": target.platform,
        },
        "chosen": [_shown(choice) for choice in plan.chosen],
        "ignored": [_shown(file) for file in plan.ignored],
        "stages": [
            {"stage": stage.value, "key": keys[stage], "steps": [_shown(step) for step in plan.at(stage)]}
            for stage in Stage
        ],
    }


def _shown(value: object) -> object:
    match value:
        case ContextFile():
            return {"path": value.path, "sha256": value.digest}
        case tuple():
            return [_shown(item) for item in value]
        case _ if is_dataclass(value):
            named = {field.name: _shown(getattr(value, field.name)) for field in fields(value)}
            return {"step": type(value).__name__, **named} if isinstance(value, _STEP_TYPES) else named
        case _:
            return value
