"""runtime.txt: a language, a version, a day."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import InvalidEnvironmentFile, R2DError, UnsupportedVersion
from r2d.testing import plan_of
from r2d_buildpacks.common.python_version import python_asked
from r2d_buildpacks.common.runtime import Runtime, runtime
from tests.conftest import RepoWith


@pytest.mark.parametrize(
    ("text", "name", "version", "day"),
    [
        ("python-3.12", "python", "3.12", None),
        ("  python-3.12\r\n", "python", "3.12", None),
        ("python-3.10.4", "python", "3.10.4", None),
        ("r-2025-06-22", "r", None, date(2025, 6, 22)),
        ("r-4.4-2025-06-22", "r", "4.4", date(2025, 6, 22)),
        ("a_b/c-0.0.1-2025-06-22", "a_b/c", "0.0.1", date(2025, 6, 22)),
        # Where the incumbent stops, comments are understood.
        ("# the newest\npython-3.12  # fast", "python", "3.12", None),
    ],
)
def test_it_is_understood(
    repo_with: RepoWith, text: str, name: str, version: str | None, day: date | None
) -> None:
    assert runtime(repo_with({"runtime.txt": text})) == Runtime("runtime.txt", name, version, day)


@pytest.mark.parametrize(
    "text",
    [
        "python",
        "python-",
        "-3.12",
        "abc-2025-13-01",
        "abc-2025-02-30",
        "a-1-2",
        "python 3.12",
        "r-4.4-2025-6-1",
        "3.12",
    ],
)
def test_what_names_no_language_with_a_version_is_refused(repo_with: RepoWith, text: str) -> None:
    with pytest.raises(InvalidEnvironmentFile) as caught:
        runtime(repo_with({"runtime.txt": f"# first\n{text}\n"}))

    assert caught.value.where == "runtime.txt:2"
    assert caught.value.fix


@given(st.text(max_size=30))
def test_any_text_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    from r2d.testing import repository_with

    folder = tmp_path_factory.mktemp("any")
    try:
        runtime(repository_with(folder, {"runtime.txt": text}))
    except InvalidEnvironmentFile:
        return


def test_an_empty_file_asks_for_nothing(repo_with: RepoWith) -> None:
    # The incumbent fails on it; a file of comments is what people leave behind.
    assert runtime(repo_with({"runtime.txt": "# python-3.12\n"})) is None


def test_lines_that_are_not_read_are_said(repo_with: RepoWith) -> None:
    ignored = plan_of(repo_with({"runtime.txt": "python-3.12\npython-3.11\n"})).ignored

    assert [each.file for each in ignored] == ["runtime.txt"]
    assert "first line" in ignored[0].because


@pytest.mark.parametrize("version", ["2.7", "3.99", "3.x", "3.12.1.1", "latest"])
def test_an_unknown_python_names_the_known_ones(version: str) -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        python_asked(Runtime("runtime.txt", "python", version))

    assert caught.value.fix
    assert "3.12" in caught.value.fix


@pytest.mark.parametrize("version", ["3.12", "3.12.4"])
def test_the_minor_version_is_what_is_chosen_and_the_reason_is_told(version: str) -> None:
    chosen = python_asked(Runtime("runtime.txt", "python", version))

    assert chosen
    assert chosen.value == "3.12"
    assert f"python-{version}" in chosen.because


def test_a_plan_holds_one_python_with_its_reason(repo_with: RepoWith) -> None:
    def python(text: str) -> tuple[str, str]:
        (choice,) = [
            each for each in plan_of(repo_with({"runtime.txt": text})).chosen if each.what == "python"
        ]
        return choice.value, choice.because

    assert python("python-3.13")[0] == "3.13"
    assert "standalone" not in python("python-3.13")[1]
    assert python("python-3.11")[0] == "3.11"
    assert "standalone" in python("python-3.11")[1]
    assert python("# nothing")[0] == "3.13"


def test_errors_are_ours(repo_with: RepoWith) -> None:
    with pytest.raises(R2DError):
        plan_of(repo_with({"runtime.txt": "python-1"}))
