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
    parent, _, name = path.rstrip("/").rpartition("/")
    beside = folder / (parent or ("/" if path.startswith("/") else "."))
    try:
        names = [entry.name for entry in beside.iterdir() if entry.is_dir()]
    except (OSError, ValueError):  # the parent is missing too, or the name is none a file system knows
        return ()
    prefix = path[: len(path.rstrip("/")) - len(name)]
    return tuple(f"{prefix}{near}" for near in near_names(name, names))


def did_you_mean(names: Sequence[str]) -> str | None:
    """The question that offers these names; None where there are none."""
    if not names:
        return None
    *most, last = names
    return f"Did you mean {', '.join(most)} or {last}?" if most else f"Did you mean {last}?"
