"""The scripts of every image, run where they are: no root, no network, no container."""

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import r2d
import r2d_buildpacks

ROOTS = (Path(r2d.__file__).parent, Path(next(iter(r2d_buildpacks.__path__))))
SCRIPTS = sorted(path for root in ROOTS for path in root.rglob("*.sh"))
COMMON = ROOTS[1] / "common"
LOG = ".jupyter-server-log.txt"
SECONDS = 20  # nothing here takes so long; a script that hangs fails


def name_of(path: Path) -> str:
    return path.name


@dataclass(frozen=True)
class House:
    """A folder that stands for the image: its home is the repository."""

    folder: Path
    entrypoint: Path

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "REPO_DIR": str(self.folder),
            **more,
        }

    def start(self, *command: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["/bin/bash", "-l", str(self.entrypoint), *command],
            env=self.environment(more),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        started = self.start(*command, **more)
        try:
            out, err = started.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            raise
        return subprocess.CompletedProcess(started.args, started.returncode, out, err)

    @property
    def log(self) -> str:
        return (self.folder / LOG).read_text()


@pytest.fixture
def house(tmp_path: Path) -> House:
    # The one address inside it that only an image has.
    text = (COMMON / "entrypoint.sh").read_text()
    assert text.count("/usr/local/bin/r2d-script") == 1
    runner = tmp_path / "r2d-script"
    runner.write_text((COMMON / "script.sh").read_text())
    runner.chmod(0o755)
    entrypoint = tmp_path / "entrypoint.sh"
    entrypoint.write_text(text.replace("/usr/local/bin/r2d-script", str(runner)))
    home = tmp_path / "home of the user"
    home.mkdir()
    return House(home, entrypoint)


def run_script(file: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/bash", str(COMMON / "script.sh"), str(file), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd=file.parent,
    )


# --- all of them


def test_there_are_scripts() -> None:
    assert {"entrypoint.sh", "apt.sh", "image.sh"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    checker = Path(sysconfig.get_path("scripts")) / "shellcheck"

    ended = subprocess.run([checker, "-x", str(script)], capture_output=True, text=True, check=False)

    assert ended.stdout + ended.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_the_shell_it_names_can_read_it(script: Path) -> None:
    first = script.read_text().splitlines()[0]
    shell = "bash" if first.startswith("#!/bin/bash") else "dash"

    ended = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_it_says_how_it_is_called_or_read(script: Path) -> None:
    first, second = script.read_text().splitlines()[:2]

    assert first in ("#!/bin/sh", "#!/bin/bash", "#!/bin/bash -l", "# shellcheck shell=sh")
    assert second.startswith("# ")


# --- the entrypoint


@pytest.mark.parametrize("code", [0, 1, 3, 75, 127, 255])
def test_the_exit_code_is_the_commands(house: House, code: int) -> None:
    assert house.run("sh", "-c", f"exit {code}").returncode == code


def test_a_command_that_is_not_there_ends_with_127(house: House) -> None:
    ended = house.run("no-such-command")

    assert ended.returncode == 127
    assert "no-such-command" in ended.stderr


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "HUP"])
def test_death_by_a_signal_is_128_and_its_number(house: House, name: str) -> None:
    ended = house.run("sh", "-c", f"kill -{name} $$")

    assert ended.returncode == 128 + signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "USR2", "QUIT"])
def test_a_signal_reaches_the_command_and_its_own_exit_code_counts(house: House, name: str) -> None:
    started = house.start(
        sys.executable,
        "-uc",
        "import signal, sys, time\n"
        f"signal.signal(signal.SIG{name}, lambda *_: sys.exit(42))\n"
        "print('ready')\n"
        f"time.sleep({SECONDS})",
    )
    assert started.stdout
    assert started.stdout.readline() == "ready\n"

    started.send_signal(signal.Signals[f"SIG{name}"])

    assert started.wait(timeout=SECONDS) == 42


