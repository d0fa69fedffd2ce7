"""Unpacking what a stranger packed: streaming, within limits, and never outside the folder it is meant for."""

import bz2
import contextlib
import gzip
import hashlib
import importlib
import itertools
import lzma
import os
import secrets
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, assert_never

from r2d.errors import ContentDamaged, ContentTooLarge, R2DError, ToolMissing, UnsafeContent
from r2d.events import Emit, Warned, ignore

_CHUNK = 1 << 20
_LONGEST_LINK = 4096
_LARGEST_TAR_HEADER = 4 << 20  # tarfile holds extended headers in memory
_LONGEST_ZIP_END = 65_535 + 22 + 20 + 56  # a comment, the end, and the end as zip64 has it


@dataclass(frozen=True)
class Limits:
    """Where an archive stops being a repository and starts being a bomb."""

    files: int = 500_000
    size: int = 128 << 30  # of all files together
    ratio: int = 250  # unpacked to packed …
    ratio_from: int = 1 << 30  # … looked at once this much is unpacked
    name: int = 255  # bytes of one name, as file systems have it
    path: int = 4096  # bytes of a whole path


DEFAULT_LIMITS = Limits()

_Kind = Literal["zip", "tar", "gz", "bz2", "xz", "zst"]
_MAGIC: tuple[tuple[bytes, _Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)

SUFFIXES = (
    ".zip",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".tar.zst",
    ".tzst",
)


def looks_like_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive r2d unpacks."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def is_archive(path: Path) -> bool:
    """Whether a file begins like an archive r2d unpacks, whatever its name says."""
    return _kind(path) is not None


def unpack(
    archive: Path,
    into: Path,
    *,
    emit: Emit = ignore,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
) -> None:
    """Everything in the archive, in `into`; a single folder at the top is left out. On an error nothing stays."""
    label = name or archive.name
    # Everything is unpacked beside its place first: what fails leaves one folder to remove.
    staging = into / f".r2d-{secrets.token_hex(8)}"
    staging.mkdir(mode=0o755)
    placed: list[Path] = []
    try:
        tree = _Tree(staging, label, limits, archive.stat().st_size)
        _read(archive, tree)
        _warn_of_case_clashes(tree, emit)
        root = _lifted(staging, tree)
        for child in sorted(root.iterdir()):
            placed.append(child.rename(_free(into / child.name, label)))
        _make_links(tree, into, placed)
    except BaseException as error:
        for path in placed:
            _remove(path)
        if isinstance(error, OSError):
            raise _disk_problem(label, error) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def safe_parts(name: str, *, where: str, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """The components of a stranger's file name, if it is one that can be written below a folder."""

    def unsafe(problem: str) -> UnsafeContent:
        return UnsafeContent(problem, where=where, fix="Nothing was kept. Its owner has to rename this file.")

    shown = _shown(name)
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise unsafe(f"{shown}: its name holds control characters.")
    if name.startswith("/") or (name[1:2] == ":" and name[:1].isalpha()):
        raise unsafe(f"{shown}: its path is absolute.")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise unsafe(f"{shown}: its path leads upwards.")
    encoded = [os.fsencode(part) for part in parts]
    if any(len(part) > limits.name for part in encoded) or len(b"/".join(encoded)) > limits.path:
        raise unsafe(f"{shown[:80]}…: its name is longer than file systems allow.")
    return parts


# --- the tree that grows


@dataclass
class _Tree:
    """The files written so far, and what was promised about them.

    Links are only remembered: until every file is written there is none that a path could lead through.
    """

    root: Path
    archive: str
    limits: Limits
    packed: int
    count: int = 0
    size: int = 0
    links: dict[tuple[str, ...], str] = field(default_factory=dict)
    clashes: dict[str, None] = field(default_factory=dict)
    _folder: tuple[str, ...] = ()  # the last one entered: files come folder by folder
    _seen: dict[bytes, bytes] = field(default_factory=dict)

    def parts(self, name: str) -> tuple[str, ...]:
        """The components of an entry's name, if the name is one that can be written."""
        return safe_parts(name, where=self.archive, limits=self.limits)

    def folder(self, parts: tuple[str, ...]) -> None:
        """A folder, and those above it."""
        if parts == self._folder:
            return
        self._folder = parts
        at = self.root
        for depth, part in enumerate(parts, start=1):
            at = at / part
            self._enter(parts[:depth], b"folder")
            at.mkdir(mode=0o755, exist_ok=True)

    def file(self, parts: tuple[str, ...], chunks: Iterator[bytes], *, executable: bool) -> None:
        """A file; never one that is there already."""
        self._enter_leaf(parts)
        path = self.root.joinpath(*parts)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        mode = 0o755 if executable else 0o644
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            for chunk in chunks:
                self.grow(len(chunk))
                file.write(chunk)
            os.fchmod(file.fileno(), mode)

    def link(self, parts: tuple[str, ...], target: str) -> None:
        """A symbolic link, made at the end."""
        shown = _shown("/".join(parts))
        if not target or len(target) > _LONGEST_LINK or any(unicodedata.category(c) == "Cc" for c in target):
            raise self.unsafe(f"{shown}: its target cannot be a path.")
        if target.startswith("/") or (target[1:2] == ":" and target[:1].isalpha()):
            raise self.unsafe(f"{shown}: it is a link to an absolute path ({_shown(target)}).")
        self._enter_leaf(parts)
        self.links[parts] = target

    def hard_link(self, parts: tuple[str, ...], target: str) -> None:
        """One more name for a file of the archive that came before."""
        of = self.parts(target)
        if of in self.links:
            self.link(parts, self.links[of])
            return
        source = self.root.joinpath(*of)
        # No link exists yet, so every folder on the way is a real one.
        if not of or not source.is_file():
            raise self.unsafe(
                f"{_shown('/'.join(parts))}: it is a hard link to {_shown(target)}, no file that came before."
            )
        self._enter_leaf(parts)
        self.root.joinpath(*parts).hardlink_to(source)

    def grow(self, amount: int) -> None:
        """Count what was unpacked."""
        self.size += amount
        if self.size > self.limits.size:
            raise self.too_large(f"It unpacks to more than {self.limits.size >> 20} MiB.")
        if self.size > self.limits.ratio_from and self.size > self.packed * self.limits.ratio:
            raise self.too_large(f"It unpacks to more than {self.limits.ratio} times its size, as bombs do.")

    def counted(self) -> None:
        """Count an entry."""
        self.count += 1
        if self.count > self.limits.files:
            raise self.too_large(f"It holds more than {self.limits.files} files.")

    def unsafe(self, problem: str) -> UnsafeContent:
        """The archive tries what no repository needs."""
        return UnsafeContent(
            problem,
            where=self.archive,
            fix="Nothing was unpacked. Pack the archive again without this entry.",
        )

    def damaged(self, problem: str) -> ContentDamaged:
        """The archive cannot be read."""
        return ContentDamaged(
            problem, where=self.archive, fix="Download it again, or pack it again as .zip or .tar.gz."
        )

    def too_large(self, problem: str) -> ContentTooLarge:
        """The archive is beyond a limit."""
        return ContentTooLarge(
            problem, where=self.archive, fix="Unpack it yourself, if you trust it, and give r2d the folder."
        )

    def _enter_leaf(self, parts: tuple[str, ...]) -> None:
        if not parts:
            raise self.unsafe("It holds a file without a name.")
        self.folder(parts[:-1])
        self._enter(parts, b"leaf")

    def _enter(self, parts: tuple[str, ...], kind: bytes) -> None:
        """Refuse two entries of one name; remember those that differ in nothing but case or composition."""
        path = "/".join(parts)
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        key = hashlib.blake2b(os.fsencode(folded), digest_size=12).digest()
        exact = hashlib.blake2b(os.fsencode(path), digest_size=8).digest() + kind
        there = self._seen.setdefault(key, exact)
        if there is exact or (there == exact and kind == b"folder"):
            return
        if there[:8] == exact[:8]:
            raise self.unsafe(f"{_shown(path)}: two entries have this name.")
        self.clashes[path] = None
        here = self.root.joinpath(*parts)
        taken = parts in self.links or os.path.lexists(here)
        if taken and not (kind == b"folder" and here.is_dir()):
            raise self.unsafe(f"{_shown(path)}: two entries have this name, upper and lower case apart.")


def _warn_of_case_clashes(tree: _Tree, emit: Emit) -> None:
    if tree.clashes:
        emit(
            Warned(
                f"{len(tree.clashes)} names in {tree.archive} differ only in case, "
                f"such as {_shown(next(iter(tree.clashes)))}.",
                fix="On Windows and macOS these are one file: rename them.",
            )
        )


# --- the end: lift, link


def _lifted(staging: Path, tree: _Tree) -> Path:
    """The folder whose content is wanted; links are remembered relative to it."""
    tops = {parts[0] for parts in tree.links if len(parts) == 1}
    children = list(staging.iterdir())
    if tops or len(children) != 1 or not children[0].is_dir():
        return staging
    tree.links = {parts[1:]: target for parts, target in tree.links.items()}
    return children[0]


def _make_links(tree: _Tree, into: Path, placed: list[Path]) -> None:
    """The links, each followed to its end: chains of harmless ones can leave the tree together."""
    root = into.resolve()
    for parts, target in tree.links.items():
        link = into.joinpath(*parts)
        if len(parts) == 1:
            _free(link, tree.archive)
            placed.append(link)
        link.symlink_to(target)
    for parts, target in tree.links.items():
        link = into.joinpath(*parts)
        try:
            end = Path(os.path.realpath(link))
        except OSError as error:
            raise tree.unsafe(f"{_shown('/'.join(parts))}: the link cannot be followed.") from error
        if not end.is_relative_to(root):
            raise tree.unsafe(
                f"{_shown('/'.join(parts))}: the link leads out of the archive ({_shown(target)})."
            )


def _free(path: Path, archive: str) -> Path:
    if os.path.lexists(path):
        raise UnsafeContent(
            f"{_shown(path.name)} is there already.", where=archive, fix="Unpack into an empty folder."
        )
    return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _disk_problem(label: str, error: OSError) -> R2DError:
    return ContentTooLarge(
        f"It cannot be written: {error.strerror or error}.",
        where=label,
        fix="Make room on the disk, or use another one (TMPDIR).",
    )


def _shown(name: str) -> str:
    """A name that a terminal can print."""
    return ascii(name)[1:-1]


# --- reading


def _kind(path: Path) -> _Kind | None:
    with path.open("rb") as file:
        head = file.read(512)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "tar" if head[257:262] == b"ustar" or _old_tar(head) else None


def _old_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _read(archive: Path, tree: _Tree) -> None:
    kind = _kind(archive)
    try:
        if kind == "zip":
            _read_zip(archive, tree)
        elif kind is not None:
            with archive.open("rb") as packed, _decompressed(packed, kind) as stream:
                _read_tar(stream, tree)
        else:
            raise tree.damaged("It is no zip and no tar archive.")
    except _unreadable(kind) as error:
        raise tree.damaged(f"It cannot be read to its end: {type(error).__name__}.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # So bz2 says that its data are broken.
        raise tree.damaged(f"It cannot be read to its end: {error}.") from error
    except RecursionError as error:
        raise tree.unsafe("Its headers are nested without end.") from error


def _unreadable(kind: _Kind | None) -> tuple[type[Exception], ...]:
    """What the readers raise when the archive is at fault."""
    general = (
        tarfile.TarError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        EOFError,
        struct.error,
        ValueError,
        OverflowError,
        MemoryError,
    )
    zstandard = _zstandard() if kind == "zst" else None
    return (*general, zstandard.ZstdError) if zstandard else general


# --- zip


def _read_zip(archive: Path, tree: _Tree) -> None:
    _check_zip_directory(archive, tree)
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            tree.counted()
            _zip_entry(packed, entry, tree)


def _check_zip_directory(archive: Path, tree: _Tree) -> None:
    """Count the directory's entries before zipfile reads them all into memory; what it says of itself may lie."""
    with archive.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, length - _LONGEST_ZIP_END))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise tree.damaged("It is cut off: its directory is missing.")
        end = start + at
        (size,) = struct.unpack_from("<L", tail, at + 12)
        if at >= 76 and tail.startswith(b"PK\x06\x07", at - 20) and tail.startswith(b"PK\x06\x06", at - 76):
            (size,) = struct.unpack_from("<Q", tail, at - 76 + 40)
            end -= 76
        file.seek(max(0, end - size))
        for count in itertools.count(1):
            header = file.read(46)
            if len(header) < 46 or not header.startswith(b"PK\x01\x02"):
                return
            if count > tree.limits.files:
                raise tree.too_large(f"It holds more than {tree.limits.files} files.")
            file.seek(sum(struct.unpack_from("<3H", header, 28)), os.SEEK_CUR)


def _zip_entry(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, tree: _Tree) -> None:
    # Some packers on Windows write the separator that the format forbids.
    name = entry.orig_filename.replace("\\", "/")
    parts = tree.parts(name)
    mode = entry.external_attr >> 16 if entry.create_system == 3 else 0
    if entry.flag_bits & 0x1:
        raise ContentDamaged(
            f"{_shown(name)} is encrypted.", where=tree.archive, fix="Pack the archive without a password."
        )
    if name.endswith("/") or stat.S_ISDIR(mode):
        tree.folder(parts)
    elif stat.S_ISLNK(mode):
        with _opened(packed, entry, tree) as file:
            tree.link(parts, file.read(_LONGEST_LINK + 1).decode("utf-8", "surrogateescape"))
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise tree.unsafe(f"{_shown(name)}: it is a device, a pipe or a socket.")
    else:
        with _opened(packed, entry, tree) as file:
            tree.file(parts, _chunks(file.read), executable=bool(mode & 0o100))


def _opened(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, tree: _Tree) -> IO[bytes]:
    try:
        return packed.open(entry)
    except (NotImplementedError, RuntimeError) as error:
        raise tree.damaged(f"{_shown(entry.filename)} is packed in a way r2d cannot read.") from error


# --- tar


def _read_tar(stream: "_Metered", tree: _Tree) -> None:
    stream.grow = tree.grow
    stream.too_large_header = lambda: tree.unsafe("It has a header larger than any name or attribute.")
    # `TarFile` reads the first header when it is made; the loop asks for the others.
    stream.in_header = True
    with tarfile.TarFile(fileobj=stream, mode="r") as packed:  # type: ignore[arg-type]
        while (entry := packed.next()) is not None:
            stream.in_header = False
            packed.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all of them
            tree.counted()
            _tar_entry(packed, entry, tree)
            stream.in_header, stream.in_header_read = True, 0
    stream.in_header = False
    if stream.last.strip(b"\0"):
        raise tree.damaged("It breaks off in the middle, or something else follows its files.")
    # To the end, so that the checksum of the compression is looked at.
    for rest in _chunks(stream.read):
        tree.grow(len(rest))


def _tar_entry(packed: tarfile.TarFile, entry: tarfile.TarInfo, tree: _Tree) -> None:
    parts = tree.parts(entry.name)
    if entry.isdir():
        tree.folder(parts)
    elif entry.issym():
        tree.link(parts, entry.linkname)
    elif entry.islnk():
        tree.hard_link(parts, entry.linkname)
    elif entry.isreg():
        if entry.size < 0:
            raise tree.damaged(f"{_shown(entry.name)} has an impossible size.")
        if entry.size > tree.limits.size:
            raise tree.too_large(f"It unpacks to more than {tree.limits.size >> 20} MiB.")
        file = packed.extractfile(entry)
        if file is None:
            raise tree.damaged(f"{_shown(entry.name)} has no content.")
        with file:
            tree.file(parts, _exactly(entry.size, file.read), executable=bool(entry.mode & 0o100))
    else:
        raise tree.unsafe(f"{_shown(entry.name)}: it is a device, a pipe or something else that is no file.")


class _Metered:
    """A decompressed stream that can only go forward, and says how much it gave."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0
        self.last = b""
        self.in_header = False
        self.in_header_read = 0
        self.grow: Callable[[int], None] = lambda _amount: None
        self.too_large_header: Callable[[], R2DError]

    def tell(self) -> int:
        """How far the stream is."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        wanted = _CHUNK if size < 0 else size
        if self.in_header:
            self.in_header_read += wanted
            if self.in_header_read > _LARGEST_TAR_HEADER:
                raise self.too_large_header()
        found = self._stream.read(wanted)
        self._at += len(found)
        if self.in_header:
            self.last = found
        return found

    def seek(self, position: int) -> int:
        """Forward to a place; what lies between is read and forgotten, and counts as unpacked."""
        while self._at < position:
            skipped = self._stream.read(min(_CHUNK, position - self._at))
            if not skipped:
                break
            self._at += len(skipped)
            self.grow(len(skipped))
        return self._at


@contextlib.contextmanager
def _decompressed(packed: IO[bytes], kind: _Kind) -> Iterator[_Metered]:
    with contextlib.ExitStack() as opened:
        stream: Any = packed
        match kind:
            case "gz":
                stream = opened.enter_context(gzip.GzipFile(fileobj=packed, mode="rb"))
            case "bz2":
                stream = opened.enter_context(bz2.BZ2File(packed, mode="rb"))
            case "xz":
                stream = opened.enter_context(lzma.LZMAFile(packed, mode="rb"))
            case "zst":
                if (zstandard := _zstandard()) is None:
                    raise ToolMissing(
                        "This Python cannot read Zstandard (.zst).",
                        fix="Install the package backports.zstd beside r2d, or pack the archive as .tar.gz.",
                    )
                stream = opened.enter_context(zstandard.ZstdFile(packed))
            case "zip" | "tar":
                pass
            case _:
                assert_never(kind)
        yield _Metered(stream)


def _zstandard() -> Any:
    """Zstandard came into Python with 3.14; before, the same module is a package."""
    for module in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(module)
    return None


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(_CHUNK):
        yield chunk


def _exactly(size: int, read: Callable[[int], bytes]) -> Iterator[bytes]:
    missing = size
    for chunk in _chunks(read):
        missing -= len(chunk)
        yield chunk
    if missing:
        raise EOFError
