"""Addresses as the browser shows them, resolved against a real server."""

from collections.abc import Callable

import pytest
from fetching import Machine, Upstream
from git_server import GitServer

from r2d.errors import SourceNotFound


@pytest.fixture
def hosted(git_server: GitServer, upstream: Callable[[str], Upstream]) -> tuple[str, dict[str, str]]:
    """A repository on a hosting site, and its commits by branch."""
    repository = upstream("org/repo")
    commits = {"main": repository.commit({"folder/a": "main", "nb/index.ipynb": "{}"})}
    repository.git("checkout", "-q", "-b", "feature/x")
    commits["feature/x"] = repository.commit({"folder/a": "feature"})
    repository.git("tag", "feature", "main")
    repository.git("update-ref", "refs/merge-requests/3/head", "main")
    repository.publish()
    return f"{git_server.url}/org/repo", commits


@pytest.mark.parametrize("form", ["/-/tree/", "/src/branch/"])
def test_the_longest_ref_is_split_from_the_folder(
    machine: Machine, hosted: tuple[str, dict[str, str]], form: str
) -> None:
    url, commits = hosted

    checkout = machine.fetch(f"{url}{form}feature/x/folder")

    assert checkout.content == commits["feature/x"]
    assert (checkout.folder / "a").read_text() == "feature"
    assert checkout.subdir == "folder"


def test_a_commit_and_a_folder(machine: Machine, hosted: tuple[str, dict[str, str]]) -> None:
    url, commits = hosted

    checkout = machine.fetch(f"{url}/-/tree/{commits['main'][:9]}/folder")

    assert checkout.content == commits["main"]
    assert (checkout.folder / "a").read_text() == "main"


def test_a_file_is_opened_in_the_whole_repository(
    machine: Machine, hosted: tuple[str, dict[str, str]]
) -> None:
    url, _ = hosted

    checkout = machine.fetch(f"{url}/-/blob/main/nb/index.ipynb")

    assert checkout.open_at == "lab/tree/nb/index.ipynb"
    assert checkout.subdir == ""
    assert (checkout.folder / "folder").is_dir()


def test_a_file_of_any_name_is_opened_by_a_url(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("org/notes")
    repository.commit({"My Note#1?.ipynb": "{}"})
    repository.publish()

    checkout = machine.fetch(f"{git_server.url}/org/notes/-/blob/main/My%20Note%231%3F.ipynb")

    assert checkout.open_at == "lab/tree/My%20Note%231%3F.ipynb"


def test_a_merge_request_is_its_ref(machine: Machine, hosted: tuple[str, dict[str, str]]) -> None:
    url, commits = hosted

    assert machine.fetch(f"{url}/-/merge_requests/3").content == commits["main"]


def test_a_ref_that_is_not_there_is_said(machine: Machine, hosted: tuple[str, dict[str, str]]) -> None:
    with pytest.raises(SourceNotFound, match="featuer/x"):
        machine.fetch(f"{hosted[0]}/-/tree/featuer/x/folder")
