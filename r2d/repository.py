"""The only way to look at the files of a checkout; owns the `binder/` and `.binder/` rules."""

import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from r2d.errors import InvalidEnvironmentFile, UnsafeContent

CONFIG_FOLDERS = ("binder", ".binder")

# Files that describe an environment are small; a bigger one is a mistake, and would fill our memory.
LARGEST_FILE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Repository:
    """The files of a checkout, seen as a buildpack sees them."""

    root: Path

    @cached_property
    def config_folder(self) -> str:
        """`binder` or `.binder` where there is one, even an empty one, else the root as ""."""
        present = [name for name in CONFIG_FOLDERS if (self.root / name).is_dir()]
        if len(present) > 1:
            raise InvalidEnvironmentFile(
                "The repository has both binder/ and .binder/, and only one of them can be in force.",
                where="binder/, .binder/",
                fix="Keep one of the two folders.",
            )
        return present[0] if present else ""

    def first(self, *names: str) -> str | None:
        """The first of these files in the config folder in force, named from the root."""
        for name in names:
            path = f"{self.config_folder}/{name}" if self.config_folder else name
            if self.has(path):
                return path
        return None

    def at_root(self, name: str) -> str | None:
        """A file that counts only at the root, and only where no config folder is in force."""
        return name if not self.config_folder and self.has(name) else None

    def shadowed(self, *names: str) -> tuple[str, ...]:
        """Those of these files at the root that a config folder puts out of force."""
        return tuple(name for name in names if self.has(name)) if self.config_folder else ()

    def has(self, path: str) -> bool:
        """Whether there is such a file. A folder of that name is none; a link that leads nowhere is a mistake."""
        file = self.root / path
        try:
            there = file.is_file()
            dangling = not there and file.is_symlink() and not file.exists()
        except OSError:  # a loop of links, a name too long
            return False
        if dangling:
            raise InvalidEnvironmentFile(
                "This is a link to a file that is not there.",
                where=path,
                fix="Add the file, or remove the link.",
            )
        return there

    def read(self, path: str) -> bytes:
        """The bytes of a file, which may be a link but not out of the repository."""
        file = self.root / path
        try:
            inside = file.resolve().is_relative_to(self.root.resolve())
            status = file.stat()
        except (OSError, RuntimeError) as error:  # the second for a loop of links
            raise InvalidEnvironmentFile("There is no such file.", where=path) from error
        if not inside:
            raise UnsafeContent(
                "The file is a link out of the repository.",
                where=path,
                fix="Replace the link by the file it means.",
            )
        if not stat.S_ISREG(status.st_mode):
            raise InvalidEnvironmentFile("This is not a regular file.", where=path)
        if status.st_size > LARGEST_FILE:
            raise InvalidEnvironmentFile(
                f"The file has {status.st_size // 1_000_000} MB: too much to describe an environment.",
                where=path,
            )
        try:
            return file.read_bytes()
        except OSError as error:
            raise InvalidEnvironmentFile(f"The file cannot be read: {error.strerror}.", where=path) from error

    def text(self, path: str) -> str:
        """The text of a file in whichever Unicode encoding it has, line ends as line feeds."""
        content = self.read(path)
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
        try:
            decoded = content.decode(encoding)
        except UnicodeDecodeError as error:
            raise InvalidEnvironmentFile(
                f"The file is not {encoding.upper()} text: byte {error.start} is {content[error.start]:#04x}.",
                where=path,
                fix="Save the file as UTF-8.",
            ) from error
        return decoded.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")

    def beside(self, path: str, reference: str) -> str:
        """The path that `reference` means when it stands in the file `path`, named from the root."""
        parts: list[str] = []
        for part in (PurePosixPath(path).parent / reference).parts:
            if part == ".." and not parts:
                raise UnsafeContent("The path leads out of the repository.", where=f"{path}: {reference}")
            if part == "..":
                parts.pop()
            elif part.startswith("/"):  # two slashes are a root of their own to POSIX
                raise UnsafeContent("The path is absolute.", where=f"{path}: {reference}")
            elif part != ".":
                parts.append(part)
        return "/".join(parts)


# Longest first: the mark of UTF-32-LE begins with the one of UTF-16-LE.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
