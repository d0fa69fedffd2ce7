"""What r2d writes is read back as what was meant, whatever the values, and by every engine there is."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import r2d
import r2d_buildpacks
from r2d.dockerfile import MOUNTED, Rendered, UnquotableValue, quoted, render
from r2d.errors import WrongUsage
from r2d.plan import Apt, Cache, ContextFile, Env, OnPath, Place, Plan, Run, Stage, steps
from r2d.testing import plan_of, repository_with, target
from tests.conftest import RepoWith

EVERYTHING = {
    "binder/requirements.txt": "numpy\n-e .\n",
    "binder/runtime.txt": "python-3.12",
    "binder/apt.txt": "git vim",
    "binder/postBuild": "true",
    "binder/start": 'exec "$@"',
}
SCRIPT = ContextFile("do.sh", b"true\n")

# Everything that has no line break and no control character in it, and the characters that mean something most often.
PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
VALUES = PLAIN | st.text("\"'\\$`{}#= \u00e9\\", max_size=12)


def rendered(plan: Plan, **more: object) -> Rendered:
    return render(plan, target(), base_image="debian:trixie", **more)  # type: ignore[arg-type]


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with what follows them, comments gone and continued lines joined."""
    found: list[tuple[str, str]] = []
    begun = ""
    for line in dockerfile.split("\n"):
        if line.lstrip().startswith("#") or (not begun and not line.strip()):
            continue
        if continued := re.fullmatch(r"(.*[^\\])\\[ \t]*", line):
            begun += continued[1]
            continue
        word, _, rest = (begun + line).strip().partition(" ")
        found.append((word, rest.strip()))
        begun = ""
    assert not begun
    return found


