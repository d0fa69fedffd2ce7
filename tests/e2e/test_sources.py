"""From what a user points at to an image: a commit, an archive."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.machine import Machine

WHO = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *WHO, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: the branch `old` stands on the first."""
    folder = tmp_path / "paper"
    (folder / "analysis").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for state in ("first", "second"):
        (folder / "analysis" / "state.txt").write_text(f"{state}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", state)
        if state == "first":
            git(folder, "branch", "old")
    return folder


def test_a_commit_of_a_repository_becomes_an_image(docker: Machine, repository: Path) -> None:
    name = docker.new_name()
    address = f"file://{repository}"
    built = docker.r2d("build", "-t", name, "--ref", "old", "--subdir", "analysis", address)

    assert built.returncode == 0
    assert docker.tell(name, "cat", "state.txt") == "first"
    assert docker.tell(name, "sh", "-c", "ls -a | grep git || true") == ""
    labels = docker.image(name).labels
    assert (labels["repo2docker.repo"], labels["repo2docker.ref"]) == (address, "old")


def test_the_same_commit_is_not_built_again(docker: Machine, repository: Path) -> None:
    name = docker.new_name()
    docker.r2d("build", "-t", name, f"file://{repository}")
    again = docker.build_events("-t", name, f"file://{repository}")

    assert "image_reused" in [said["event"] for said in again]


def test_an_archive_becomes_an_image(docker: Machine, repository: Path, tmp_path: Path) -> None:
    archive = tmp_path / "paper.tar.gz"
    git(repository, "archive", "--format=tar.gz", "--prefix=paper-1.0/", f"--output={archive}", "HEAD")
    name = docker.new_name()

    assert docker.r2d("build", "-t", name, archive).returncode == 0
    assert docker.tell(name, "cat", "analysis/state.txt") == "second"
    assert docker.image(name).labels["repo2docker.repo"] == "local"
