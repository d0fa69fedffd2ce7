"""The build context: the same bytes for the same content, in little memory, never a lie about what was read."""

import io
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2d.context import MODIFIED, PIECE, context_tar, tree_digest, walk, write_folder
from r2d.errors import OutputExists, RepositoryChanged, UnreadableFile, WrongUsage
from r2d.events import Event, Warned
from r2d.ignore_rules import IgnoreRules
from r2d.plan import ContextFile

NOTHING_IGNORED = IgnoreRules.parse([])
OWN_FILES = (ContextFile("r2d/b/run.sh", b"echo", executable=True), ContextFile("r2d/a.txt", b"a"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of its own, apart from what a test writes beside it."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def packed(tree: Path, rules: IgnoreRules = NOTHING_IGNORED) -> bytes:
    return b"".join(context_tar("FROM x\n", OWN_FILES, tree, rules))


def members(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: member for member in archive}


def kept(tree: Path, text: str) -> list[str]:
    return [found.path for found in walk(tree, IgnoreRules.parse([text]))]


def write(tree: Path, *paths: str) -> None:
    for path in paths:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)


# --- what it holds


def test_the_dockerfile_comes_first_then_our_files_then_the_tree(tree: Path, tmp_path: Path) -> None:
    write(tree, "a/x", "a-b", "a.txt")
    tool = tmp_path / "uv-binary"
    tool.write_bytes(b"tool")
    tool.chmod(0o700)
    tar = b"".join(context_tar("FROM x\n", OWN_FILES, tree, NOTHING_IGNORED, [("r2d/bin/uv", tool)]))
    names = list(members(tar))
    assert names[:7] == ["Dockerfile", "r2d", "r2d/a.txt", "r2d/b", "r2d/b/run.sh", "r2d/bin", "r2d/bin/uv"]
    assert names[7:] == ["src", "src/a", "src/a/x", "src/a-b", "src/a.txt"]
    assert members(tar)["r2d/bin/uv"].mode == members(tar)["r2d/b/run.sh"].mode == 0o755
    assert members(tar)["r2d/a.txt"].mode == 0o644


def test_an_empty_tree_is_a_folder_everybody_can_enter(tree: Path) -> None:
    source = members(packed(tree))["src"]
    assert source.isdir()
    assert source.mode == 0o755


def test_nobody_owns_the_members_and_their_time_is_fixed(tree: Path) -> None:
    write(tree, "a/x")
    for member in members(packed(tree)).values():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == MODIFIED


def test_links_stay_links_wherever_they_lead(tree: Path) -> None:
    targets = {
        "absolute": "/etc/passwd",
        "out": "../../secret",
        "dangling": "nowhere",
        "long": "x" * 300,
        "loop": "loop",
    }
    for name, target in targets.items():
        (tree / name).symlink_to(target)
    (tree / "folder").symlink_to("/etc", target_is_directory=True)
    found = members(packed(tree))
    assert {name: found[f"src/{name}"].linkname for name in targets} == targets
    assert found["src/folder"].issym()
    assert not any(name.startswith("src/folder/") for name in found)


def test_hard_links_are_files_of_their_own(tree: Path) -> None:
    (tree / "one").write_text("same")
    (tree / "two").hardlink_to(tree / "one")
    found = members(packed(tree))
    assert found["src/one"].isreg()
    assert found["src/two"].isreg()
    assert found["src/two"].size == 4


def test_pipes_and_sockets_are_left_out_aloud_and_never_opened(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    os.mkfifo("pipe")
    os.mkfifo("ignored")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        said: list[Event] = []
        tar = b"".join(context_tar("", (), tree, IgnoreRules.parse(["ignored"]), emit=said.append))
    assert list(members(tar)) == ["Dockerfile", "src"]
    assert [event.problem.split()[0] for event in said if isinstance(event, Warned)] == ["pipe", "socket"]


STRANGE_NAMES = [
    b"bytes\xff\xfe",
    b"line\nbreak",
    "umlaut-ä-☺".encode(),
    b"-rf",
    b"sp ace ",
    b"n" * 255,
    b"d" * 200 + b"/" + b"e" * 200,
    b"x" * 96,  # with src/ exactly what the header holds
    b"x" * 97,
]


def test_names_of_any_bytes_and_length_arrive(tree: Path) -> None:
    for name in STRANGE_NAMES:
        path = tree / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name)
    with tarfile.open(fileobj=io.BytesIO(packed(tree))) as archive:
        for name in STRANGE_NAMES:
            content = archive.extractfile(os.fsdecode(b"src/" + name))
            assert content
            assert content.read() == name


def test_a_deep_tree_needs_no_recursion(tree: Path) -> None:
    depth = (4000 - len(os.fspath(tree))) // 2
    assert depth > sys.getrecursionlimit()
    for level in range(1, depth + 1):
        (tree / "/".join("d" * level)).mkdir()
    try:
        assert sum(1 for _ in walk(tree, NOTHING_IGNORED)) == depth
        assert len(tree_digest(tree, NOTHING_IGNORED)) == 64
    finally:
        # What removes temporary folders does need recursion.
        subprocess.run(["rm", "-r", tree / "d"], check=True)


# --- what stays out


def test_an_exception_brings_its_folders_along_and_nothing_else(tree: Path) -> None:
    write(tree, "data/raw/a.csv", "data/raw/b.bin", "data/other/c", "data/zero", "readme")
    assert kept(tree, "data\n!data/raw/*.csv") == ["data", "data/raw", "data/raw/a.csv", "readme"]


def test_a_folder_that_stays_out_is_not_even_listed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree, "secret/x", "open/y")
    listed: list[str] = []
    scandir = os.scandir

    def recording(path: str) -> object:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recording)
    assert kept(tree, "secret\n!open/y") == ["open", "open/y"]
    assert not any("secret" in path for path in listed)


