"""The ordered chain of buildpacks, and its one verdict per repository."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, cast

from r2d.buildpack import BuildPack, Finding, Role
from r2d.errors import InvalidEnvironmentFile, UnsupportedRepository
from r2d.plan import Ignored, Plan, Target, total
from r2d.repository import Repository
from r2d_buildpacks import BUILTIN
from r2d_buildpacks.common.runtime import Runtime, runtime

ENTRY_POINTS = "r2d.buildpacks"

# What describes an environment in a way no buildpack of ours knows yet: refused, for an image without it would lie.
_NOT_BUILT = (
    "Dockerfile",
    "environment.yml",
    "environment.yaml",
    "Pipfile",
    "Pipfile.lock",
    "Project.toml",
    "JuliaProject.toml",
    "REQUIRE",
    "default.nix",
    "install.R",
)
_NOT_BUILT_AT_ROOT = ("setup.py", "DESCRIPTION")

# What the standard does not know: it stands aside where something else describes the Python environment.
_NOT_BUILT_ALONE = (
    "conda-lock.yml",
    "pdm.lock",
    "pixi.lock",
    "pixi.toml",
    "poetry.lock",
    "pylock.toml",
    "pyproject.toml",
    "renv.lock",
    "requirements3.txt",
    "uv.lock",
)

# What people put at the root and a config folder puts out of force.
_ENVIRONMENT_FILES = (
    *_NOT_BUILT,
    *_NOT_BUILT_AT_ROOT,
    "requirements.txt",
    "runtime.txt",
    "apt.txt",
    "postBuild",
    "start",
    ".dockerignore",
    ".containerignore",
)


@dataclass(frozen=True)
class Found:
    """A finding and the buildpack that made it."""

    buildpack: str
    finding: Finding


@dataclass(frozen=True)
class Verdict:
    """What counts of a repository, in the order of the chain, and what does not."""

    found: tuple[Found, ...]
    ignored: tuple[Ignored, ...]

    def plan(self, target: Target) -> Plan:
        """The sum of what the findings want."""
        plan = total(found.finding.plan(target) for found in self.found)
        return Plan(steps=plan.steps, chosen=plan.chosen, ignored=self.ignored + plan.ignored)


def third_party() -> tuple[BuildPack, ...]:
    """Buildpacks of other distributions, by name of their entry points; they come before ours."""
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    return tuple(cast(BuildPack, entry.load()()) for entry in found)


def verdict(repository: Repository, packs: Iterable[BuildPack] | None = None) -> Verdict:
    """What the buildpacks find. Exactly one provides Python; one that replaces everything leaves only itself."""
    chain = (*third_party(), *BUILTIN) if packs is None else tuple(packs)
    found = [Found(pack.name, finding) for pack in chain if (finding := pack.detect(repository))]
    counted = _counted(found)
    used = {file for each in counted for file in each.finding.files}
    if not any(each.finding.role is Role.REPLACES for each in counted):
        _refuse_what_nobody_read(repository, used)
    return Verdict(tuple(counted), tuple(dict.fromkeys(_ignored(repository, found, counted, used))))


def _counted(found: list[Found]) -> list[Found]:
    replacing = [each for each in found if each.finding.role is Role.REPLACES]
    if replacing:
        return replacing[:1]
    python = [each for each in found if each.finding.role is Role.PYTHON]
    return [each for each in found if each.finding.role is Role.ADDS or each is python[0]]


def _ignored(
    repository: Repository, found: list[Found], counted: list[Found], used: set[str]
) -> Iterable[Ignored]:
    winner = next((each for each in counted if each.finding.role is not Role.ADDS), None)
    for each in found:
        for file in each.finding.files:
            if each not in counted and file not in used and winner:
                yield Ignored(file, f"{winner.buildpack} comes first")
    for file in repository.shadowed(*_ENVIRONMENT_FILES):
        if file not in used:
            yield Ignored(file, f"{repository.config_folder}/ is there, so only the files in it count")
    versions = repository.first(".python-version")
    if versions and versions not in used:
        yield Ignored(versions, "this version of r2d takes the version of Python from runtime.txt alone")
    for file in _unknown_to_the_standard(repository, used):
        yield Ignored(
            file, f"this version of r2d does not read it; {winner.finding.because if winner else ''}"
        )
    asked = _language_nobody_read(repository, used)
    if asked and not (winner and winner.finding.role is Role.REPLACES):
        yield Ignored(asked.file, f"no buildpack knows the language {asked.name}")


def _unknown_to_the_standard(repository: Repository, used: set[str]) -> list[str]:
    named = [repository.first(name) for name in _NOT_BUILT_ALONE]
    return [
        file for file in named if file and file not in used and _describes_an_environment(repository, file)
    ]


def _is_package(repository: Repository, file: str) -> bool:
    """Whether a pyproject.toml is one that the standard installs beside whatever else there is."""
    described = _toml(repository, file)
    return "project" in described and "build-system" in described


def _toml(repository: Repository, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(repository.text(file))
    except tomllib.TOMLDecodeError as error:
        raise InvalidEnvironmentFile(f"This is no TOML: {error}.", where=file) from error


def _describes_an_environment(repository: Repository, file: str) -> bool:
    """Most pyproject.toml do, but some hold only settings of tools."""
    if not file.endswith("pyproject.toml"):
        return True
    described = _toml(repository, file)
    return "project" in described or "poetry" in described.get("tool", {})


def _language_nobody_read(repository: Repository, used: set[str]) -> Runtime | None:
    asked = runtime(repository)
    return asked if asked and asked.file not in used else None


def _python_is_described(used: set[str]) -> bool:
    return any(file.rpartition("/")[2] == "requirements.txt" for file in used)


def _refuse_what_nobody_read(repository: Repository, used: set[str]) -> None:
    named = [repository.first(name) for name in _NOT_BUILT]
    at_root = [repository.at_root(name) for name in _NOT_BUILT_AT_ROOT]
    at_root += [
        file for file in [repository.at_root("pyproject.toml")] if file and _is_package(repository, file)
    ]
    alone = [] if _python_is_described(used) else _unknown_to_the_standard(repository, used)
    asked = _language_nobody_read(repository, used)
    for file in (*named, *at_root, *alone, asked.file if asked and asked.name == "r" else None):
        if file and file not in used:
            raise UnsupportedRepository(
                "This version of r2d does not build environments described by this file.",
                where=file,
                fix="Describe the environment by requirements.txt, or remove the file if it is not meant.",
            )
