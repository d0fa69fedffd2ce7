"""Files that describe an environment and that no buildpack of ours reads yet.

An image without what they ask for would lie, so they are refused; those the standard does not know stand aside where
something else describes the Python environment, and that is said.
"""

import tomllib
from collections.abc import Iterator
from typing import Any

from r2d.errors import InvalidEnvironmentFile, UnsupportedRepository
from r2d.plan import Ignored
from r2d.repository import Repository
from r2d_buildpacks.common.runtime import Runtime, runtime

_REFUSED = (
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
_REFUSED_AT_ROOT = ("setup.py", "DESCRIPTION")

# What the standard does not know.
_STANDS_ASIDE = (
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
ENVIRONMENT_FILES = (
    *_REFUSED,
    *_REFUSED_AT_ROOT,
    *_STANDS_ASIDE,
    "requirements.txt",
    "runtime.txt",
    "apt.txt",
    "postBuild",
    "start",
    ".dockerignore",
    ".containerignore",
)


def refuse(repository: Repository, used: set[str], *, python_is_described: bool) -> None:
    """Raise for the first file that asks for what the image would not have."""
    named = [repository.first(name) for name in _REFUSED]
    at_root = [repository.at_root(name) for name in _REFUSED_AT_ROOT]
    package = repository.at_root("pyproject.toml")
    if package and _is_package(repository, package):
        at_root.append(package)
    alone = [] if python_is_described else _standing_aside(repository, used)
    asked = _unread_language(repository, used)
    for file in (*named, *at_root, *alone, asked.file if asked and asked.name == "r" else None):
        if file and file not in used:
            raise UnsupportedRepository(
                "This version of r2d does not build environments described by this file.",
                where=file,
                fix="Describe the environment by requirements.txt, or remove the file if it is not meant.",
            )


def ignored(repository: Repository, used: set[str], *, instead: str) -> Iterator[Ignored]:
    """What is there and not read, with the reason; `instead` says what counts."""
    versions = repository.first(".python-version")
    if versions and versions not in used:
        yield Ignored(versions, "this version of r2d takes the version of Python from runtime.txt alone")
    for file in _standing_aside(repository, used):
        yield Ignored(file, f"this version of r2d does not read it; {instead}")
    if asked := _unread_language(repository, used):
        yield Ignored(asked.file, f"no buildpack knows the language {asked.name}")


def _standing_aside(repository: Repository, used: set[str]) -> list[str]:
    named = [repository.first(name) for name in _STANDS_ASIDE]
    return [file for file in named if file and file not in used and _describes_packages(repository, file)]


def _describes_packages(repository: Repository, file: str) -> bool:
    """Most pyproject.toml do, but some hold only settings of tools."""
    if not file.endswith("pyproject.toml"):
        return True
    described = _toml(repository, file)
    return "project" in described or "poetry" in described.get("tool", {})


def _is_package(repository: Repository, file: str) -> bool:
    """Whether a pyproject.toml is one that the standard installs beside whatever else there is."""
    described = _toml(repository, file)
    return "project" in described and "build-system" in described


def _toml(repository: Repository, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(repository.text(file))
    except tomllib.TOMLDecodeError as error:
        raise InvalidEnvironmentFile(f"This is no TOML: {error}.", where=file) from error


def _unread_language(repository: Repository, used: set[str]) -> Runtime | None:
    asked = runtime(repository)
    return asked if asked and asked.file not in used else None