# --- reproducible


def furnish(folder: Path, seed: int) -> None:
    """The same content, made in another order, with other times and another umask."""
    files = [f"{'sub/' * (number % 3)}file{number}" for number in range(40)]
    shuffled = random.Random(seed)
    shuffled.shuffle(files)
    before = os.umask([0o022, 0o077, 0o002][seed % 3])
    try:
        for name in files:
            write(folder, name)
            os.utime(folder / name, (shuffled.randrange(2**31), shuffled.randrange(2**31)))
            if name.endswith("7"):
                (folder / name).chmod([0o755, 0o700, 0o775][seed % 3])
        (folder / "link").symlink_to("file1")
        (folder / "empty").mkdir()
    finally:
        os.umask(before)


@pytest.mark.parametrize("seed", [1, 2])
def test_order_times_and_umask_of_the_checkout_change_no_byte(tmp_path: Path, seed: int) -> None:
    for name, number in (("one", 0), ("other", seed)):
        (tmp_path / name).mkdir()
        furnish(tmp_path / name, number)
    one, other = tmp_path / "one", tmp_path / "other"
    assert packed(one) == packed(other)
    assert tree_digest(one, NOTHING_IGNORED) == tree_digest(other, NOTHING_IGNORED)


def test_our_files_may_come_in_any_order(tree: Path) -> None:
    one = b"".join(context_tar("", OWN_FILES, tree, NOTHING_IGNORED))
    assert one == b"".join(context_tar("", reversed(OWN_FILES), tree, NOTHING_IGNORED))


def alter_content(tree: Path) -> None:
    (tree / "file3").write_text("other")


def alter_name(tree: Path) -> None:
    (tree / "file3").rename(tree / "file3b")


def alter_mode(tree: Path) -> None:
    (tree / "file3").chmod(0o755)


def alter_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("file2")


def alter_kind(tree: Path) -> None:
    (tree / "empty").rmdir()
    (tree / "empty").touch()


def alter_folders(tree: Path) -> None:
    (tree / "empty2").mkdir()


@pytest.mark.parametrize(
    "alter",
    [alter_content, alter_name, alter_mode, alter_link, alter_kind, alter_folders],
    ids=lambda alter: alter.__name__,
)
def test_what_counts_changes_the_digest(tree: Path, alter: Callable[[Path], None]) -> None:
    furnish(tree, 0)
    before = tree_digest(tree, NOTHING_IGNORED)
    alter(tree)
    assert tree_digest(tree, NOTHING_IGNORED) != before


