import io
import os
import stat
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2d.errors import ContentDamaged, ContentTooLarge, R2DError, ToolMissing, UnsafeContent
from r2d.events import Event, Warned
from r2d.sources.unpack import Limits, is_archive, looks_like_archive, unpack

Members = list[tuple[tarfile.TarInfo, bytes]]


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in fields.items():
        setattr(entry, key, value)
    return entry, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for entry, content in members:
            archive.addfile(entry, io.BytesIO(content))
    return path


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def tree(into: Path) -> dict[str, str]:
    return {
        str(path.relative_to(into)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(into.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def nothing_stays(tmp_path: Path) -> bool:
    outside = {path.name for path in tmp_path.iterdir()} - {"into", "a"}
    return not outside and not any((tmp_path / "into").iterdir())


# --- what is meant well


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_recognised_by_its_content(tmp_path: Path, into: Path, mode: str) -> None:
    archive = tar(tmp_path / "a", member("README", b"hi"), member("sub/x", b"y"), mode=mode)
    assert is_archive(archive)
    unpack(archive, into)
    assert tree(into) == {"README": "hi", "sub/x": "y"}


def test_a_single_folder_at_the_top_is_left_out_with_its_links_still_right(
    tmp_path: Path, into: Path
) -> None:
    unpack(
        tar(
            tmp_path / "a",
            member("top/README", b"hi"),
            link("top/sub/l", "../README"),
            link("top/m", "sub/l"),
        ),
        into,
    )
    assert tree(into) == {"README": "hi", "m": "-> sub/l", "sub/l": "-> ../README"}
    assert (into / "m").read_text() == "hi"


def test_a_single_file_is_no_folder_to_leave_out(tmp_path: Path, into: Path) -> None:
    unpack(tar(tmp_path / "a", member("README", b"hi")), into)
    assert tree(into) == {"README": "hi"}


def test_modes_are_reduced_to_what_may_run(tmp_path: Path, into: Path) -> None:
    unpack(
        tar(
            tmp_path / "a",
            member("run", b"x", mode=0o6777),
            member("file", b"x", mode=0o000),
            member("b", b""),
        ),
        into,
    )
    assert [stat.S_IMODE((into / name).stat().st_mode) for name in ("run", "file")] == [0o755, 0o644]


def test_a_zip_keeps_what_may_run_and_its_links(tmp_path: Path, into: Path) -> None:
    archive = zipped(
        tmp_path / "a",
        (zip_entry("run", stat.S_IFREG | 0o4755), b"x"),
        (zip_entry("sub/", stat.S_IFDIR | 0o700), b""),
        (zip_entry("link", stat.S_IFLNK | 0o777), b"run"),
        ("win\\dows\\x", b"y"),
    )
    unpack(archive, into)
    assert tree(into) == {"run": "x", "link": "-> run", "win/dows/x": "y"}
    assert stat.S_IMODE((into / "run").stat().st_mode) == 0o755


def test_a_hard_link_is_one_more_name_of_a_file(tmp_path: Path, into: Path) -> None:
    unpack(tar(tmp_path / "a", member("x", b"1"), link("y", "x", tarfile.LNKTYPE)), into)
    assert tree(into) == {"x": "1", "y": "1"}


def test_a_folder_named_twice_is_one_folder(tmp_path: Path, into: Path) -> None:
    folder = member("sub", type=tarfile.DIRTYPE)
    unpack(
        tar(tmp_path / "a", folder, member("sub/x", b"1"), folder, member("./sub/./y", b"2"), member("z")),
        into,
    )
    assert tree(into) == {"sub/x": "1", "sub/y": "2", "z": ""}


def test_names_that_differ_in_case_are_kept_and_told(tmp_path: Path, into: Path) -> None:
    events: list[Event] = []
    unpack(tar(tmp_path / "a", member("README", b"1"), member("readme", b"2")), into, emit=events.append)
    assert tree(into) == {"README": "1", "readme": "2"}
    assert any(isinstance(event, Warned) and "case" in event.problem for event in events)


# --- what is not

HOSTILE: dict[str, Members] = {
    "traversal": [member("../evil", b"x")],
    "traversal within": [member("a/../../evil", b"x")],
    "an absolute path": [member("/tmp/evil", b"x")],
    "a drive": [member("C:evil", b"x")],
    "a link out": [member("b"), link("a", "../../outside")],
    "an absolute link": [link("a", "/etc/passwd")],
    "a file through a link": [link("d", "."), member("d/evil", b"x")],
    "a file through a link out": [link("d", ".."), member("d/evil", b"x")],
    "a link in place of a folder": [member("d/x", b"1"), link("d", "..")],
    "a chain of links": [
        member("a/b/file"),
        link("a/b/c", "../.."),
        link("x", "a/b/c/.."),
        member("other"),
    ],
    "a chain that only lifting makes dangerous": [member("top/x"), link("top/y", "..")],
    "a hard link out": [link("a", "../../etc/passwd", tarfile.LNKTYPE)],
    "a hard link to an absolute path": [link("a", "/etc/passwd", tarfile.LNKTYPE)],
    "a hard link to what is not there": [link("a", "later", tarfile.LNKTYPE), member("later", b"x")],
    "a hard link to a link out": [link("a", "../.."), link("b", "a", tarfile.LNKTYPE)],
    "a device": [member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "a disk": [member("sda", type=tarfile.BLKTYPE)],
    "a pipe": [member("fifo", type=tarfile.FIFOTYPE)],
    "one name twice": [member("x", b"1"), member("x", b"2")],
    "one name twice, spelled differently": [member("x", b"1"), member("./x", b"2")],
    "a file that is a folder": [member("x", b"1"), member("x/y", b"2")],
    "two links of one name": [link("x", "y"), link("x", "z")],
    "a line break in a name": [member("a\nb", b"1")],
    "an escape in a name": [member("a\x1b[2J", b"1")],
    "an escape in a link": [link("a", "\x1b[2J")],
    "a name beyond all file systems": [member("x" * 300, b"1")],
    "a path beyond all file systems": [member("/".join(["x" * 200] * 30), b"1")],
    "a file without a name": [member("./", b"1")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_tars_are_refused_and_leave_nothing(tmp_path: Path, into: Path, members: Members) -> None:
    archive = tar(tmp_path / "a", *members)
    with pytest.raises(UnsafeContent) as caught:
        unpack(archive, into, name="evil.tar.gz")
    assert caught.value.where == "evil.tar.gz"
    assert caught.value.fix
    assert "\x1b" not in str(caught.value)
    assert nothing_stays(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        ("../evil", b"x"),
        ("..\\evil", b"x"),
        ("/etc/evil", b"x"),
        ("C:\\evil", b"x"),
        (zip_entry("link", stat.S_IFLNK | 0o777), b"../../outside"),
        (zip_entry("link", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (zip_entry("link", stat.S_IFLNK | 0o777), b"x" * 5000),
        (zip_entry("null", stat.S_IFCHR | 0o666), b""),
        (zip_entry("fifo", stat.S_IFIFO | 0o666), b""),
        ("a\rb", b"x"),
    ],
)
def test_hostile_zips_are_refused_and_leave_nothing(
    tmp_path: Path, into: Path, entry: tuple[str | zipfile.ZipInfo, bytes]
) -> None:
    with pytest.raises(UnsafeContent):
        unpack(zipped(tmp_path / "a", ("first", b"1"), entry), into)
    assert nothing_stays(tmp_path)


def test_one_name_twice_in_a_zip_is_refused(tmp_path: Path, into: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = zipped(tmp_path / "a", ("x", b"1"), ("x", b"2"))
    with pytest.raises(UnsafeContent, match="two entries"):
        unpack(archive, into)


# --- bombs

SMALL = Limits(files=10, size=1 << 20, ratio=20, ratio_from=1 << 14)


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda path: tar(path, *(member(str(n)) for n in range(11))), "more than 10 files"),
        (lambda path: zipped(path, *((str(n), b"") for n in range(11))), "more than 10 files"),
        (lambda path: tar(path, member("x", os.urandom((1 << 20) + 1))), "more than 1 MiB"),
        (lambda path: zipped(path, ("x", os.urandom((1 << 20) + 1))), "more than 1 MiB"),
        (lambda path: tar(path, member("x", b"\0" * (1 << 19))), "20 times its size"),
        (lambda path: zipped(path, ("x", b"\0" * (1 << 19))), "20 times its size"),
    ],
)
def test_a_bomb_is_stopped_and_leaves_nothing(
    tmp_path: Path, into: Path, build: Callable[[Path], Path], problem: str
) -> None:
    with pytest.raises(ContentTooLarge, match=problem):
        unpack(build(tmp_path / "a"), into, limits=SMALL)
    assert nothing_stays(tmp_path)


def test_a_header_larger_than_any_name_is_not_read_into_memory(tmp_path: Path, into: Path) -> None:
    archive = tmp_path / "a"
    huge = tarfile.TarInfo("header")
    huge.type, huge.size = tarfile.XHDTYPE, 64 << 20
    with tarfile.open(archive, "w:gz") as packed:
        packed.addfile(huge, io.BytesIO(b"\0" * huge.size))
    with pytest.raises(UnsafeContent, match="header"):
        unpack(archive, into)


def test_zeros_after_the_end_of_a_tar_count_as_well(tmp_path: Path, into: Path) -> None:
    import gzip

    plain = tar(tmp_path / "plain", member("x", b"1"), mode="w:")
    archive = tmp_path / "a"
    archive.write_bytes(gzip.compress(plain.read_bytes() + b"\0" * (4 << 20)))
    plain.unlink()
    with pytest.raises(ContentTooLarge):
        unpack(archive, into, limits=SMALL)


# --- damage


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_cut_off_tar_is_damage_and_leaves_nothing(tmp_path: Path, into: Path, mode: str) -> None:
    archive = tar(tmp_path / "a", member("x", os.urandom(50_000)), member("y", b"1"), mode=mode)
    archive.write_bytes(archive.read_bytes()[:30_000])
    with pytest.raises(ContentDamaged):
        unpack(archive, into)
    assert nothing_stays(tmp_path)


def test_garbage_between_the_files_of_a_tar_is_damage(tmp_path: Path, into: Path) -> None:
    archive = tar(tmp_path / "a", member("x", b"1"), mode="w:")
    archive.write_bytes(archive.read_bytes()[:1024] + b"garbage!" * 640)
    with pytest.raises(ContentDamaged):
        unpack(archive, into)


def test_a_zip_whose_content_was_changed_is_damage(tmp_path: Path, into: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x", "content")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes().replace(b"content", b"CONTENT"))
    with pytest.raises(ContentDamaged):
        unpack(tmp_path / "a", into)
    assert nothing_stays(tmp_path)


def test_an_encrypted_zip_says_so(tmp_path: Path, into: Path) -> None:
    archive = zipped(tmp_path / "a", ("x", b"1"))
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + flags, 1)
    archive.write_bytes(content)
    with pytest.raises(ContentDamaged, match="encrypted"):
        unpack(archive, into)


def test_a_compression_nobody_here_knows_is_named(tmp_path: Path, into: Path) -> None:
    archive = zipped(tmp_path / "a", ("x", b"1"))
    content = bytearray(archive.read_bytes())
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", content, content.index(signature) + method, 9)
    archive.write_bytes(content)
    with pytest.raises(ContentDamaged, match="cannot read"):
        unpack(archive, into)


def zst(tmp_path: Path) -> Path:
    from backports import zstd

    plain = tar(tmp_path / "plain", member("README", b"hi"), member("x"), mode="w:")
    archive = tmp_path / "a"
    archive.write_bytes(zstd.compress(plain.read_bytes()))
    plain.unlink()
    return archive


def test_zstandard_is_read(tmp_path: Path, into: Path) -> None:
    unpack(zst(tmp_path), into)
    assert tree(into) == {"README": "hi", "x": ""}


def test_damaged_zstandard_is_damage(tmp_path: Path, into: Path) -> None:
    archive = zst(tmp_path)
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(ContentDamaged):
        unpack(archive, into)


def test_a_python_without_zstandard_says_what_it_takes(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zst(tmp_path)
    for module in ("backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ToolMissing) as caught:
        unpack(archive, into)
    assert "backports.zstd" in (caught.value.fix or "")


def test_a_zip_that_hides_how_many_files_it_holds_is_counted(tmp_path: Path, into: Path) -> None:
    archive = zipped(tmp_path / "a", *((str(number), b"") for number in range(11)))
    content = bytearray(archive.read_bytes())
    struct.pack_into("<HH", content, content.rindex(b"PK\x05\x06") + 8, 1, 1)
    archive.write_bytes(content)
    with pytest.raises(ContentTooLarge):
        unpack(archive, into, limits=SMALL)


def test_a_zip_in_its_large_form_is_counted_and_read(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    archive = zipped(tmp_path / "a", *((str(number), b"x") for number in range(11)))
    assert b"PK\x06\x06" in archive.read_bytes()
    with pytest.raises(ContentTooLarge):
        unpack(archive, into, limits=SMALL)
    unpack(archive, into)
    assert len(tree(into)) == 11


def test_what_is_there_already_is_never_replaced(tmp_path: Path, into: Path) -> None:
    (into / "x").write_text("mine")
    with pytest.raises(UnsafeContent, match="there already"):
        unpack(tar(tmp_path / "a", member("x", b"1"), member("y", b"2")), into)
    assert tree(into) == {"x": "mine"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.zip", True),
        ("A.TAR.GZ", True),
        ("a.tzst", True),
        ("a.csv.gz", False),
        ("zip", False),
        (".zip", False),
    ],
)
def test_a_name_says_whether_a_file_is_an_archive(name: str, expected: bool) -> None:
    assert looks_like_archive(name) is expected


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=2000),
    head=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0"]),
)
def test_bytes_that_are_no_archive_end_in_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes
) -> None:
    folder = tmp_path_factory.mktemp("x")
    (folder / "a").write_bytes(head + content)
    (folder / "into").mkdir()
    with pytest.raises(R2DError):
        unpack(folder / "a", folder / "into")
    assert not any((folder / "into").iterdir())


names = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c"]), max_size=4).map("/".join)


@settings(max_examples=100, deadline=None)
@given(
    entries=st.lists(st.tuples(st.sampled_from(["file", "link", "hard", "folder"]), names, names), max_size=7)
)
def test_whatever_a_tar_holds_nothing_leaves_the_folder(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("x")
    into = folder / "deep" / "into"
    into.mkdir(parents=True)
    kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "folder": tarfile.DIRTYPE}
    members = [
        member(name, b"x") if kind == "file" else member(name, type=kinds[kind], linkname=target)
        for kind, name, target in entries
    ]
    archive = tar(folder / "archive", *members, mode="w:")
    try:
        unpack(archive, into)
    except R2DError:
        assert not any(into.iterdir())
    assert {path.name for path in folder.iterdir()} == {"archive", "deep"}
    assert {path.name for path in into.parent.iterdir()} == {"into"}
    for path in into.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(into.resolve())