def assignments(text: str) -> dict[str, str]:
    """NAME="VALUE" … as the engines read it: backslashes quote within double quotes, a bare dollar sign expands."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        name, _, _ = text[position:].partition("=")
        position += len(name) + 1
        assert text[position] == '"', text
        position += 1
        value = ""
        while text[position] != '"':
            if text[position] == "\\" and text[position + 1] in '"\\$':
                position += 1
            else:
                assert text[position] != "$", "this would be expanded"
            value += text[position]
            position += 1
        found[name.strip()] = value
        position += 1
        assert text[position : position + 1] in ("", " ")
        position += 1
    return found


def only(dockerfile: str, word: str) -> list[str]:
    return [rest for each, rest in instructions(dockerfile) if each == word]


def mounts(dockerfile: str) -> list[dict[str, str]]:
    return [
        dict(part.partition("=")[::2] for part in mount.split(","))
        for rest in only(dockerfile, "RUN")
        for mount in re.findall(r"--mount=(\S+)", rest)
    ]


@pytest.fixture
def everything(repo_with: RepoWith) -> Rendered:
    return rendered(plan_of(repo_with(EVERYTHING)), network=(ContextFile("network.sh", b""),))


# --- quoting


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True), VALUES, min_size=1, max_size=4
    )
)
def test_variables_are_read_back_as_they_were_meant(variables: dict[str, str]) -> None:
    text = rendered(steps(Stage.BASE, Env(tuple(variables.items())))).dockerfile

    assert assignments(only(text, "ENV")[0]) == variables


@given(VALUES)
def test_a_label_is_read_back_as_it_was_meant(value: str) -> None:
    text = rendered(Plan(), labels=(("some.label", value),)).dockerfile

    assert [assignments(rest) for rest in only(text, "LABEL")] == [{"some.label": value}]


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=2))
def test_the_arguments_of_a_script_are_read_back_as_they_were_meant(
    args: list[str], values: list[str]
) -> None:
    variables = tuple((f"V{number}", value) for number, value in enumerate(values))
    step = Run(SCRIPT, args=tuple(args), variables=variables)

    (rest,) = only(rendered(steps(Stage.BASE, step)).dockerfile, "RUN")

    command = json.loads(re.sub(r"^(--mount=\S+ +)+", "", rest))
    env = ["env", *(f"{name}={value}" for name, value in variables)] if variables else []
    assert command == [*env, "sh", f"{MOUNTED}/do.sh", *args]


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\0", "\x1b", "\x85", "\x0b", "\x0c", "\u2028", "\u2029", "\x7f"]
)
def test_what_would_start_a_new_instruction_is_refused_everywhere(character: str) -> None:
    bad = f"a{character}USER root"
    for value in (bad, (bad,)):
        with pytest.raises(UnquotableValue):
            quoted(value)
    for step in (
        Env((("A", bad),)),
        Env(((bad, "a"),)),
        OnPath((f"/{bad}",)),
        Place(SCRIPT, f"/{bad}"),
        Place(replace(SCRIPT, path=bad), "/a"),
        Run(SCRIPT, args=(bad,)),
        Run(SCRIPT, why=bad),
        Run(SCRIPT, variables=(("A", bad),)),
        Run(SCRIPT, caches=(Cache(bad),)),
        Run(SCRIPT, tools=(bad,)),
        Run(replace(SCRIPT, path=bad)),
    ):
        with pytest.raises(UnquotableValue):
            rendered(steps(Stage.BASE, step))
    for label in (("a", bad), (bad, "a")):
        with pytest.raises(WrongUsage):
            rendered(Plan(), labels=(label,))
    with pytest.raises(UnquotableValue):
        render(Plan(), target(), base_image=bad)
    with pytest.raises(UnquotableValue):
        render(Plan(), replace(target(), user=bad), base_image="a")
    with pytest.raises(UnquotableValue):
        render(Plan(), replace(target(), repo_dir=f"/{bad}"), base_image="a")


@pytest.mark.parametrize(
    "step",
    [
        Run(SCRIPT, caches=(Cache("a,target=/etc"),)),
        Run(SCRIPT, tools=("../etc/passwd",)),
        Run(replace(SCRIPT, path="../../Dockerfile")),
        Run(SCRIPT, files=(ContextFile("a/../../b", b""),)),
        Place(SCRIPT, "/etc/$HOME"),
        Place(SCRIPT, "relative"),
        OnPath(("/a:/b",)),
        OnPath(("/$HOME",)),
    ],
    ids=repr,
)
def test_a_value_that_would_mean_something_else_is_refused(step: Run | Place | OnPath) -> None:
    with pytest.raises(UnquotableValue):
        rendered(steps(Stage.BASE, step))


@pytest.mark.parametrize("base_image", ["", "a b", "debian AS x", "--platform=x", "$BASE", "a\\"])
def test_a_base_image_is_a_reference_and_nothing_else(base_image: str) -> None:
    with pytest.raises(UnquotableValue):
        render(Plan(), target(), base_image=base_image)


# --- what engines read


def test_instructions_keep_to_what_buildkit_20_10_and_buildah_1_28_read(everything: Rendered) -> None:
    flags = {
        "FROM": set(),
        "RUN": {"--mount"},
        "COPY": {"--chown", "--chmod"},
        "ENV": set(),
        "LABEL": set(),
        "USER": set(),
        "WORKDIR": set(),
        "EXPOSE": set(),
        "ENTRYPOINT": set(),
        "CMD": set(),
    }
    for word, rest in instructions(everything.dockerfile):
        assert word in flags
        used = {flag.partition("=")[0] for flag in re.match(r"(--\S+\s+)*", rest)[0].split()}  # type: ignore[index]
        assert used <= flags[word], (word, rest)
    assert "<<" not in everything.dockerfile
    assert not re.search(r"^#\s*\w+\s*=", everything.dockerfile, re.M)


def test_mounts_are_of_the_kinds_that_every_engine_has_and_never_writable(everything: Rendered) -> None:
    for mount in mounts(everything.dockerfile):
        assert mount["type"] in ("bind", "cache")
        assert set(mount) <= {"type", "id", "from", "source", "target", "uid", "gid", "sharing"}
        assert mount["target"] == MOUNTED or mount["target"].startswith(f"{MOUNTED}/")


def test_whatever_is_read_is_in_the_context(everything: Rendered) -> None:
    paths = {file.path for file in everything.files} | {f"r2d/bin/{tool}" for tool in everything.tools}
    sources = [
        mount["source"]
        for mount in mounts(everything.dockerfile)
        if mount["type"] == "bind" and "from" not in mount
    ]
    for rest in only(everything.dockerfile, "COPY"):
        words = json.loads(rest[rest.index("[") :]) if "[" in rest else rest.split()
        sources += [source.rstrip("/") for source in words[:-1]]

    for source in set(sources) - {"src"}:
        assert any(path == source or path.startswith(f"{source}/") for path in paths), source


def test_what_is_mounted_inside_a_mount_finds_a_place(everything: Rendered) -> None:
    paths = {file.path for file in everything.files}
    for rest in only(everything.dockerfile, "RUN"):
        outer, *inner = mounts(f"RUN {rest}")
        for mount in inner:
            place = outer["source"] + mount["target"].removeprefix(MOUNTED)
            assert any(path == place or path.startswith(f"{place}/") for path in paths), place


def test_every_script_that_is_run_is_in_its_step_and_is_one_of_sh(everything: Rendered) -> None:
    contents = {file.path: file.content for file in everything.files}
    for rest in only(everything.dockerfile, "RUN"):
        folder = mounts(f"RUN {rest}")[0]["source"]
        command = json.loads(rest[rest.index("[") :])
        script = contents[folder + command[1].removeprefix(MOUNTED)]
        assert script.startswith(b"#!/bin/sh\n"), f"{command[1]} is run by sh"


def test_the_image_ends_with_its_user_in_the_repository(everything: Rendered) -> None:
    assert only(everything.dockerfile, "USER")[-1] == "jovyan"
    assert only(everything.dockerfile, "WORKDIR")[-1] == "/home/jovyan"
    assert instructions(everything.dockerfile)[-2:] == [
        ("ENTRYPOINT", '["/usr/local/bin/r2d-entrypoint"]'),
        ("CMD", '["/usr/local/bin/r2d-server"]'),
    ]


def test_the_first_step_says_who_runs_it_for_a_base_image_may_have_a_user() -> None:
    text = rendered(steps(Stage.BASE, Apt(("git",)))).dockerfile

    words = [word for word, _ in instructions(text)]
    assert words.index("USER") < words.index("RUN")
    assert only(text, "USER")[0] == "root"


def test_a_step_runs_where_it_wants_to() -> None:
    inside, outside = Run(SCRIPT, in_repository=True), Run(SCRIPT)

    text = rendered(steps(Stage.PROJECT, inside, outside, inside)).dockerfile

    places = [
        rest if word == "WORKDIR" else word for word, rest in instructions(text) if word in ("WORKDIR", "RUN")
    ]
    assert places == ["/home/jovyan", "RUN", "/", "RUN", "/home/jovyan", "RUN", "/home/jovyan"]


def test_files_of_the_same_name_do_not_take_each_others_place() -> None:
    one, other = ContextFile("conf.json", b"1"), ContextFile("conf.json", b"2")

    made = rendered(steps(Stage.BASE, Place(one, "/etc/one.json"), Place(other, "/etc/other.json")))

    contents = {file.path: file.content for file in made.files}
    placed = {
        to: contents[path]
        for path, to in (json.loads(r[r.index("[") :]) for r in only(made.dockerfile, "COPY"))
    }
    assert placed == {"/etc/one.json": b"1", "/etc/other.json": b"2"}


def test_a_step_cannot_bring_two_files_of_one_name() -> None:
    with pytest.raises(AssertionError, match=r"do\.sh"):
        rendered(steps(Stage.BASE, Run(SCRIPT, files=(ContextFile("do.sh", b"other"),))))


@pytest.mark.parametrize("name", ["network.sh", "bin.sh", "place.sh"])
def test_a_script_may_be_called_like_a_folder_of_ours(name: str) -> None:
    step = Run(ContextFile(name, b"mine"), tools=("uv",))
    made = rendered(
        steps(Stage.BASE, Place(SCRIPT, "/x"), step), network=(ContextFile("network.sh", b"proxies"),)
    )

    paths = [file.path for file in made.files]
    assert len(paths) == len(set(paths))
    assert {file.content for file in made.files if file.path.endswith(name)} >= {b"mine"}


def test_every_step_is_told_in_words(everything: Rendered) -> None:
    told = [
        everything.title(f"{word} {rest}")
        for word, rest in instructions(everything.dockerfile)
        if word == "RUN"
    ]

    assert "Run binder/postBuild" in told
    assert "Install packages of the distribution (2)" in told
    assert not [title for title in told if title.startswith("RUN")]
    assert everything.title("EXPOSE 8888") == "EXPOSE 8888"


def test_packages_are_installed_by_one_script_and_by_no_fragment() -> None:
    roots = [Path(r2d.__file__).parent, Path(next(iter(r2d_buildpacks.__path__)))]
    fragments = [path for root in roots for path in root.rglob("*.j2")]

    assert fragments
    assert [path for path in fragments if "apt-get" in path.read_text()] == []


# --- the same for equal plans


def test_equal_plans_give_equal_text(tmp_path: Path) -> None:
    here = repository_with(tmp_path / "here", EVERYTHING)
    there = repository_with(tmp_path / "elsewhere" / "deep", dict(reversed(EVERYTHING.items())))

    assert rendered(plan_of(here)) == rendered(plan_of(there))


def test_the_text_does_not_depend_on_where_r2d_is_installed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import r2d; from r2d.testing import plan_of, target;"
        "from r2d.dockerfile import render; from r2d.repository import Repository;"
        "assert r2d.__file__.startswith(sys.argv[2]), r2d.__file__;"
        "made = render(plan_of(Repository(Path(sys.argv[1]))), target(), base_image='debian:trixie');"
        "print(made.dockerfile, *((file.path, file.digest) for file in made.files), sep='\\n')"
    )
    repository = repository_with(tmp_path / "repository", EVERYTHING)
    texts = []
    for place in (tmp_path / "one", tmp_path / "other" / "site-packages"):
        for package in (Path(r2d.__file__).parent, Path(next(iter(r2d_buildpacks.__path__)))):
            shutil.copytree(package, place / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        ended = subprocess.run(
            [sys.executable, "-c", program, str(repository.root), str(place)],
            env={"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        texts.append(ended.stdout)

    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert str(Path(r2d.__file__).parent) not in texts[0]
