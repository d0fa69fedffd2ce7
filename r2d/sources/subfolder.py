"""A part of a checkout in the place of the whole."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from r2d.errors import SourceNotFound, UnsafeContent
from r2d.sources.near_matches import did_you_mean, near_folders
from r2d.sources.protocol import Checkout


def within(checkout: Checkout, subdir: str) -> Checkout:
    """The checkout with only this folder of it, which cannot lie outside, be it by `..` or by links."""
    path = normal(subdir)
    if not path:
        return checkout
    folder = checkout.folder / path
    try:
        inside = folder.resolve().is_relative_to(checkout.folder.resolve())
        found = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a NUL
        inside, found = True, False
    if not inside:
        raise UnsafeContent("The folder is a link that leads out of the source.", where=path)
    if not found:
        raise SourceNotFound(_absence(checkout, folder), where=path, fix=_remedy(checkout, path))
    return replace(checkout, folder=folder, subdir="/".join(filter(None, (checkout.subdir, path))))


def normal(subdir: str) -> str:
    """The folder's path from the root without detours; "" is the root itself."""
    parts: list[str] = []
    for part in PurePosixPath(subdir).parts:
        if part == "/":
            raise UnsafeContent(
                "The folder's path is absolute.", where=subdir, fix="Write it from the root of the source."
            )
        if part == ".." and not parts:
            raise UnsafeContent("The folder lies outside the source.", where=subdir)
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _absence(checkout: Checkout, folder: Path) -> str:
    try:
        is_file = folder.is_file()
    except (OSError, ValueError):
        is_file = False
    return (
        f"{checkout.source} has a file of this name, no folder."
        if is_file
        else (f"{checkout.source} has no folder of this name.")
    )


def _remedy(checkout: Checkout, path: str) -> str:
    return (
        did_you_mean(near_folders(path, checkout.folder)) or "Name a folder as seen from the source's root."
    )
