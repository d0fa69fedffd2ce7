"""What a buildpack sees of a checkout: the binder/ rules, texts in any encoding, and never a file from outside."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import InvalidEnvironmentFile, R2DError, UnsafeContent
from r2d.repository import LARGEST_FILE, Repository
from tests.conftest import RepoWith


def test_without_a_config_folder_the_root_counts(repo_with: RepoWith) -> None:
    repository = repo_with({"apt.txt": "git", "setup.py": ""})

    assert repository.config_folder == ""
    assert repository.first("environment.yml", "apt.txt") == "apt.txt"
    assert repository.at_root("setup.py") == "setup.py"
    assert repository.shadowed("apt.txt") == ()


@pytest.mark.parametrize("folder", ["binder", ".binder"])
def test_a_config_folder_puts_the_root_out_of_force(repo_with: RepoWith, folder: str) -> None:
    repository = repo_with({f"{folder}/requirements.txt": "", "apt.txt": "git", "setup.py": ""})

    assert repository.first("requirements.txt") == f"{folder}/requirements.txt"
    assert repository.first("apt.txt") is None
    assert repository.at_root("setup.py") is None
    assert repository.shadowed("apt.txt", "setup.py", "postBuild") == ("apt.txt", "setup.py")


def test_an_empty_config_folder_switches_the_root_off_too(repo_with: RepoWith) -> None:
    repository = repo_with({"binder/": "", "apt.txt": "git"})

    assert repository.config_folder == "binder"
    assert repository.first("apt.txt") is None


def test_two_config_folders_are_one_too_many(repo_with: RepoWith) -> None:
    with pytest.raises(InvalidEnvironmentFile) as caught:
        repo_with({"binder/": "", ".binder/": ""}).first("apt.txt")

    assert "binder/" in str(caught.value)
    assert ".binder/" in str(caught.value)
    assert caught.value.fix


def test_a_file_called_binder_is_no_config_folder(repo_with: RepoWith) -> None:
    repository = repo_with({"binder": "my notes", ".binder/apt.txt": "git"})

    assert repository.config_folder == ".binder"


def test_a_folder_named_like_a_file_is_no_file(repo_with: RepoWith) -> None:
    repository = repo_with({"postBuild/": "", "start/script": ""})

    assert repository.first("postBuild", "start") is None


def test_a_config_folder_that_is_a_link_out_of_the_tree_is_refused(
    repo_with: RepoWith, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "apt.txt").write_text("git")
    repository = repo_with({})
    (repository.root / "binder").symlink_to(outside)

    with pytest.raises(UnsafeContent):
        repository.text("binder/apt.txt")


def test_a_link_out_of_the_tree_is_refused_and_its_content_is_not_told(
    repo_with: RepoWith, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hunter2")
    repository = repo_with({})
    (repository.root / "apt.txt").symlink_to("../secret")

    with pytest.raises(UnsafeContent) as caught:
        repository.text("apt.txt")

    assert caught.value.where == "apt.txt"
    assert "hunter2" not in str(caught.value)


def test_a_link_inside_the_tree_is_followed(repo_with: RepoWith) -> None:
    repository = repo_with({"config/apt.txt": "git"})
    (repository.root / "apt.txt").symlink_to("config/apt.txt")

    assert repository.text("apt.txt") == "git"


def test_a_repository_behind_a_link_is_as_good_as_any(repo_with: RepoWith, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo_with({"apt.txt": "git"}).root)

    assert Repository(tmp_path / "link").text("apt.txt") == "git"


def test_a_link_to_a_file_that_is_not_there_is_a_mistake_and_not_an_absence(repo_with: RepoWith) -> None:
    repository = repo_with({})
    (repository.root / "apt.txt").symlink_to("nowhere")

    (repository.root / "start").symlink_to("start")

    for name in ("apt.txt", "start"):
        with pytest.raises(InvalidEnvironmentFile) as caught:
            repository.first(name)
        assert caught.value.where == name


def test_a_name_that_no_file_can_have_is_no_file(repo_with: RepoWith) -> None:
    repository = repo_with({})

    assert not repository.has("x" * 5000)
    assert not repository.has("a\0b")


def test_a_pipe_is_not_waited_for(repo_with: RepoWith) -> None:
    repository = repo_with({})
    os.mkfifo(repository.root / "apt.txt")

    assert repository.first("apt.txt") is None
    with pytest.raises(InvalidEnvironmentFile):
        repository.read("apt.txt")


def test_a_file_that_is_not_there_is_told_by_an_error_of_ours(repo_with: RepoWith) -> None:
    with pytest.raises(R2DError):
        repo_with({}).read("apt.txt")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-marked", "utf-16-be-marked", "utf-32"]
)
def test_every_unicode_encoding_is_read(repo_with: RepoWith, encoding: str) -> None:
    marks = {"utf-16-le-marked": b"\xff\xfe", "utf-16-be-marked": b"\xfe\xff"}
    codec = encoding.removesuffix("-marked")
    repository = repo_with({"requirements.txt": marks.get(encoding, b"") + "naïve\nπ\n".encode(codec)})

    assert repository.text("requirements.txt") == "naïve\nπ\n"


def test_line_ends_of_every_system_become_line_feeds(repo_with: RepoWith) -> None:
    assert repo_with({"apt.txt": b"a\r\nb\rc\n"}).text("apt.txt") == "a\nb\nc\n"


def test_what_is_no_text_is_refused_with_the_byte(repo_with: RepoWith) -> None:
    with pytest.raises(InvalidEnvironmentFile) as caught:
        repo_with({"apt.txt": b"caf\xe9"}).text("apt.txt")

    assert caught.value.where == "apt.txt"
    assert "byte 3 is 0xe9" in caught.value.problem


@given(st.binary(max_size=64))
def test_any_bytes_are_text_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("any", numbered=True)
    (folder / "apt.txt").write_bytes(content)

    try:
        text = Repository(folder).text("apt.txt")
    except InvalidEnvironmentFile:
        return
    assert "\r" not in text


def test_a_file_too_big_to_describe_an_environment_is_refused_unread(repo_with: RepoWith) -> None:
    repository = repo_with({"requirements.txt": ""})
    os.truncate(repository.root / "requirements.txt", LARGEST_FILE + 1)

    with pytest.raises(InvalidEnvironmentFile) as caught:
        repository.read("requirements.txt")

    assert "16 MB" in caught.value.problem


@pytest.mark.parametrize(
    ("file", "reference", "meant"),
    [
        ("requirements.txt", "dev.txt", "dev.txt"),
        ("binder/requirements.txt", "dev.txt", "binder/dev.txt"),
        ("binder/requirements.txt", "../requirements.txt", "requirements.txt"),
        ("a/b/c.txt", "./.././d/../e.txt", "a/e.txt"),
        ("binder/requirements.txt", "..", ""),
    ],
)
def test_a_reference_is_meant_from_the_file_it_stands_in(
    repo_with: RepoWith, file: str, reference: str, meant: str
) -> None:
    assert repo_with({}).beside(file, reference) == meant


@pytest.mark.parametrize("reference", ["../x.txt", "a/../../x.txt", "/etc/passwd", "../../../etc/passwd"])
def test_a_reference_out_of_the_repository_is_refused(repo_with: RepoWith, reference: str) -> None:
    with pytest.raises(UnsafeContent) as caught:
        repo_with({}).beside("requirements.txt", reference)

    assert caught.value.where
    assert reference in caught.value.where


@given(
    st.lists(st.sampled_from(["..", ".", "a", "b.txt", "", "//", "...", "a b"]), max_size=8),
    st.sampled_from(["r.txt", "binder/r.txt"]),
)
def test_no_reference_ever_leaves_the_repository(parts: list[str], file: str) -> None:
    root = Path("/srv/checkout")
    try:
        meant = Repository(root).beside(file, "/".join(parts))
    except UnsafeContent:
        return
    assert Path(os.path.normpath(root / meant)).is_relative_to(root)
