"""The build context: as a stream in constant memory, as a digest, as a folder; the same content in all three.

Nothing in it depends on who checked the repository out, when, under which umask, or in which order the file system
lists it.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from r2d.errors import OutputExists, OutputNotWritten, RepositoryChanged, UnreadableFile, WrongUsage
from r2d.events import Emit, Warned, ignore
from r2d.ignore_rules import IgnoreRules
from r2d.plan import ContextFile

PIECE = 1 << 20
# 1980-01-02 in UTC: a zip archive cannot hold an earlier time, in no time zone.
MODIFIED = 315_619_200

Kind = Literal["directory", "file", "link"]


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a context. Its content is read once, before the next member is asked for."""

    path: str
    kind: Kind
    executable: bool = False
    target: str = ""
    size: int = 0
    content: Iterable[bytes] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Something of the tree that belongs into the context, by its path below the tree."""

    path: str
    kind: Kind


def context_tar(
    dockerfile: str,
    files: Iterable[ContextFile],
    tree: Path,
    rules: IgnoreRules,
    large: Iterable[tuple[str, Path]] = (),
    *,
    tree_prefix: str = "src",
    emit: Emit = ignore,
) -> Iterator[bytes]:
    """The context as an uncompressed tar, in pieces: the same bytes for the same content.

    The Dockerfile comes first, then our files, then the large ones (their name here, a file of this machine), then
    the tree.
    """
    members = _members(dockerfile, files, tree, rules, large, tree_prefix, emit)
    return _gathered(_tar(members))


def tree_digest(tree: Path, rules: IgnoreRules, *, emit: Emit = ignore) -> str:
    """A hash of all that the context holds of the tree, and of nothing else."""
    digest = hashlib.sha256()
    for piece in _tar(_tree_members(tree, rules, "src", emit)):
        digest.update(piece)
    return digest.hexdigest()


def write_folder(
    outdir: Path,
    dockerfile: str,
    files: Iterable[ContextFile],
    tree: Path,
    rules: IgnoreRules,
    large: Iterable[tuple[str, Path]] = (),
    *,
    tree_prefix: str = "src",
    emit: Emit = ignore,
) -> None:
    """The context as a new or empty folder, which is left as it was when the work fails."""
    _refuse_inside(outdir, tree)
    was_there = _claim(outdir)
    try:
        _write(outdir, _members(dockerfile, files, tree, rules, large, tree_prefix, emit))
    except BaseException as error:
        _empty(outdir)
        if not was_there:
            outdir.rmdir()
        if isinstance(error, OSError):
            raise _unwritable(outdir, error) from error
        raise


# --- what the context holds


def walk(tree: Path, rules: IgnoreRules, emit: Emit = ignore) -> Iterator[Found]:
    """Everything of the tree that the rules leave, parents first, in the order of the bytes of the names.

    A folder that stays out appears all the same when an exception keeps something in it.
    """
    root = os.fspath(tree)
    waiting = _listed(root, "")
    withheld: list[Found] = []
    while waiting:
        path, kind = waiting.pop()
        excluded = rules.excludes(path)
        if kind is None:
            if not excluded:
                emit(_left_out(path))
            continue
        found = Found(path, kind)
        if kind == "directory" and (not excluded or rules.may_hold_exceptions(path)):
            waiting += _listed(root, f"{path}/")
        if not excluded:
            yield from (folder for folder in withheld if path.startswith(f"{folder.path}/"))
            withheld.clear()
            yield found
        elif kind == "directory":
            withheld.append(found)


def _listed(root: str, below: str) -> list[tuple[str, Kind | None]]:
    """The entries of a folder, the last one first: they are taken from the end."""
    with _named_failures(below or root), os.scandir(f"{root}/{below}") as entries:
        listed = [(os.fsencode(entry.name), f"{below}{entry.name}", _kind(entry)) for entry in entries]
    listed.sort(reverse=True)
    return [(path, kind) for _, path, kind in listed]


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    """What an entry is in a context; None for what no context can hold."""
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else None


def _left_out(path: str) -> Warned:
    return Warned(
        f"{_printable(path)} is a pipe, a socket or a device: it stays out of the image.",
        fix="Name it in .dockerignore and this is not said again.",
    )


def _members(
    dockerfile: str,
    files: Iterable[ContextFile],
    tree: Path,
    rules: IgnoreRules,
    large: Iterable[tuple[str, Path]],
    tree_prefix: str,
    emit: Emit,
) -> Iterator[Member]:
    folders: set[str] = set()
    yield _own_member(ContextFile("Dockerfile", dockerfile.encode()))
    for file in sorted(files, key=lambda file: os.fsencode(file.path)):
        yield from _new_parents(file.path, folders)
        yield _own_member(file)
    for path, host_file in sorted(large, key=lambda named: os.fsencode(named[0])):
        yield from _new_parents(path, folders)
        with _opened(os.fspath(host_file.resolve()), path) as member:
            yield member
    yield from _tree_members(tree, rules, tree_prefix, emit)


def _own_member(file: ContextFile) -> Member:
    return Member(file.path, "file", file.executable, size=len(file.content), content=(file.content,))


def _new_parents(path: str, folders: set[str]) -> Iterator[Member]:
    """The folders above a path that are not in the context yet."""
    parts = path.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if folder not in folders:
            folders.add(folder)
            yield Member(folder, "directory")


def _tree_members(tree: Path, rules: IgnoreRules, prefix: str, emit: Emit) -> Iterator[Member]:
    root = os.fspath(tree)
    yield Member(prefix, "directory")
    for found in walk(tree, rules, emit):
        path = f"{prefix}/{found.path}"
        host_path = f"{root}/{found.path}"
        match found.kind:
            case "directory":
                yield Member(path, "directory")
            case "link":
                with _named_failures(found.path):
                    target = os.readlink(host_path)  # noqa: PTH115 - a Path would change the text of the link
                yield Member(path, "link", target=target)
            case "file":
                with _opened(host_path, path, shown=found.path) as member:
                    yield member
            case _:
                assert_never(found.kind)


# --- reading files that may change under our hands


@contextmanager
def _opened(host_path: str, path: str, *, shown: str | None = None) -> Iterator[Member]:
    """A file as a member whose size is the one it was opened with."""
    shown = shown or path
    with _named_failures(shown):
        # It was listed as a file: should it be a link or a pipe by now, that is neither followed nor waited for.
        descriptor = os.open(host_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _changed(shown)
        # Git keeps the owner's bit alone; the others are the umask of the checkout.
        executable = bool(status.st_mode & stat.S_IXUSR)
        pieces = _pieces(descriptor, status, shown)
        yield Member(path, "file", executable, size=status.st_size, content=pieces)
    finally:
        os.close(descriptor)


def _pieces(descriptor: int, before: os.stat_result, shown: str) -> Iterator[bytes]:
    left = before.st_size
    while left:
        piece = _read(descriptor, min(left, PIECE), shown)
        if not piece:
            raise _changed(shown)
        left -= len(piece)
        yield piece
    now = os.fstat(descriptor)
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise _changed(shown)


def _read(descriptor: int, size: int, shown: str) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError as error:
        raise _unreadable(shown, error) from error


@contextmanager
def _named_failures(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO):
            raise _changed(shown) from error
        raise _unreadable(shown, error) from error


def _changed(shown: str) -> RepositoryChanged:
    return RepositoryChanged(
        "It changed while it was read, so that nobody could say what the image holds.",
        where=_printable(shown),
        fix="Wait until nothing writes there, or name it in .dockerignore, and start again.",
    )


def _unreadable(shown: str, error: OSError) -> UnreadableFile:
    return UnreadableFile(
        f"It cannot be read: {error.strerror}.",
        where=_printable(shown),
        fix="Give yourself the right to read it, or name it in .dockerignore to leave it out of the image.",
    )


def _printable(path: str) -> str:
    """A path as one line: names may hold line breaks, terminal escapes and bytes that are no text."""
    return repr(path)[1:-1]


# --- as a tar
#
# One format throughout, GNU's: it takes names of any bytes and any length and files of any size, and every reader
# of contexts knows it. The headers are written here: tarfile takes longer over one than reading a small file takes.

_BLOCK = 512
_LONGEST_NAME = 100
_LARGEST_OCTAL = 8**11
_OWNER = b"0000000\0" * 2
_MODIFIED = b"%011o\0" % MODIFIED
_MAGIC = b"ustar  \0"
_END = bytes(2 * _BLOCK)


def _tar(members: Iterable[Member]) -> Iterator[bytes]:
    for member in members:
        yield _header(member)
        yield from member.content
        if unfilled := -member.size % _BLOCK:
            yield bytes(unfilled)
    yield _END


def _header(member: Member) -> bytes:
    name = os.fsencode(member.path)
    match member.kind:
        case "directory":
            return _entry(name + b"/", b"5", 0o755)
        case "link":
            return _entry(name, b"2", 0o777, target=os.fsencode(member.target))
        case "file":
            return _entry(name, b"0", _mode(member), size=member.size)
        case _:
            assert_never(member.kind)


def _mode(member: Member) -> int:
    return 0o755 if member.executable else 0o644


def _entry(name: bytes, kind: bytes, mode: int, *, size: int = 0, target: bytes = b"") -> bytes:
    long_target = _long(b"K", target) if len(target) > _LONGEST_NAME else b""
    long_name = _long(b"L", name) if len(name) > _LONGEST_NAME else b""
    return long_target + long_name + _block(name[:_LONGEST_NAME], kind, mode, size, target[:_LONGEST_NAME])


def _long(kind: bytes, text: bytes) -> bytes:
    """A name that does not fit, as an entry before the one it belongs to."""
    content = text + b"\0"
    return _block(b"././@LongLink", kind, 0o644, len(content), b"") + content + bytes(-len(content) % _BLOCK)


def _block(name: bytes, kind: bytes, mode: int, size: int, target: bytes) -> bytes:
    octal = size < _LARGEST_OCTAL
    length = b"%011o\0" % size if octal else b"\x80" + size.to_bytes(11, "big")
    before = name.ljust(_LONGEST_NAME, b"\0") + b"%07o\0" % mode + _OWNER + length + _MODIFIED
    after = (kind + target.ljust(_LONGEST_NAME, b"\0") + _MAGIC).ljust(_BLOCK - len(before) - 8, b"\0")
    # The checksum counts its own eight bytes as spaces.
    return before + b"%06o\0 " % (sum(before) + sum(after) + 8 * ord(" ")) + after


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes with the small pieces joined: each piece costs its reader a system call."""
    gathered = bytearray()
    for piece in pieces:
        if len(piece) < PIECE:
            gathered += piece
            if len(gathered) < PIECE:
                continue
            piece = b""
        if gathered:
            yield bytes(gathered)
            gathered.clear()
        if piece:
            yield piece
    if gathered:
        yield bytes(gathered)


