"""`r2d fetch`: the files in a folder of the user's, or that folder as it was."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fetching import Machine, Upstream
from git_server import GitServer

import r2d
from r2d.errors import OutputExists, OutputNotWritten, SourceNotFound, WrongUsage
from r2d.events import Event, Fetched, Fetching, ignore
from r2d.sources import Checkout, Network, fetch_to, recognise
from tests.sources.record_world import zipped


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "repo.zip"
    path.write_bytes(zipped({"README": "hi", "nb/a.ipynb": "{}"}))
    return path


def brought(archive: Path, folder: Path, *, subdir: str = "") -> tuple[Checkout, list[Event]]:
    events: list[Event] = []
    source = recognise(str(archive), ref=None, working_folder=archive.parent)
    checkout = fetch_to(source, folder, subdir=subdir, network=Network(), emit=events.append)
    return checkout, events


def test_what_is_brought_is_told(archive: Path, tmp_path: Path) -> None:
    checkout, events = brought(archive, tmp_path / "deep/out")

    assert checkout.folder == tmp_path / "deep/out"
    assert (tmp_path / "deep/out/README").read_text() == "hi"
    assert events == [
        Fetching("repo.zip"),
        Fetched(source="repo.zip", folder=str(tmp_path / "deep/out"), content=checkout.content),
    ]


def test_a_subdir_is_where_the_files_are(archive: Path, tmp_path: Path) -> None:
    checkout, _ = brought(archive, tmp_path / "out", subdir="nb")

    assert checkout.folder == tmp_path / "out/nb"
    assert (checkout.folder / "a.ipynb").exists()


def test_a_folder_needs_no_fetching_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    source = recognise("repo", ref=None, working_folder=tmp_path)

    with pytest.raises(WrongUsage, match="nothing to fetch") as caught:
        fetch_to(source, tmp_path / "out", network=Network(), emit=ignore)
    assert caught.value.fix == "Use it as it is."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("subdir", ["missing", "README"])
def test_a_new_folder_goes_with_all_that_was_made_for_it(archive: Path, tmp_path: Path, subdir: str) -> None:
    with pytest.raises(SourceNotFound):
        brought(archive, tmp_path / "made/deep/out", subdir=subdir)
    assert list(tmp_path.iterdir()) == [archive]


def test_an_empty_folder_stays_the_folder_it_was(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "out").symlink_to("real")
    before = (tmp_path / "real").stat()

    with pytest.raises(SourceNotFound):
        brought(archive, tmp_path / "out", subdir="missing")
    after = (tmp_path / "real").stat()
    assert (tmp_path / "out").is_symlink()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert list((tmp_path / "real").iterdir()) == []


class Interrupted:
    """A source that ends early, with something written that is hard to remove."""

    name = "interrupted"

    def fetch(self, into: Path, network: Network, emit: object) -> Checkout:
        (into / "locked").mkdir()
        (into / "locked/file").touch()
        (into / "locked").chmod(0o500)
        (into / "link").symlink_to("locked")
        (into / "file").touch()
        raise KeyboardInterrupt


def test_a_fetch_that_ends_early_leaves_an_empty_folder_empty(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(KeyboardInterrupt):
        fetch_to(Interrupted(), tmp_path / "out", network=Network(), emit=ignore)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_not_touched(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    (tmp_path / "file").touch()

    with pytest.raises(OutputExists):
        brought(archive, tmp_path / "out")
    with pytest.raises(OutputExists):
        brought(archive, tmp_path / "file")
    with pytest.raises(OutputNotWritten):
        brought(archive, tmp_path / "file/out")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/mine"]


def test_only_the_folder_that_is_asked_for_comes_from_git(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("parts")
    repository.commit({"nb/a.ipynb": "{}", "data/large": "x"})
    repository.allow(any_commit=True, filters=True)
    repository.publish()

    ended = _typed(machine, "fetch", f"{git_server.url}/parts.git", "out", "--subdir", "nb")

    assert (ended.returncode, ended.stdout) == (0, "out/nb\n"), ended.stderr
    assert (machine.folder / "out/nb/a.ipynb").exists()
    assert not (machine.folder / "out/data").exists()


def test_an_archive_whose_name_is_no_text_is_fetched(machine: Machine) -> None:
    name = os.fsdecode(b"caf\xe9.zip")
    (machine.folder / name).write_bytes(zipped({"README": "hi"}))

    ended = _typed(machine, "fetch", name, "out", "--log", "log.jsonl")

    assert (ended.returncode, ended.stdout) == (0, "out\n"), ended.stderr
    assert str(machine.folder) not in ended.stderr


def _typed(machine: Machine, *words: str) -> "subprocess.CompletedProcess[str]":
    paths = [str(Path(r2d.__file__).parents[1]), *filter(None, sys.path)]
    return subprocess.run(
        [sys.executable, "-c", "from r2d.cli.main import main; main()", *words],
        cwd=machine.folder,
        env={**machine.environment, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
