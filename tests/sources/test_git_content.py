"""The files of one commit: submodules, large files, one folder, and nothing that is executed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fetching import Machine, Upstream
from git_server import GitServer

from r2d.errors import SourceFailed, SourceNotFound, TemporaryFailure, ToolMissing, UnsafeContent


@pytest.mark.parametrize("newest_protocol", [True, False])
def test_submodules_come_at_the_state_of_the_commit_only(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], newest_protocol: bool
) -> None:
    git_server.newest_protocol = newest_protocol
    inner, middle, outer = upstream("inner"), upstream("middle"), upstream("outer")
    inner.commit({"i": "old"})
    inner.publish()
    middle.commit({"m": "1"})
    middle.git("submodule", "--quiet", "add", f"{git_server.url}/inner.git", "deep")
    middle.commit({}, "with inner")
    middle.publish()
    outer.commit({"o": "1"})
    outer.git("remote", "add", "origin", f"{git_server.url}/outer.git")
    outer.git("submodule", "--quiet", "add", "../middle.git", "sub")
    pinned = outer.commit({}, "with middle")
    outer.publish()
    inner.commit({"i": "new"})
    inner.publish()

    checkout = machine.fetch(f"{git_server.url}/outer.git", pinned)

    assert (checkout.folder / "sub/deep/i").read_text() == "old"
    assert machine.git(checkout.folder, "status", "--short") == ""
    if newest_protocol:
        assert machine.git(checkout.folder / "sub", "rev-list", "--count", "--all") == "1"


@pytest.mark.parametrize(
    "address", ["ext::sh -c touch% {0}", "file:///etc", "/etc", "--upload-pack=touch {0}", "fd::3"]
)
def test_a_submodule_cannot_reach_programs_or_files_of_this_machine(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], address: str, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    repository = upstream("hostile")
    repository.commit({".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = "{address.format(trap)}"\n'})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    repository.git("commit", "-qm", "submodule")
    repository.publish()

    with pytest.raises((UnsafeContent, SourceFailed)):
        machine.fetch(f"{git_server.url}/hostile.git")
    assert not trap.exists()
    assert machine.left == []


def test_a_submodules_own_program_is_not_run(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    inner, outer = upstream("inner"), upstream("outer")
    commit = inner.commit({"i": "1"})
    inner.publish()
    outer.commit(
        {
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {git_server.url}/inner.git\n'
            f"\tupdate = !touch {trap}\n"
        }
    )
    outer.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    outer.git("commit", "-qm", "submodule")
    outer.publish()

    with pytest.raises(SourceFailed):
        machine.fetch(f"{git_server.url}/outer.git")
    assert not trap.exists()


def test_the_users_hooks_and_templates_are_not_run(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], tmp_path: Path
) -> None:
    hooks = tmp_path / "template/hooks"
    hooks.mkdir(parents=True)
    trap = tmp_path / "sprung"
    for name in ("post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trap}\n")
        (hooks / name).chmod(0o755)
    Path(machine.environment["HOME"], ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {hooks.parent}\n[core]\n\thooksPath = {hooks}\n"
    )
    repository = upstream("hooks")
    repository.commit({"a": "1"})
    repository.publish()

    checkout = machine.fetch(f"{git_server.url}/hooks.git")

    assert not trap.exists()
    assert not (checkout.folder / ".git/hooks").exists()


def test_only_the_folder_asked_for_is_fetched(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("wide")
    repository.commit({"README": "r", "one/deep/a": "wanted", "two/b": "unwanted " * 100})
    repository.publish()
    repository.allow(filters=True)

    checkout = machine.fetch(f"{git_server.url}/wide.git", subdir="one/deep")

    assert (checkout.folder / "one/deep/a").read_text() == "wanted"
    assert not (checkout.folder / "two").exists()
    missing = machine.git(checkout.folder, "rev-list", "--objects", "--all", "--missing=print")
    assert [line for line in missing.splitlines() if line.startswith("?")]
    assert machine.git(checkout.folder, "status", "--short") == ""
    assert machine.git(checkout.folder, "log", "-1", "--format=%s") == "change"


def test_a_server_without_filters_serves_a_folder_too(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("wide")
    repository.commit({"one/a": "wanted", "two/b": "unwanted"})
    repository.publish()

    checkout = machine.fetch(f"{git_server.url}/wide.git", subdir="one")

    assert sorted(path.name for path in checkout.folder.iterdir()) == [".git", "one"]


def test_a_folder_behind_a_link_comes_with_what_the_link_means(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("linked")
    repository.commit({"real/a": "wanted"})
    (repository.work / "link").symlink_to("real")
    repository.commit({})
    repository.publish()

    checkout = machine.fetch(f"{git_server.url}/linked.git", subdir="link")

    assert (checkout.folder / "link/a").read_text() == "wanted"


def test_a_missing_folder_is_said_before_any_file_comes(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("wide")
    repository.commit({"notebooks/intro/a": "1"})
    repository.publish()

    with pytest.raises(SourceNotFound) as caught:
        machine.fetch(f"{git_server.url}/wide.git", subdir="notebooks/into")
    assert caught.value.fix == "Did you mean notebooks/intro?"


@pytest.fixture
def with_large_file(git_server: GitServer, upstream: Callable[[str], Upstream]) -> Upstream:
    """A repository whose data.bin lies on the LFS server."""
    repository = upstream("large")
    repository.git("lfs", "install", "--local")
    repository.git("lfs", "track", "*.bin")
    repository.commit({"data.bin": "large " * 1000, "small": "s"})
    git_server.keep_large_files(repository.work)
    for name in ("pre-push", "post-commit"):  # what git-lfs put there would push
        (repository.work / ".git/hooks" / name).unlink(missing_ok=True)
    repository.publish()
    return repository


def test_large_files_come_once(machine: Machine, git_server: GitServer, with_large_file: Upstream) -> None:
    checkout = machine.fetch(f"{git_server.url}/large.git")

    assert (checkout.folder / "data.bin").read_text() == "large " * 1000
    assert not (checkout.folder / ".git/lfs").exists()


def test_private_large_files_come_with_the_same_credentials(
    machine: Machine, git_server: GitServer, with_large_file: Upstream
) -> None:
    git_server.user = ("jo", "s3cr3t")

    checkout = machine.fetch(f"{git_server.with_user('jo:s3cr3t')}/large.git")

    assert (checkout.folder / "data.bin").read_text() == "large " * 1000
    assert "s3cr3t" not in machine.calls


def test_without_git_lfs_pointers_are_no_files(
    machine: Machine, git_server: GitServer, with_large_file: Upstream, tmp_path: Path
) -> None:
    programs = tmp_path / "few"
    programs.mkdir()
    for name in ("git", "sh", "sed", "basename", "dirname", "uname"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (programs / name).symlink_to(found)
    machine.environment["PATH"] = str(programs)

    with pytest.raises(ToolMissing) as caught:
        machine.fetch(f"{git_server.url}/large.git")
    assert "data.bin" in str(caught.value)
    assert "Install git-lfs" in str(caught.value)


def test_an_exhausted_lfs_server_is_quoted(
    machine: Machine, git_server: GitServer, with_large_file: Upstream
) -> None:
    git_server.lfs_status = 509

    with pytest.raises((SourceFailed, TemporaryFailure), match="over its data quota"):
        machine.fetch(f"{git_server.url}/large.git")
    assert machine.left == []


def test_an_lfs_server_that_refuses_for_ever_is_given_up(
    machine: Machine, git_server: GitServer, with_large_file: Upstream
) -> None:
    git_server.user = ("jo", "s3cr3t")
    git_server.lfs_status = 401
    machine.timeout, machine.pauses = 1.0, ()

    with pytest.raises((SourceFailed, TemporaryFailure)):
        machine.fetch(f"{git_server.with_user('jo:s3cr3t')}/large.git")


def test_an_lfs_server_cannot_be_a_file_of_this_machine(
    machine: Machine, git_server: GitServer, with_large_file: Upstream
) -> None:
    with_large_file.commit({".lfsconfig": "[lfs]\n\turl = file:///etc\n"})
    with_large_file.publish()

    with pytest.raises(UnsafeContent, match="LFS"):
        machine.fetch(f"{git_server.url}/large.git")
