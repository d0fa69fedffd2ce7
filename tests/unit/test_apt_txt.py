"""apt.txt: names of packages, and nothing that apt-get could take for something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import InvalidEnvironmentFile
from r2d.plan import Apt, Stage
from r2d.testing import plan_of
from r2d_buildpacks.common.apt import parse
from tests.conftest import RepoWith


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("", ()),
        ("# nothing but words\n\n", ()),
        ("vim\ngit\nvim\n", ("git", "vim")),
        ("gcc make  # two on a line\n", ("gcc", "make")),
        (
            "g++\nlibstdc++6 fonts-noto-cjk python3.13\n",
            ("fonts-noto-cjk", "g++", "libstdc++6", "python3.13"),
        ),
        ("gcc=4:12.2.0-3 libc6:i386\n", ("gcc=4:12.2.0-3", "libc6:i386")),
    ],
)
def test_names_of_packages_are_read(text: str, packages: tuple[str, ...]) -> None:
    assert parse(text, "apt.txt") == packages


@pytest.mark.parametrize(
    "word",
    [
        "gcc;",
        "--foo",
        "-y",
        "ppa:x/y",
        "GCC",
        "$(x)",
        "`x`",
        "../x.deb",
        "./x.deb",
        "a",
        "a/unstable",
        "a|b",
        "l*",
        "é",
    ],
)
def test_anything_else_is_refused_with_its_line(word: str) -> None:
    with pytest.raises(InvalidEnvironmentFile) as caught:
        parse(f"git\n{word}\n", "binder/apt.txt")

    assert caught.value.where == "binder/apt.txt:2"
    assert repr(word) in caught.value.problem


def test_a_name_that_would_remove_a_package_is_refused() -> None:
    with pytest.raises(InvalidEnvironmentFile):
        parse("python3-", "apt.txt")


@given(st.text(max_size=40))
def test_whatever_is_accepted_is_no_option_and_no_shell(text: str) -> None:
    try:
        packages = parse(text, "apt.txt")
    except InvalidEnvironmentFile:
        return
    for package in packages:
        assert package[0].isalnum()
        assert not set(package) & set(" \t\n;&|<>$`\"'\\*?[](){}!#/")


def test_an_empty_file_installs_nothing(repo_with: RepoWith) -> None:
    assert plan_of(repo_with({"apt.txt": "# later\n"})).at(Stage.SYSTEM) == ()


def test_line_ends_of_windows_are_no_part_of_a_name(repo_with: RepoWith) -> None:
    assert plan_of(repo_with({"apt.txt": b"git\r\nvim\r\n"})).at(Stage.SYSTEM) == (Apt(("git", "vim")),)
