"""Folders: in place, under one name, and never left by a link."""

import subprocess
import sys
from pathlib import Path

import pytest

from r2d.errors import SourceNotFound, UnsafeContent, WrongUsage
from r2d.sources import Checkout, Network, checkout, recognise, within


@pytest.mark.parametrize("written", [".", "./", "repo/..", "repo", "./repo", "{absolute}"])
def test_a_folder_is_local_however_it_is_written(tmp_path: Path, written: str) -> None:
    (tmp_path / "repo").mkdir()
    text = written.format(absolute=tmp_path)

    found = recognise(text, ref=None, working_folder=tmp_path).fetch(tmp_path, Network(), lambda _: None)

    assert found.source == "local"
    assert found.content is None
    assert found.folder.is_absolute()
    assert not found.temporary


def test_a_folder_in_use_stays_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "temporary").mkdir()
    source = recognise("repo", ref="HEAD", working_folder=tmp_path)

    with checkout(
        source, temporary_root=tmp_path / "temporary", keep=False, network=Network(), emit=lambda _: None
    ) as found:
        assert found.folder == tmp_path / "repo"
    assert (tmp_path / "repo").is_dir()
    assert list((tmp_path / "temporary").iterdir()) == []


class Broken:
    """A source that fails when it has written something that is hard to remove."""

    name = "broken"

    def fetch(self, into: Path, network: Network, emit: object) -> Checkout:
        (into / "locked").mkdir()
        (into / "locked/file").touch()
        (into / "locked").chmod(0o500)
        raise KeyboardInterrupt


def test_a_fetch_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        checkout(Broken(), temporary_root=tmp_path, keep=False, network=Network(), emit=lambda _: None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_slip_of_the_finger_is_told_with_the_near_folder(tmp_path: Path) -> None:
    (tmp_path / "analysis").mkdir()

    with pytest.raises(SourceNotFound) as caught:
        recognise("anaylsis", ref=None, working_folder=tmp_path)
    assert caught.value.fix == "Did you mean ./analysis?"


def test_a_forgotten_scheme_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound) as caught:
        recognise("github.com/org/repo", ref=None, working_folder=tmp_path)
    assert caught.value.fix == "Did you mean https://github.com/org/repo?"


def test_a_ref_of_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no repository"):
        recognise(".", ref="v1", working_folder=tmp_path)


def whole(folder: Path) -> Checkout:
    return Checkout(folder=folder, source="local", content=None)


def test_a_subdir_takes_the_place_of_the_whole(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)

    inner = within(within(whole(tmp_path), "a/./x/.."), "b/")

    assert inner.folder == tmp_path / "a/b"
    assert inner.subdir == "a/b"
    assert within(whole(tmp_path), ".") == whole(tmp_path)


@pytest.mark.parametrize("subdir", ["..", "a/../..", "/etc", "out", "out/deeper", "a/../../x"])
def test_a_subdir_cannot_leave_the_checkout(tmp_path: Path, subdir: str) -> None:
    (tmp_path / "outside/deeper").mkdir(parents=True)
    (tmp_path / "repo/a").mkdir(parents=True)
    (tmp_path / "repo/out").symlink_to(tmp_path / "outside")

    with pytest.raises(UnsafeContent):
        within(whole(tmp_path / "repo"), subdir)


@pytest.mark.parametrize("subdir", ["notebook", "loop", "x\0y", "n" * 300])
def test_a_missing_subdir_is_said(tmp_path: Path, subdir: str) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(SourceNotFound) as caught:
        within(whole(tmp_path), subdir)
    if subdir == "notebook":
        assert caught.value.fix == "Did you mean notebooks?"


def test_a_file_is_no_subdir(tmp_path: Path) -> None:
    (tmp_path / "README").touch()

    with pytest.raises(SourceNotFound, match="a file of this name"):
        within(whole(tmp_path), "README")


def test_recognising_a_folder_imports_no_other_kind(tmp_path: Path) -> None:
    script = """
import sys, pathlib, r2d.sources
r2d.sources.recognise(".", ref=None, working_folder=pathlib.Path("/"))
print(*sorted(name for name in sys.modules if name.startswith("r2d.sources.") or name in ("subprocess", "requests")))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    kinds = ("folder", "near_matches", "protocol", "subfolder")
    assert said.split() == [f"r2d.sources.{kind}" for kind in kinds]


def test_a_slip_in_any_part_of_a_path_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "examples" / "requirements").mkdir(parents=True)

    with pytest.raises(SourceNotFound) as caught:
        recognise("./exmples/requirments", ref=None, working_folder=tmp_path)

    assert caught.value.fix == "Did you mean ./examples/requirements?"
