"""requirements.txt as pip reads it: continued lines, comments, files that include others.

The lines are split into those that only name packages, which can be installed before the repository is there, and
those that mean files of the repository.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from r2d.errors import InvalidEnvironmentFile
from r2d.repository import Repository

_INCLUDE = re.compile(r"(-r|--requirement)(?:\s+|=|(?<=-r))(?P<file>\S.*)")
_CONSTRAINT = re.compile(r"(-c|--constraint)(?:\s+|=|(?<=-c))(?P<file>\S.*)")
_EDITABLE = re.compile(r"(-e|--editable)(\s+|=)(?P<what>\S.*)")
_FIND_LINKS = re.compile(r"(-f|--find-links)(\s+|=)(?P<what>\S.*)")
_DIRECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*@\s*(?P<what>\S.*)")


@dataclass(frozen=True)
class Requirements:
    """What a requirements.txt and the files it includes ask for, comments gone, in order."""

    file: str
    packages: tuple[str, ...]  # lines that need nothing of the repository
    local: tuple[str, ...]  # lines that mean its files
    constraints: tuple[str, ...] = ()
    prereleases: bool = False  # --pre: releases that are none yet may be taken
    found_in_repository: bool = False  # --find-links ./folder: any of the packages may be there
    files: tuple[str, ...] = ()  # every file that was read, this one first


def requirements(repository: Repository, file: str) -> Requirements:
    """Read a requirements.txt with all it includes."""
    reading = _Reading(repository)
    reading.read(file, constraint=False, included_from=())
    return Requirements(
        file=file,
        packages=tuple(reading.packages),
        local=tuple(reading.local),
        constraints=tuple(reading.constraints),
        prereleases=reading.prereleases,
        found_in_repository=reading.found_in_repository,
        files=tuple(dict.fromkeys(reading.files)),
    )


class _Reading:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.packages: list[str] = []
        self.local: list[str] = []
        self.constraints: list[str] = []
        self.prereleases = False
        self.found_in_repository = False
        self.files: list[str] = []
        self._read: set[tuple[str, bool]] = set()  # a file may be both a list and a constraint

    def read(self, file: str, *, constraint: bool, included_from: tuple[str, ...]) -> None:
        if file in included_from:
            chain = " → ".join((*included_from, file))
            raise InvalidEnvironmentFile(f"The files include each other: {chain}.", where=file)
        if (file, constraint) in self._read:
            return
        self._read.add((file, constraint))
        self.files.append(file)
        for number, line in logical_lines(self._repository.text(file)):
            where = f"{file}:{number}"
            if included := _INCLUDE.fullmatch(line) or _CONSTRAINT.fullmatch(line):
                self.read(
                    self._included(file, included["file"], where),
                    constraint=constraint or line.startswith(("-c", "--constraint")),
                    included_from=(*included_from, file),
                )
            elif constraint:
                self.constraints.append(line)
            elif path := _path_in(line):
                self.local.append(line)
                self.found_in_repository |= bool(_FIND_LINKS.fullmatch(line))
                self.files += self._describing(path)
            elif line == "--pre":
                self.prereleases = True
            else:
                self.packages.append(line)

    def _included(self, file: str, reference: str, where: str) -> str:
        if "://" in reference:
            raise InvalidEnvironmentFile(
                "Requirements at an address cannot be included: what they say may change from day to day.",
                where=where,
                fix="Copy the file into the repository.",
            )
        path = self._repository.beside(file, reference.strip("\"'"))
        if not self._repository.has(path):
            raise InvalidEnvironmentFile(f"There is no file {path}.", where=where)
        return path

    def _describing(self, path: str) -> list[str]:
        """What describes the package in a folder of the repository: pip reads it when it installs the folder."""
        folder = PurePosixPath(path.removeprefix("file:"))
        named = [str(folder / name) for name in ("pyproject.toml", "setup.py", "setup.cfg")]
        return [name for name in named if self._repository.has(name)]


def _path_in(line: str) -> str | None:
    """The path in the repository that a line means; None where it means a package or an address."""
    match = _EDITABLE.fullmatch(line) or _FIND_LINKS.fullmatch(line) or _DIRECT.fullmatch(line)
    what = match["what"] if match else line
    if what.startswith("--") or ("://" in what and "file:" not in what):
        return None
    path = re.split(r"[\s;\[]", what, maxsplit=1)[0]
    local = (
        "file:" in what
        or path.startswith((".", "/"))
        or "/" in path
        or path.endswith((".whl", ".tar.gz", ".zip"))
    )
    return path if local else None


def logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines that say something, joined where a backslash continues them, each with its number."""
    lines: list[tuple[int, str]] = []
    begun: tuple[int, str] | None = None
    for number, physical in enumerate(text.splitlines(), start=1):
        first, before = begun or (number, "")
        line = physical if before == "" or not physical.lstrip().startswith("#") else ""
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun = (first, before + line[:-1])
            continue
        begun = None
        joined = re.sub(r"(^|\s)#.*$", "", before + line).strip()
        if joined:
            lines.append((first, re.sub(r"\s+", " ", joined)))
    if begun and begun[1].strip():
        lines.append((begun[0], re.sub(r"\s+", " ", begun[1].strip())))
    return lines
