"""`r2d [OPTIONS] REPO COMMAND…`: another command than Jupyter, in a container as the user wants it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.jupyter_client_by_hand import ask
from tests.e2e.machine import Completed, Machine
from tests.golden.corpus import ROOT

EXAMPLE = ROOT / "examples/plain"
Ran = Callable[..., Completed]


@pytest.fixture(scope="module")
def name(docker: Machine) -> str:
    return docker.build(EXAMPLE)


@pytest.fixture
def ran(docker: Machine, name: str) -> Ran:
    """Runs a command in the image of the example, with options before the repository."""

    def run(
        *command: str, options: tuple[str | Path, ...] = (), env: dict[str, str] | None = None
    ) -> Completed:
        return docker.r2d("run", "--progress", "plain", "-t", name, *options, EXAMPLE, *command, env=env)

    return run


def test_what_the_command_prints_is_printed(ran: Ran) -> None:
    done = ran("python", "-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert done.returncode == 0
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr


def test_the_exit_code_is_the_commands(machine: Machine) -> None:
    name = machine.build(ROOT / "examples/requirements")
    done = machine.r2d("run", "-t", name, ROOT / "examples/requirements", "sh", "-c", "exit 7")
    assert done.returncode == 7


def test_options_after_the_repository_are_the_commands(ran: Ran) -> None:
    assert ran("echo", "-e", "--publish", "--help").stdout == "--publish --help\n"


def test_variables_come_from_options_files_and_the_environment(ran: Ran, tmp_path: Path) -> None:
    listed = tmp_path / "variables"
    listed.write_text("# Where the data is.\nDATA=from the file\nCOLOUR=green\n")
    options = ("--env-file", listed, "-e", "COLOUR=red", "-e", "MINE")
    done = ran("sh", "-c", "echo $DATA, $COLOUR, $MINE", options=options, env={"MINE": "of the host"})
    assert done.stdout == "from the file, red, of the host\n"


def test_a_volume_is_seen_and_with_ro_it_cannot_be_written(ran: Ran, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "data.txt").write_text("measured\n")
    line = "cat /data/data.txt; touch /data/new 2>/dev/null || echo refused"
    assert ran("sh", "-c", line, options=("-v", f"{tmp_path}:/data:ro")).stdout == "measured\nrefused\n"
    assert ran("touch", "/data/new", options=("-v", f"{tmp_path}:/data")).returncode == 0
    assert (tmp_path / "new").exists()


def test_editable_shows_changes_of_both_sides(docker: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(EXAMPLE, folder)
    folder.chmod(0o777)
    name = docker.new_name()
    line = "cat outside.txt 2>/dev/null; echo inside > inside.txt"
    first = docker.r2d("run", "-t", name, "--editable", folder, "sh", "-c", line, check=True)
    assert first.stdout == ""
    assert (folder / "inside.txt").read_text() == "inside\n"
    (folder / "outside.txt").write_text("outside\n")
    assert (
        docker.r2d("run", "-t", name, "--editable", folder, "sh", "-c", line, check=True).stdout
        == "outside\n"
    )


def test_a_port_the_user_names_is_the_port(docker: Machine, name: str, free_port: int) -> None:
    with docker.serving("-t", name, "-p", f"{free_port}:8888", EXAMPLE) as server:
        assert server.address == f"http://127.0.0.1:{free_port}"
        assert ask(f"{server.address}/api/status", server.token)[0] == 200


def test_publish_all_publishes_what_the_image_exposes(docker: Machine, name: str) -> None:
    with docker.starting("run", "-t", name, "-P", EXAMPLE, "sleep", "60") as running:
        container = docker.client.containers.get(running.until("container_started")["id"])
        assert container.ports["8888/tcp"]


def test_the_repository_is_given_by_a_git_address_too(docker: Machine, folder_of_git: Path) -> None:
    done = docker.r2d("build", "--progress", "json", f"file://{folder_of_git}", check=True)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    (built,) = [event for event in events if event["event"] in ("image_built", "image_reused")]
    docker.remove_in_the_end(built["name"])
    image = docker.image(built["name"])
    (fetched,) = [event for event in events if event["event"] == "fetched"]
    assert built["name"].split(":")[0].endswith(fetched["content"][:7])
    there = set(docker.tell(image.id, "ls", "-A").split())
    assert {"expect.toml", "index.ipynb"} <= there
    assert ".git" not in there