def test_what_is_ignored_changes_no_digest(tree: Path) -> None:
    write(tree, "a", ".git/config")
    rules = IgnoreRules.parse([], always=(".git",))
    before = tree_digest(tree, rules)
    write(tree, ".git/index")
    assert tree_digest(tree, rules) == before


# --- all ways of looking agree


def shape(folder: Path) -> dict[str, tuple[str, object]]:
    """Everything below a folder, by path: what it is and what it holds."""
    described: dict[str, tuple[str, object]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            described[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            described[name] = ("directory", None)
        else:
            described[name] = (
                "executable" if path.stat().st_mode & stat.S_IXUSR else "file",
                path.read_bytes(),
            )
    return described


def assert_every_reader_gives_the_tree_back(tree: Path, room: Path) -> None:
    expected = shape(tree)
    tar = packed(tree)
    by_tar, by_tarfile, by_folder = room / "tar", room / "tarfile", room / "folder"
    by_tar.mkdir()
    subprocess.run(["tar", "-x", "-C", by_tar], input=tar, check=True)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        archive.extractall(by_tarfile, filter="fully_trusted")
    write_folder(by_folder, "FROM x\n", OWN_FILES, tree, NOTHING_IGNORED)
    for folder in (by_tar, by_tarfile, by_folder):
        assert shape(folder / "src") == expected
    assert shape(by_folder) == shape(by_tar)


def test_tar_and_tarfile_and_the_folder_give_the_tree_back(tree: Path, tmp_path: Path) -> None:
    furnish(tree, 0)
    (tree / "large").write_bytes(os.urandom(2 * PIECE + 5))
    assert_every_reader_gives_the_tree_back(tree, tmp_path)


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
CONTENTS = st.one_of(
    st.binary(max_size=2000).map(lambda content: ("file", content)),
    st.binary(max_size=20).map(lambda content: ("executable", content)),
    NAMES.map(lambda target: ("link", target)),
)
TREES = st.recursive(CONTENTS, lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=12)


def make(folder: Path, content: object) -> None:
    match content:
        case ("link", str(target)):
            folder.symlink_to(target)
        case (kind, bytes(text)):
            folder.write_bytes(text)
            folder.chmod(0o755 if kind == "executable" else 0o644)
        case dict():
            folder.mkdir()
            for name, below in content.items():
                make(folder / name, below)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_any_tree_comes_back_as_it_was(content: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as room:
        tree = Path(room) / "tree"
        make(tree, content)
        assert_every_reader_gives_the_tree_back(tree, Path(room))


# --- files that change, files that cannot be read


def pieces_after_the_first(tree: Path) -> Iterator[bytes]:
    pieces = context_tar("", (), tree, NOTHING_IGNORED)
    next(pieces)
    return pieces


@pytest.mark.parametrize("size", [0, PIECE, 3 * PIECE - 1, 4 * PIECE])
def test_a_file_that_changes_its_size_while_it_is_read_stops_the_stream(tree: Path, size: int) -> None:
    changing = tree / "changing"
    changing.write_bytes(bytes(3 * PIECE))
    pieces = pieces_after_the_first(tree)
    os.truncate(changing, size)
    with pytest.raises(RepositoryChanged) as caught:
        list(pieces)
    assert caught.value.where == "changing"


def test_a_file_rewritten_in_place_while_it_is_read_stops_the_stream(tree: Path) -> None:
    changing = tree / "changing"
    changing.write_bytes(bytes(3 * PIECE))
    pieces = pieces_after_the_first(tree)
    with changing.open("r+b") as file:
        file.write(b"x")
    os.utime(changing, (1, 1))
    with pytest.raises(RepositoryChanged):
        list(pieces)


@pytest.mark.parametrize("becomes", ["nothing", "link", "pipe", "folder"])
def test_a_file_that_is_something_else_by_now_stops_the_stream(tree: Path, becomes: str) -> None:
    (tree / "a").write_bytes(bytes(3 * PIECE))
    (tree / "b").touch()
    pieces = pieces_after_the_first(tree)
    (tree / "b").unlink()
    match becomes:
        case "link":
            (tree / "b").symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(tree / "b")
        case "folder":
            (tree / "b").mkdir()
    with pytest.raises(RepositoryChanged) as caught:
        list(pieces)
    assert caught.value.where == "b"


@pytest.mark.parametrize("opener", ["open", "scandir"])
def test_what_cannot_be_read_is_named_with_the_way_to_leave_it_out(
    tree: Path, monkeypatch: pytest.MonkeyPatch, opener: str
) -> None:
    write(tree, "sub/locked\n")
    real = getattr(os, opener)

    def refusing(path: str, *rest: int) -> object:
        # The owner of this process may be allowed everything, so that no mode would refuse it.
        if "sub" in path:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(os, opener, refusing)
    with pytest.raises(UnreadableFile) as caught:
        packed(tree)
    assert caught.value.where in ("sub/locked\\n", "sub/")
    assert ".dockerignore" in (caught.value.fix or "")


# --- as a folder


def test_a_folder_has_the_modes_and_times_of_the_tar(tree: Path, tmp_path: Path) -> None:
    furnish(tree, 0)
    before = os.umask(0o077)
    try:
        write_folder(tmp_path / "out", "FROM x\n", OWN_FILES, tree, NOTHING_IGNORED)
    finally:
        os.umask(before)
    for name, member in members(packed(tree)).items():
        status = (tmp_path / "out" / name).lstat()
        assert status.st_mtime == MODIFIED
        assert member.issym() or stat.S_IMODE(status.st_mode) == member.mode


@pytest.mark.parametrize("inside", [".", "out", "deep/out"])
def test_a_folder_inside_the_repository_is_refused(tree: Path, inside: str) -> None:
    with pytest.raises(WrongUsage):
        write_folder(tree / inside, "", (), tree, NOTHING_IGNORED)
    assert not any(tree.iterdir())


def test_a_way_into_the_repository_by_a_link_is_refused_too(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    with pytest.raises(WrongUsage):
        write_folder(tmp_path / "link" / "out", "", (), tree, NOTHING_IGNORED)


def test_a_folder_that_holds_something_is_left_alone(tree: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", "mine")
    with pytest.raises(OutputExists):
        write_folder(tmp_path / "out", "", (), tree, NOTHING_IGNORED)
    assert shape(tmp_path / "out") == {"mine": ("file", b"mine")}


def test_a_file_where_the_folder_should_be_is_left_alone(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputExists):
        write_folder(tmp_path / "out", "", (), tree, NOTHING_IGNORED)


@pytest.mark.parametrize("was_there", [True, False])
def test_a_folder_that_failed_is_left_as_it_was(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    write(tree, "sub/a")
    out = tmp_path / "out"
    if was_there:
        out.mkdir()

    def failing(_path: str) -> str:
        raise PermissionError(13, "Permission denied")

    (tree / "z").symlink_to("a")
    monkeypatch.setattr(os, "readlink", failing)
    with pytest.raises(UnreadableFile):
        write_folder(out, "FROM x\n", OWN_FILES, tree, NOTHING_IGNORED)
    assert out.exists() is was_there
    assert not was_there or not any(out.iterdir())


# --- memory


def peak_growth(tree: Path, then: str) -> int:
    """How many bytes a process of its own needed more than before, for a walk through a context."""
    script = textwrap.dedent(f"""
        import resource, sys
        from pathlib import Path
        from r2d.context import context_tar, tree_digest
        from r2d.ignore_rules import IgnoreRules
        tree, rules = Path(sys.argv[1]), IgnoreRules.parse([])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        {then}
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    ran = subprocess.run([sys.executable, "-c", script, tree], capture_output=True, text=True, check=True)
    return int(ran.stdout) * 1024


def test_two_gigabytes_pass_in_little_memory(tree: Path) -> None:
    with (tree / "huge").open("wb") as file:
        file.truncate(2 << 30)
    assert peak_growth(tree, "assert sum(map(len, context_tar('', (), tree, rules))) > 2 << 30") < 60 << 20


def test_many_small_files_pass_in_little_memory(tree: Path) -> None:
    for number in range(5000):
        (tree / f"file{number}").touch()
    try:
        assert (
            peak_growth(tree, "assert sum(map(len, context_tar('', (), tree, rules))) > 5000 * 512")
            < 20 << 20
        )
    finally:
        shutil.rmtree(tree)
