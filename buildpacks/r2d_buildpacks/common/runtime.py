"""runtime.txt: which language, in which version, as of which day."""

import re
from dataclasses import dataclass
from datetime import date

from r2d.errors import InvalidEnvironmentFile
from r2d.repository import Repository

FILE = "runtime.txt"


@dataclass(frozen=True)
class Runtime:
    """What a runtime.txt asks for."""

    file: str
    name: str
    version: str | None = None
    day: date | None = None
    unread: int = 0  # lines after the first that has something to say


def runtime(repository: Repository) -> Runtime | None:
    """What runtime.txt asks for; None where there is none, or where it holds only comments."""
    file = repository.first(FILE)
    if file is None:
        return None
    lines = [
        (number, text)
        for number, line in enumerate(repository.text(file).splitlines(), start=1)
        if (text := line.partition("#")[0].strip())
    ]
    if not lines:
        return None
    number, text = lines[0]
    return _parsed(text, file=file, where=f"{file}:{number}", unread=len(lines) - 1)


_GRAMMAR = re.compile(r"(?P<name>[^-\s]+)(-(?P<version>(?!\d{4}-)[^-\s]+))?(-(?P<day>\d{4}-\d{2}-\d{2}))?")


def _parsed(text: str, *, file: str, where: str, unread: int) -> Runtime:
    found = _GRAMMAR.fullmatch(text)
    if not found or not (found["version"] or found["day"]):
        raise InvalidEnvironmentFile(
            f"{text!r} names no language with a version.",
            where=where,
            fix="Write a language and a version, such as python-3.12, or r-4.4-2025-06-01 with a date.",
        )
    try:
        day = date.fromisoformat(found["day"]) if found["day"] else None
    except ValueError:
        raise InvalidEnvironmentFile(
            f"{found['day']} is no day of the calendar.", where=where, fix="Write the date as YYYY-MM-DD."
        ) from None
    return Runtime(file, found["name"], found["version"], day, unread)
