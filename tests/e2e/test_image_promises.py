"""What hubs and scripts can rely on in an image (docs/image.md), looked at from inside and outside."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.e2e.machine import Machine
from tests.e2e.wheels import wheel_name, wheel_of
from tests.golden.corpus import ROOT

PREFIX = "/srv/conda/envs/notebook"
FolderWith = Callable[[Mapping[str, str | bytes]], Path]

# A start and a postBuild as half of all repositories have them: not executable, no first line, from Windows.
_FROM_WINDOWS = {
    "postBuild": "echo prepared > prepared.txt\r\nexit 0\r\n",
    "start": 'export GREETING="hello"\r\nexec "$@"\r\n',
}


@pytest.fixture(scope="module")
def image(docker: Machine) -> str:
    return docker.build(ROOT / "examples/binder-folder")


@pytest.fixture
def inside(docker: Machine, image: str) -> Callable[..., str]:
    """What a shell line in a fresh container prints."""
    return lambda line, **options: docker.tell(image, "bash", "-c", line, **options)


def test_it_runs_as_jovyan_with_the_number_1000_and_not_as_root(docker: Machine, image: str) -> None:
    assert docker.image(image).user == "jovyan"
    said = docker.tell(image, "bash", "-c", "id -u; id -un; id -g; echo $HOME; pwd; getent passwd 1000")
    uid, name, gid, home, directory, entry = said.splitlines()
    assert (uid, name, gid, home, directory) == ("1000", "jovyan", "1000", "/home/jovyan", "/home/jovyan")
    assert entry.endswith(":/home/jovyan:/bin/bash")


def test_the_path_begins_with_what_is_the_users_own(docker: Machine, image: str) -> None:
    path = docker.image(image).env["PATH"].split(":")
    assert path[:3] == ["/home/jovyan/.local/bin", f"{PREFIX}/bin", "/srv/npm/bin"]


def test_a_login_shell_keeps_the_path(inside: Callable[..., str]) -> None:
    plain, login = inside("echo $PATH; bash -lc 'echo $PATH'").splitlines()[-2:]
    assert login == plain


def test_the_variables_that_scripts_know_are_set(docker: Machine, image: str) -> None:
    env = docker.image(image).env
    expected = {
        "NB_USER": "jovyan",
        "NB_UID": "1000",
        "USER": "jovyan",
        "HOME": "/home/jovyan",
        "REPO_DIR": "/home/jovyan",
        "CONDA_DIR": "/srv/conda",
        "NB_PYTHON_PREFIX": PREFIX,
        "KERNEL_PYTHON_PREFIX": PREFIX,
        "APP_BASE": "/srv",
        "NPM_DIR": "/srv/npm",
        "LC_ALL": "en_US.UTF-8",
        "SHELL": "/bin/bash",
        "PYTHONUNBUFFERED": "1",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert "DEBIAN_FRONTEND" not in env


def test_the_labels_say_what_it_was_made_of(docker: Machine, image: str) -> None:
    labels = docker.image(image).labels
    assert {"repo2docker.repo", "repo2docker.ref", "repo2docker.version", "r2d.key"} <= set(labels)
    assert labels["repo2docker.ref"] == "None"


def test_what_jupyter_hubs_start_is_there(inside: Callable[..., str]) -> None:
    programs = ("python3", "jupyter", "jupyter-lab", "jupyter-notebook", "jupyterhub-singleuser", "pip")
    found = inside(f"command -v {' '.join(programs)}").splitlines()
    assert found == [f"{PREFIX}/bin/{program}" for program in programs]


def test_the_repository_is_the_users_and_its_folder_can_be_written(inside: Callable[..., str]) -> None:
    assert inside("stat -c '%u %g' . analysis.ipynb binder; touch new ~/new && echo written").split() == [
        *("1000", "1000") * 3,
        "written",
    ]


def test_nothing_of_the_environment_is_where_hubs_mount_volumes(inside: Callable[..., str]) -> None:
    assert inside("ls /etc/jupyter 2>/dev/null | wc -l") == "0"
    assert inside("find ~ -name site-packages -o -name kernels -o -name '*.so' | wc -l") == "0"


def test_it_works_under_an_empty_volume_as_a_user_of_a_hub(inside: Callable[..., str]) -> None:
    said = inside(
        "python -c 'import slugify, jupyterlab, ipykernel; print(slugify.slugify(\"It works\"))'; touch ~/new",
        user="1000:100",
        security_opt=["no-new-privileges"],
        tmpfs={"/home/jovyan": "uid=1000,gid=100", "/etc/jupyter": "ro"},
    )
    assert said.splitlines()[-1] == "it-works"


@pytest.mark.parametrize("folder", ["/tmp", "/home/jovyan", "/root"])
def test_installers_leave_less_than_a_megabyte_behind(docker: Machine, image: str, folder: str) -> None:
    said = docker.tell(image, "du", "-sk", folder, user="root", entrypoint=[])
    assert int(said.split()[0]) < 1024


def test_the_users_own_pip_install_works(docker: Machine, image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / wheel_name("mine")).write_bytes(wheel_of("mine", "answer = 42\n"))
    install = f"pip install --quiet --no-index /wheels/{wheel_name('mine')}"
    said = docker.tell(
        image,
        *("bash", "-c", f"{install} && python -c 'import mine; print(mine.answer)'"),
        volumes=[f"{tmp_path}:/wheels:ro"],
    )
    assert said == "42"


def test_start_and_post_build_run_however_they_were_committed(
    docker: Machine, folder_with: FolderWith
) -> None:
    folder = folder_with(_FROM_WINDOWS)
    assert all(not (folder / name).stat().st_mode & 0o111 for name in _FROM_WINDOWS)
    name = docker.build(folder)
    assert docker.tell(name, "bash", "-c", "cat prepared.txt; echo $GREETING").split() == [
        "prepared",
        "hello",
    ]


# --- the command: its streams, its signals, its exit code


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_exit_code_is_the_commands(docker: Machine, image: str, code: int) -> None:
    with docker.container(image, "bash", "-c", f"exit {code}") as container:
        assert container.wait()["StatusCode"] == code


def test_the_two_streams_stay_apart(docker: Machine, image: str) -> None:
    with docker.container(image, "bash", "-c", "echo out; echo err >&2") as container:
        container.wait()
        assert container.logs(stdout=True, stderr=False) == b"out\n"
        assert container.logs(stdout=False, stderr=True) == b"err\n"


@pytest.fixture
def waiting(docker: Machine, image: str) -> Iterator[Container]:
    """A container whose command says what it is signalled."""
    line = 'trap "echo told TERM; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    with docker.container(image, "bash", "-c", line) as container:
        for piece in container.logs(stream=True, follow=True):
            if b"ready" in piece:
                break
        yield container


def test_a_signal_reaches_the_command_and_its_exit_code_comes_back(waiting: Container) -> None:
    waiting.kill("SIGTERM")
    assert waiting.wait()["StatusCode"] == 5
    assert b"told TERM" in waiting.logs()


def test_a_command_ended_by_sigterm_gives_143(docker: Machine, image: str) -> None:
    with docker.container(image, "sh", "-c", "echo ready; exec sleep 60") as container:
        for piece in container.logs(stream=True, follow=True):
            if b"ready" in piece:
                break
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] == 143


# --- nothing of this machine's network


def test_no_certificate_proxy_or_index_of_this_machine_is_in_the_image(
    docker: Machine, folder_with: FolderWith, settings_of: Callable[[Machine, str], None], tmp_path: Path
) -> None:
    mark = "r2d-e2e-certificate-that-must-not-stay"
    bundle = tmp_path / "ca.pem"
    trusted = Path(docker.environment.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    bundle.write_text(f"# {mark}\n{trusted.read_text()}")
    settings_of(docker, f'[origins]\nca_bundle = "{bundle}"\nno_proxy = "{mark}.example"\n')
    folder = folder_with(
        {
            "apt.txt": "tree\n",
            "requirements.txt": "humanize\n",
            "postBuild": "test -s $SSL_CERT_FILE && test $no_proxy\n",
        }
    )
    name = docker.build(folder)
    found = docker.image(name)
    told = json.dumps([found.env, found.labels, docker.client.images.get(found.id).history()])
    assert mark not in told
    assert not {
        name for name in found.env if "CERT" in name or "CA_BUNDLE" in name or "proxy" in name.lower()
    }
    search = f"grep -rlaF {mark} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev; ls -A /run/r2d"
    assert docker.tell(name, "bash", "-c", f"{search}; true", user="root", entrypoint=[]) == ""