def test_a_command_that_outlives_a_signal_is_waited_for(house: House) -> None:
    started = house.start(
        "bash",
        "-c",
        "trap 'echo heard; exit 7' USR1; trap 'echo no' TERM; echo ready; while :; do sleep .05; done",
    )
    assert started.stdout
    assert started.stdout.readline() == "ready\n"

    started.send_signal(signal.SIGTERM)
    assert started.stdout.readline() == "no\n"
    started.send_signal(signal.SIGUSR1)

    assert started.stdout.readline() == "heard\n"
    assert started.wait(timeout=SECONDS) == 7


def test_a_command_that_ctrl_c_ends_ends_with_130(house: House) -> None:
    started = house.start("bash", "-c", "echo ready; exec sleep 20")
    assert started.stdout
    assert started.stdout.readline() == "ready\n"

    started.send_signal(signal.SIGINT)

    assert started.wait(timeout=SECONDS) == 130


def test_both_streams_stay_apart_and_both_are_kept(house: House) -> None:
    ended = house.run("sh", "-c", "echo out; echo err >&2")

    assert ended.stdout == "out\n"
    assert ended.stderr == "err\n"
    assert sorted(house.log.splitlines()) == ["err", "out"]


def test_output_without_a_last_line_end_is_not_lost(house: House) -> None:
    ended = house.run("printf", "no end")

    assert (ended.stdout, house.log) == ("no end", "no end")


def test_much_output_is_not_lost(house: House) -> None:
    ended = house.run("sh", "-c", "seq 1 200000; seq 1 200000 >&2")

    expected = "".join(f"{number}\n" for number in range(1, 200001))
    assert ended.stdout == expected
    assert ended.stderr == expected
    assert len(house.log) == 2 * len(expected)


def test_the_log_of_an_earlier_start_is_kept(house: House) -> None:
    house.run("echo", "one")
    house.run("echo", "two")

    assert house.log == "one\ntwo\n"


def test_a_full_disk_costs_the_log_and_nothing_else(house: House) -> None:
    (house.folder / LOG).symlink_to("/dev/full")

    ended = house.run("sh", "-c", "seq 1 50000; echo fine >&2; exit 5")

    assert ended.returncode == 5
    assert ended.stdout.count("\n") == 50000
    assert ended.stderr == "fine\n"


def test_without_a_folder_of_the_repository_the_log_goes_elsewhere(house: House, tmp_path: Path) -> None:
    ended = house.run("echo", "hello", REPO_DIR=str(tmp_path / "gone"))

    assert (ended.returncode, ended.stdout, house.log) == (0, "hello\n", "hello\n")


def test_arguments_arrive_as_they_were_given(house: House) -> None:
    args = ["two words", "", "it's", 'a "quote"', "$HOME", "*", "back\\slash", "-n", "ü"]

    ended = house.run(sys.executable, "-c", "import sys; print(sys.argv[1:])", *args)

    assert ended.stdout == f"{args}\n"


def test_no_command_at_all_is_no_failure(house: House) -> None:
    assert house.run().returncode == 0


def test_start_runs_before_the_command_and_gets_it(house: House) -> None:
    start = house.folder / "start"
    start.write_text('#!/bin/bash\nexport SEEN="by start"\nexec "$@"\n')

    ended = house.run("sh", "-c", 'echo "$SEEN"; exit 9', R2D_ENTRYPOINT=str(start))

    assert (ended.stdout, ended.returncode) == ("by start\n", 9)


def test_a_start_that_is_hidden_is_told_and_not_fatal(house: House) -> None:
    ended = house.run("echo", "hello", R2D_ENTRYPOINT="/nowhere/start")

    assert (ended.stdout, ended.returncode) == ("hello\n", 0)
    assert "/nowhere/start is not there" in ended.stderr


