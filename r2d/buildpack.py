"""What a buildpack is, and what it hands back."""

from enum import Enum
from importlib.resources import files
from typing import Protocol

from r2d.plan import ContextFile, Plan, Target
from r2d.repository import Repository


class Role(Enum):
    """How a finding joins the others."""

    REPLACES = "replaces"  # everything: a Dockerfile, a default.nix
    PYTHON = "python"  # provides the Python environment: exactly one finding does
    ADDS = "adds"  # to whatever the others make


class Finding(Protocol):
    """What a buildpack learnt of a repository."""

    @property
    def role(self) -> Role: ...

    @property
    def files(self) -> tuple[str, ...]:
        """The files it read, named from the repository's root."""

    @property
    def because(self) -> str:
        """Why it applies: "binder/environment.yml describes a conda environment"."""

    def plan(self, target: Target) -> Plan:
        """What to do about it. Pure: same input, same plan."""


class BuildPack(Protocol):
    """One way of describing an environment."""

    @property
    def name(self) -> str: ...

    def detect(self, repository: Repository) -> Finding | None:
        """What it finds. It parses; it changes nothing, logs nothing, fetches nothing."""


def own_file(package: str, name: str) -> ContextFile:
    """A file that lies beside a buildpack, as a file of the build context."""
    return ContextFile(path=name.rsplit("/", 1)[-1], content=files(package).joinpath(name).read_bytes())
