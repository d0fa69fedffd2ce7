"""Bringing the files of a record: verified, and where nothing of a stranger's choosing can lead elsewhere."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r2d.errors import SourceNotFound, UnsafeContent
from r2d.events import Warned
from r2d.sources.http import Checksum, Web


@dataclass(frozen=True)
class RecordFile:
    """A file as its service lists it."""

    path: str  # below the record; from a stranger
    url: str
    size: int | None = None
    checksum: Checksum | None = None
    checksum_is_certain: bool = True  # False: the service may state that of another form of the file


def bring(files: Sequence[RecordFile], into: Path, web: Web, *, record: str) -> None:
    """All files; a record that is one archive is unpacked instead."""
    if not files:
        raise SourceNotFound(
            "The record holds no files.", where=record, fix="Check that its files are public."
        )
    places = _places(files, into, record)
    if len(files) == 1:
        _bring_only(files[0], places[0], into, web, record)
        return
    for file, place in zip(files, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        _download(file, place, web)


def _places(files: Sequence[RecordFile], into: Path, record: str) -> list[Path]:
    """Where each file goes, if their names leave each other room."""
    from r2d.sources.unpack import safe_parts

    named = {safe_parts(file.path, where=record): file for file in files}
    above = {parts[:depth] for parts in named for depth in range(len(parts))}
    clash = next((file for parts, file in named.items() if parts in above), None)
    if clash or len(named) < len(files):
        raise UnsafeContent(
            f"{clash.path!r} is a file and a folder." if clash else "Two files have the same name.",
            where=record,
            fix="Download the record yourself and give r2d the folder.",
        )
    return [into.joinpath(*parts) for parts in named]


def _bring_only(file: RecordFile, place: Path, into: Path, web: Web, record: str) -> None:
    """The only file of a record: unpacked if it is an archive and does not deny it by its name."""
    from r2d.sources.unpack import is_archive, looks_like_archive, unpack

    with tempfile.TemporaryDirectory(prefix=".r2d-download-", dir=into) as folder:
        arrived = Path(folder, "file")
        _download(file, arrived, web)
        # .xlsx, .npz and many others are zip files inside, and meant as they are.
        if (looks_like_archive(place.name) or not place.suffix) and is_archive(arrived):
            unpack(arrived, into, emit=web.emit, name=f"{place.name} of {record}")
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            arrived.rename(place)


def _download(file: RecordFile, to: Path, web: Web) -> None:
    if file.checksum is None or file.checksum_is_certain:
        web.download(file.url, to, what=file.path, size=file.size, checksum=file.checksum)
    else:
        web.download(file.url, to, what=file.path)
        _compare(file.checksum, file.path, to, web)


def _compare(stated: Checksum, name: str, arrived: Path, web: Web) -> None:
    """Say so where a file differs from a checksum that may not be its own."""
    with arrived.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(stated.algorithm, usedforsecurity=False))
    if found.hexdigest() != stated.digest:
        web.emit(Warned(f"{name} does not have the {stated.algorithm} checksum that the service states."))


def lift_single_folder(into: Path) -> None:
    """The content of a record's only folder, one level up."""
    children = list(into.iterdir())
    if len(children) == 1 and children[0].is_dir() and not children[0].is_symlink():
        aside = Path(tempfile.mkdtemp(prefix=".r2d-lift-", dir=into))
        only = children[0].rename(aside / "folder")
        for child in only.iterdir():
            child.rename(into / child.name)
        shutil.rmtree(aside)


def field_of(document: Any, *path: str | int, of: str) -> Any:
    """A part of a service's answer; its absence means that the service is not what it seemed."""
    part = document
    for step in path:
        try:
            part = part[step]
        except (KeyError, IndexError, TypeError) as error:
            raise SourceNotFound(
                f"The answer of the service lacks {step!r}.",
                where=of,
                fix="Check the address; if it opens in a browser, the service has changed its interface.",
            ) from error
    return part
