"""Which commit a ref means, asked of a real server."""

from collections.abc import Callable

import pytest
from fetching import Machine, Upstream
from git_server import GitServer

from r2d.errors import SourceNotFound, WrongUsage


def test_without_a_ref_the_default_branch_comes_with_one_commit(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("plain")
    repository.commit({"a": "1"})
    newest = repository.commit({"a": "2"})
    repository.publish()

    checkout = machine.fetch(f"{git_server.url}/plain.git")

    assert checkout.content == newest
    assert (checkout.folder / "a").read_text() == "2"
    assert machine.git(checkout.folder, "rev-list", "--count", "--all") == "1"
    assert machine.git(checkout.folder, "status", "--short", "--branch") == "## main"


@pytest.mark.parametrize("form", ["{b}", "origin/{b}", "refs/heads/{b}", "heads/{b}"])
def test_a_branch_with_a_slash_is_never_taken_for_its_last_part(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], form: str
) -> None:
    repository = upstream("slashes")
    repository.commit({"a": "main"})
    repository.git("checkout", "-q", "-b", "feature/x")
    wanted = repository.commit({"a": "feature"})
    repository.git("branch", "x", "main")
    repository.publish()

    assert machine.fetch(f"{git_server.url}/slashes.git", form.format(b="feature/x")).content == wanted


def test_a_missing_branch_with_a_slash_is_an_error_even_when_its_last_part_exists(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("slashes")
    repository.commit({"a": "main"})
    repository.git("branch", "feature/y")
    repository.publish()

    with pytest.raises(SourceNotFound, match="feature/main") as caught:
        machine.fetch(f"{git_server.url}/slashes.git", "feature/main")
    assert "'main'" in str(caught.value.fix)
    with pytest.raises(SourceNotFound) as caught:
        machine.fetch(f"{git_server.url}/slashes.git", "feature/z")
    assert "Did you mean feature/y?" in str(caught.value.fix)


def test_a_branch_and_a_tag_of_one_name_are_both_named(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("twins")
    tagged = repository.commit({"a": "1"})
    repository.git("tag", "-a", "-m", "t", "v1")
    on_branch = repository.commit({"a": "2"})
    repository.git("update-ref", "refs/heads/v1", on_branch)
    repository.publish()

    with pytest.raises(SourceNotFound) as caught:
        machine.fetch(f"{git_server.url}/twins.git", "v1")
    assert "refs/heads/v1" in caught.value.problem
    assert "refs/tags/v1" in caught.value.problem
    assert machine.fetch(f"{git_server.url}/twins.git", "refs/tags/v1").content == tagged
    assert machine.fetch(f"{git_server.url}/twins.git", "refs/heads/v1").content == on_branch


def test_an_annotated_tag_means_the_commit_it_marks(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("tags")
    marked = repository.commit({"a": "1"})
    repository.git("tag", "-a", "-m", "t", "v1.0")
    repository.commit({"a": "2"})
    repository.publish()

    assert machine.fetch(f"{git_server.url}/tags.git", "v1.0").content == marked


@pytest.mark.parametrize("ref", ["refs/pull/7/head", "pull/7/head"])
def test_a_pull_request_is_fetched_by_its_ref(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], ref: str
) -> None:
    repository = upstream("pulls")
    repository.commit({"a": "1"})
    repository.git("checkout", "-q", "--detach")
    proposed = repository.commit({"a": "proposed"})
    repository.git("update-ref", "refs/pull/7/head", proposed)
    repository.publish()

    assert machine.fetch(f"{git_server.url}/pulls.git", ref).content == proposed


@pytest.mark.parametrize("newest_protocol", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_an_old_commit_is_found_whatever_the_server_allows(
    machine: Machine,
    git_server: GitServer,
    upstream: Callable[[str], Upstream],
    newest_protocol: bool,
    allowed: bool,
) -> None:
    repository = upstream("old")
    old = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    repository.commit({"a": "3"})
    repository.publish()
    repository.allow(any_commit=allowed, filters=allowed)
    git_server.newest_protocol = newest_protocol

    checkout = machine.fetch(f"{git_server.url}/old.git", old)

    assert checkout.content == old
    assert (checkout.folder / "a").read_text() == "1"
    fetched = machine.git(checkout.folder, "rev-list", "--count", "--all")
    everything = not allowed and not newest_protocol
    assert fetched == ("3" if everything else "1")
    assert any("all of it" in str(event) for event in machine.events) == everything


@pytest.mark.parametrize("prefix", ["", "origin/"])
@pytest.mark.parametrize("filters", [True, False])
def test_a_short_hash_of_an_old_commit_is_found_in_the_history(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], filters: bool, prefix: str
) -> None:
    repository = upstream("short")
    old = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    repository.publish()
    repository.allow(filters=filters)

    checkout = machine.fetch(f"{git_server.url}/short.git", f"{prefix}{old[:8]}")

    assert checkout.content == old
    assert machine.git(checkout.folder, "rev-list", "--count", "--all") == "1"


def test_a_tag_that_looks_like_a_hash_is_the_tag(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("dates")
    marked = repository.commit({"a": "1"})
    repository.git("tag", "20240131")
    repository.commit({"a": "2"})
    repository.publish()

    assert machine.fetch(f"{git_server.url}/dates.git", "20240131").content == marked


@pytest.mark.parametrize("ref", ["0123456", "0123456789012345678901234567890123456789"])
def test_a_commit_that_is_not_there_is_said(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], ref: str
) -> None:
    repository = upstream("none")
    repository.commit({"a": "1"})
    repository.publish()

    with pytest.raises(SourceNotFound, match=ref):
        machine.fetch(f"{git_server.url}/none.git", ref)
    assert machine.left == []


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch /x", "-b", "a b", "HEAD~1", "a..b", "main^{tree}", "@{1}", "x\ny"]
)
def test_what_cannot_be_a_ref_reaches_no_program(machine: Machine, ref: str) -> None:
    with pytest.raises(SourceNotFound, match="cannot be the name"):
        machine.fetch("https://example.org/a.git", ref)
    assert machine.calls == ""


def test_an_empty_repository_is_said(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    upstream("empty")

    with pytest.raises(SourceNotFound, match="no commit"):
        machine.fetch(f"{git_server.url}/empty.git")


def test_a_folders_repository_at_another_commit_leaves_the_folder_alone(
    machine: Machine, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("mine")
    old = repository.commit({"a": "1"})
    repository.commit({"a": "2"})

    checkout = machine.fetch(str(repository.work), old)

    assert checkout.content == old
    assert (checkout.folder / "a").read_text() == "1"
    assert (repository.work / "a").read_text() == "2"


def test_a_bare_repository_on_disk_is_git(machine: Machine, upstream: Callable[[str], Upstream]) -> None:
    repository = upstream("bare")
    newest = repository.commit({"a": "1"})
    repository.publish()

    assert machine.fetch(str(repository.published)).content == newest
    assert machine.fetch(repository.published.as_uri()).content == newest


def test_a_web_address_and_another_ref_contradict(machine: Machine) -> None:
    with pytest.raises(WrongUsage):
        machine.fetch("https://github.com/org/repo/tree/main", "v1")
