"""Names close to one that does not exist, to be offered in its place."""

from collections.abc import Iterable, Sequence
from pathlib import Path

_MOST = 3
_ALIKE = 0.6  # the share of letters in common from which a name counts as a slip of the finger


def near_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The known names that look like this one, the likeliest first."""
    from difflib import get_close_matches  # only a failure needs it

    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), list(by_folded), n=_MOST, cutoff=_ALIKE)
    return tuple(by_folded[folded] for folded in found)


def near_folders(path: str, folder: Path) -> tuple[str, ...]:
    """The folders that look like the missing `path`, which is written from `folder`; written the same way."""
    parts = [part for part in path.split("/") if part]
    start = "/" if path.startswith("/") else ""
    written = [start]
    for part in parts:
        written = [f"{way}{name}/" for way in written for name in _next(folder / (way or "."), part)][:_MOST]
    return tuple(way.rstrip("/") for way in written if way.strip("/"))


def _next(folder: Path, name: str) -> tuple[str, ...]:
    """The folder of this name, else those that look like it."""
    if name in (".", "..") or _is_folder(folder / name):
        return (name,)
    try:
        return near_names(name, [entry.name for entry in folder.iterdir() if _is_folder(entry)])
    except (OSError, ValueError):  # nothing to list, or a name that no file system knows
        return ()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def did_you_mean(names: Sequence[str]) -> str | None:
    """The question that offers these names; None where there are none."""
    if not names:
        return None
    *most, last = names
    return f"Did you mean {', '.join(most)} or {last}?" if most else f"Did you mean {last}?"
