"""Mercurial repositories over the real hg serve."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fetching import Machine

from r2d.errors import SourceNotFound, TemporaryFailure, ToolMissing


@dataclass(frozen=True)
class Served:
    """A repository behind hg serve, with its commits by message."""

    url: str
    folder: Path
    commits: dict[str, str]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "hg"
    environment = {**os.environ, "HGRCPATH": "", "HGUSER": "a", "HGPLAIN": "1"}

    def hg(*arguments: str) -> str:
        command = ["hg", "--cwd", str(folder), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    subprocess.run(["hg", "init", folder], env=environment, check=True)
    for message, before in (
        ("first", ()),
        ("marked", ("bookmark", "a-bookmark")),
        ("branched", ("branch", "-q", "a-branch")),
    ):
        if before:
            hg(*before)
        (folder / "a").write_text(message)
        hg("commit", "-A", "-m", message)
    listed = hg("log", "--template", "{desc} {node}\n").splitlines()
    running = subprocess.Popen(
        ["hg", "-R", folder, "serve", "--address", "127.0.0.1", "--port", "0", "--print-url"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    url = f"http://127.0.0.1:{running.stdout.readline().strip().rstrip('/').rpartition(':')[2]}/"
    yield Served(url, folder, dict(line.split() for line in listed))
    running.terminate()
    running.wait()
    running.stdout.close()


@pytest.mark.parametrize(
    ("ref", "message"), [("a-bookmark", "branched"), ("a-branch", "branched"), (None, "marked")]
)
def test_a_bookmark_and_a_branch_are_their_newest_commit(
    machine: Machine, served: Served, ref: str | None, message: str
) -> None:
    checkout = machine.fetch(f"hg+{served.url}", ref)

    assert checkout.content == served.commits[message]
    assert (checkout.folder / "a").read_text() == message


@pytest.mark.parametrize("length", [12, 40])
def test_a_hash_is_its_commit(machine: Machine, served: Served, length: int) -> None:
    commit = served.commits["first"]

    assert machine.fetch(f"hg+{served.url}", commit[:length]).content == commit


def test_a_folders_repository_at_another_commit(machine: Machine, served: Served) -> None:
    checkout = machine.fetch(str(served.folder), served.commits["first"])

    assert (checkout.folder / "a").read_text() == "first"
    assert (served.folder / "a").read_text() == "branched"


def test_an_unknown_name_offers_a_near_one(machine: Machine, served: Served) -> None:
    with pytest.raises(SourceNotFound) as caught:
        machine.fetch(f"hg+{served.url}", "a-brunch")
    assert caught.value.fix == "Did you mean a-branch?"
    assert machine.left == []


def test_credentials_stay_out_of_the_checkout(machine: Machine, served: Served) -> None:
    address = served.url.replace("http://", "hg+http://jo:s3cr3t@")

    checkout = machine.fetch(address)

    files = b"".join(path.read_bytes() for path in checkout.folder.rglob("*") if path.is_file())
    assert b"s3cr3t" not in files
    assert "s3cr3t" not in f"{checkout}{machine.events}"


def test_a_server_that_is_not_there_may_come_back(machine: Machine) -> None:
    with pytest.raises(TemporaryFailure):
        machine.fetch("hg+http://127.0.0.1:1/a")


def test_without_hg_only_mercurial_sources_fail(machine: Machine, tmp_path: Path) -> None:
    machine.environment["PATH"] = str(tmp_path)

    with pytest.raises(ToolMissing, match="hg is not installed"):
        machine.fetch("hg+https://example.org/a")