# --- as a folder


def _refuse_inside(outdir: Path, tree: Path) -> None:
    if outdir.resolve().is_relative_to(tree.resolve()):
        raise WrongUsage(
            "The folder to write is inside the repository: it would be copied into itself.",
            where=str(outdir),
            fix="Name a folder outside the repository.",
        )


def _claim(outdir: Path) -> bool:
    """Whether the folder was there; it is there now, and it is empty."""
    try:
        outdir.mkdir(parents=True)
    except FileExistsError:
        if outdir.is_dir() and not any(outdir.iterdir()):
            return True
        raise OutputExists(
            "It is there and not an empty folder.",
            where=str(outdir),
            fix="Name a folder that does not exist, or empty this one.",
        ) from None
    except OSError as error:
        raise _unwritable(outdir, error) from error
    return False


def _unwritable(outdir: Path, error: OSError) -> OutputNotWritten:
    return OutputNotWritten(
        f"Nothing can be written there: {error.strerror}.",
        where=str(outdir),
        fix="Name a folder you may write to, on a disk with room.",
    )


def _write(outdir: Path, members: Iterable[Member]) -> None:
    folders = []
    for member in members:
        path = f"{os.fspath(outdir)}/{member.path}"
        match member.kind:
            case "directory":
                os.mkdir(path)  # noqa: PTH102 - a Path per file costs more than the file
                folders.append(path)
            case "link":
                os.symlink(member.target, path)  # noqa: PTH211
                os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)
            case "file":
                _write_file(path, member)
            case _:
                assert_never(member.kind)
    # Last, since every file written into a folder moves its time.
    for path in (*reversed(folders), os.fspath(outdir)):
        os.chmod(path, 0o755)  # noqa: PTH101, S103 - what the tar says, whatever the umask
        os.utime(path, (MODIFIED, MODIFIED))


def _write_file(path: str, member: Member) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(member.content)
        file.flush()
        os.fchmod(descriptor, _mode(member))
        os.utime(descriptor, (MODIFIED, MODIFIED))


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()
