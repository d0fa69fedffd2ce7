"""requirements.txt as pip reads it, split into what needs the repository's files and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import InvalidEnvironmentFile, UnsafeContent
from r2d_buildpacks.python.requirements import Requirements, logical_lines, requirements
from tests.conftest import RepoWith


def read(repo_with: RepoWith, text: str | bytes, **more: str) -> Requirements:
    files = {name.replace("_txt", ".txt"): content for name, content in more.items()}
    return requirements(repo_with({"requirements.txt": text, **files}), "requirements.txt")


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=2,<3; python_version >= '3.10'",
        "pandas[excel]",
        "--index-url https://index.example/simple",
        "-i https://index.example/simple",
        "-e git+https://host.example/o/r.git#egg=x",
        "--editable=git+https://host.example/o/r.git",
        "git+https://host.example/o/r.git@v1",
        "x @ https://host.example/x.whl",
        "-f https://host.example/wheels",
    ],
)
def test_a_line_that_needs_nothing_of_the_repository(repo_with: RepoWith, line: str) -> None:
    found = read(repo_with, line)

    assert (found.packages, found.local) == ((line,), ())


def test_pre_lets_releases_be_taken_that_are_none_yet(repo_with: RepoWith) -> None:
    found = read(repo_with, "--pre\npandas\n")

    assert (found.packages, found.prereleases) == (("pandas",), True)


@pytest.mark.parametrize(
    "line",
    [
        ".",
        "./pkg",
        "../pkg",
        ".[dev]",
        "-e .",
        "--editable=.",
        "-e ./pkg[dev]",
        "pkg/sub",
        "pkg @ file:///srv/x",
        "pkg @ ./x",
        "file:./x",
        "mypkg-1.0-py3-none-any.whl",  # the incumbent misses these three
        "dist/mypkg-1.0.tar.gz",
        "-f ./wheels",
        "--find-links=wheels/more",
    ],
)
def test_a_line_that_means_files_of_the_repository(repo_with: RepoWith, line: str) -> None:
    found = read(repo_with, line)

    assert (found.packages, found.local) == ((), (line,))


def test_comments_and_continued_lines_are_pips(repo_with: RepoWith) -> None:
    found = read(
        repo_with,
        "# -e .\nnumpy \\\n  >=2  # fast\n\nsix==1.0 \\\n    --hash=sha256:ab\nx @ https://h/x#egg=x\n",
    )

    assert found.packages == ("numpy >=2", "six==1.0 --hash=sha256:ab", "x @ https://h/x#egg=x")


def test_included_files_are_read_where_they_are_named(repo_with: RepoWith) -> None:
    found = read(repo_with, "a\n-r more.txt\n-cless.txt\nb\n", more_txt="m\n", less_txt="a<2\n")

    assert found.packages == ("a", "m", "b")
    assert found.constraints == ("a<2",)
    assert found.files == ("requirements.txt", "more.txt", "less.txt")


@pytest.mark.parametrize("text", ["-c base.txt\n-r base.txt\n", "-r base.txt\n-c base.txt\n"])
def test_a_file_may_be_a_list_and_a_constraint_at_once(repo_with: RepoWith, text: str) -> None:
    found = read(repo_with, text, base_txt="numpy==2.0\n")

    assert found.packages == ("numpy==2.0",)
    assert found.constraints == ("numpy==2.0",)
    assert found.files == ("requirements.txt", "base.txt")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-r gone.txt", InvalidEnvironmentFile),
        ("-r requirements.txt", InvalidEnvironmentFile),
        ("-r https://host.example/r.txt", InvalidEnvironmentFile),
        ("-r ../outside.txt", UnsafeContent),
        ("-r /etc/passwd", UnsafeContent),
        ("-r //etc/passwd", UnsafeContent),
    ],
)
def test_what_cannot_be_included_is_refused(repo_with: RepoWith, text: str, problem: type[Exception]) -> None:
    with pytest.raises(problem) as caught:
        read(repo_with, text)

    assert "requirements.txt" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_files_that_windows_wrote_are_read(repo_with: RepoWith, encoding: str) -> None:
    assert read(repo_with, "numpy\r\nsix\r\n".encode(encoding)).packages == ("numpy", "six")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_lines(text: str) -> None:
    numbers = [number for number, _ in logical_lines(text)]

    assert numbers == sorted(numbers)
    assert all("\n" not in line and line == line.strip() for _, line in logical_lines(text))
