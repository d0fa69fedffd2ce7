"""Builds that cannot succeed: what is said, the exit code, and that no image pretends to be there."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.e2e.machine import Completed, Machine

FolderWith = Callable[[Mapping[str, str | bytes]], Path]


def failed(machine: Machine, folder: Path) -> Completed:
    """The failure of a build, after which no image has its name."""
    name = machine.new_name()
    done = machine.r2d("build", "--progress", "plain", "-t", name, folder)
    assert done.returncode == 30, done.stderr[-3000:]
    assert machine.engine.find(name) is None
    assert done.stdout == ""
    assert "/r2d/cli/" not in done.stderr, "a traceback of ours"
    return done


def test_an_unknown_package(machine: Machine, folder_with: FolderWith) -> None:
    folder = folder_with({"requirements.txt": "no-such-package-anywhere-at-all==1.0\n"})
    end = failed(machine, folder).stderr.splitlines()[-25:]
    assert any("no-such-package-anywhere-at-all" in line for line in end)
    assert any("Install the packages of requirements.txt" in line for line in end)


def test_packages_with_which_the_server_cannot_start(docker: Machine, folder_with: FolderWith) -> None:
    said = failed(docker, folder_with({"requirements.txt": "traitlets==4.3.3\n"})).stderr
    assert "With the versions requirements.txt asks for, the Jupyter server cannot start." in said
    assert "leave them out of requirements.txt" in said


def test_packages_the_server_does_not_like_and_can_live_with_are_named_and_stay(
    docker: Machine, folder_with: FolderWith
) -> None:
    name = docker.new_name()
    # A line that never applies and is another one each time: a step that is cached prints nothing.
    never = f'six; platform_machine == "{name}"'
    folder = folder_with({"requirements.txt": f"jinja2==2.11.3\nmarkupsafe==2.0.1\n{never}\n"})
    said = docker.r2d("build", "--progress", "plain", "-t", name, folder, check=True).stderr
    assert "These packages do not fit together:" in said
    assert "requires `jinja2>=3" in said
    assert docker.tell(name, "python", "-c", "import jinja2; print(jinja2.__version__)") == "2.11.3"


def test_a_post_build_that_fails(docker: Machine, folder_with: FolderWith) -> None:
    said = failed(docker, folder_with({"postBuild": "#!/bin/sh\necho no data there >&2\nexit 3\n"})).stderr
    assert "no data there" in said
    assert "postBuild ended with exit code 3." in said


def test_an_unknown_package_of_the_distribution(docker: Machine, folder_with: FolderWith) -> None:
    assert "no-such-package-here" in failed(docker, folder_with({"apt.txt": "no-such-package-here\n"})).stderr


def test_what_a_build_prints_cannot_steer_the_terminal(docker: Machine, folder_with: FolderWith) -> None:
    script = "#!/bin/sh\nprintf '\\033]0;stolen\\007\\033[2Jvisible\\n'\nexit 1\n"
    said = failed(docker, folder_with({"postBuild": script})).stderr
    assert "visible" in said
    assert "\033" not in said
    assert "\007" not in said