def test_a_process_that_is_left_behind_does_not_hold_the_end_up(house: House) -> None:
    started = house.start("sh", "-c", f"sleep {SECONDS * 10} & echo $!; exit 4")
    assert started.stdout
    orphan = int(started.stdout.readline())
    try:
        assert started.wait(timeout=SECONDS) == 4
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_standard_input_is_the_commands(house: House) -> None:
    ended = subprocess.run(
        ["/bin/bash", "-l", str(house.entrypoint), "cat"],
        env=house.environment({}),
        input="typed\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert ended.stdout == "typed\n"


# --- r2d-script


def test_a_script_without_a_first_line_and_not_executable_is_bash(tmp_path: Path) -> None:
    (tmp_path / "postBuild").write_text("words=(one two); echo ${words[1]} $#; exit 3\n")

    ended = run_script(tmp_path / "postBuild", "a b", "c")

    assert (ended.stdout, ended.returncode) == ("two 2\n", 3)


@pytest.mark.parametrize(
    ("first", "ends", "seen"),
    [
        ("#!/bin/bash", "\r\n", "bash"),
        ("#! /bin/bash -e", "\r\n", "bash"),
        ("#!/usr/bin/env bash", "\n", "bash"),
        ("#!/usr/bin/env bash", "\r\n", "bash"),
        ("#!/bin/sh", "\n", "sh"),
    ],
)
def test_its_first_line_says_who_reads_it(tmp_path: Path, first: str, ends: str, seen: str) -> None:
    lines = [first, 'case $(readlink /proc/$$/exe) in *bash) echo bash "$1" ;; *) echo sh "$1" ;; esac', ""]
    (tmp_path / "postBuild").write_bytes(ends.join(lines).encode())

    ended = run_script(tmp_path / "postBuild", "x")

    assert (ended.stdout, ended.stderr, ended.returncode) == (f"{seen} x\n", "", 0)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_script_in_python_with_an_option_is_python(tmp_path: Path, ends: str) -> None:
    lines = [f"#!{sys.executable} -O", "import sys", "print(sys.argv[1:], sys.flags.optimize)", ""]
    (tmp_path / "start").write_bytes(ends.join(lines).encode())

    assert run_script(tmp_path / "start", "a b").stdout == "['a b'] 1\n"


def test_an_interpreter_that_is_not_there_fails_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "postBuild").write_text("#!/opt/nothing/python\n")

    ended = run_script(tmp_path / "postBuild")

    assert ended.returncode != 0
    assert "/opt/nothing/python" in ended.stderr


def test_an_empty_script_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "postBuild").write_text("")

    assert run_script(tmp_path / "postBuild").returncode == 0


# --- the profile and the server


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_login_shell_keeps_its_path(shell: str) -> None:
    profile = COMMON / "profile.sh"
    wanted = f"/srv/conda/envs/notebook/bin:{os.environ['PATH']}"

    ended = subprocess.run(
        [shell, "-c", f'PATH=/usr/bin:/bin; . "{profile}"; printf %s "$PATH"'],
        env={"PATH": wanted, "OTHER": "x\nPATH=/somewhere/else"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == (wanted, "")


def test_sourcing_the_profile_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        ["bash", "-c", f'set -eu; . "{COMMON / "profile.sh"}"; set | grep ^_r2d || echo clean'],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout == "clean\n"


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "jupyter lab --ip=0.0.0.0 --port=8888 --more"),
        ({"JUPYTERHUB_API_TOKEN": "secret"}, "jupyterhub-singleuser --more"),
    ],
)
def test_the_images_own_command_is_what_is_asked_for(
    tmp_path: Path, environment: dict[str, str], command: str
) -> None:
    for name in ("jupyter", "jupyterhub-singleuser"):
        stub = tmp_path / name
        stub.write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
        stub.chmod(0o755)

    ended = subprocess.run(
        ["dash", str(COMMON / "serve.sh"), "--more"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout == f"{command}\n"
