"""`r2d REPO`: a Jupyter that answers, works, and goes away."""

import signal
import time
from collections.abc import Iterator
from http.client import HTTPException

import pytest
from docker.models.containers import Container

from tests.e2e.jupyter_client_by_hand import ask, run_cell
from tests.e2e.machine import Machine, Server
from tests.golden.corpus import ROOT

REPOSITORY = ROOT / "examples/requirements"


@pytest.fixture(scope="module", params=["docker", "podman"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    machine: Machine = request.getfixturevalue(request.param)
    name = machine.build(REPOSITORY)
    with machine.serving("-t", name, REPOSITORY) as serving:
        yield serving


def test_the_server_answers_with_its_token_and_not_without(server: Server) -> None:
    assert ask(f"{server.address}/api/status", server.token)[0] == 200
    assert ask(f"{server.address}/api/status", None)[0] == 403


def test_the_address_is_told_only_when_the_server_answers_there(server: Server) -> None:
    names = [event["event"] for event in server.running.events]
    assert names[-1] == "server_ready"
    assert names.index("container_started") < names.index("server_ready")
    assert server.url.startswith("http://127.0.0.1:")
    assert ask(server.url, None)[0] == 200


@pytest.mark.parametrize("page", ["lab", "tree", "doc/tree/index.ipynb"])
def test_lab_notebook_and_a_document_open(server: Server, page: str) -> None:
    assert ask(f"{server.address}/{page}", server.token)[0] == 200


def test_a_cell_runs_with_the_packages_of_the_repository(server: Server) -> None:
    code = "import humanize, os; print(humanize.intword(123_456_789), os.getcwd())"
    assert run_cell(server.address, server.token, code) == "123.5 million /home/jovyan\n"


def test_the_token_is_another_one_each_time(docker: Machine) -> None:
    name = docker.build(REPOSITORY)
    with (
        docker.serving("-t", name, REPOSITORY, end=signal.SIGTERM) as one,
        docker.serving("-t", name, REPOSITORY) as other,
    ):
        assert one.token != other.token
        assert one.address != other.address


# --- as hubs start the image


def test_as_mybinder_starts_it(docker: Machine) -> None:
    """The command, the user, the volume and the ConfigMap of a BinderHub without authentication."""
    script = (
        "import os, sys\n"
        "try:\n"
        "    import jupyterlab\n"
        "    import jupyterlab.labapp\n"
        "    major = int(jupyterlab.__version__.split('.', 1)[0])\n"
        "    start_lab = major >= 3\n"
        "except Exception:\n"
        "    start_lab = False\n"
        "if start_lab:\n"
        "    os.execvp('jupyter-lab', sys.argv)\n"
        "else:\n"
        "    os.execvp('jupyter-notebook', sys.argv)\n"
    )
    options = [
        "base_url=/user/someone/",
        "token=0123456789abcdef",
        "trust_xheaders=True",
        "allow_origin=*",
        "allow_origin_pat=.*",
    ]
    command = ["python3", "-c", script, "--ip=0.0.0.0", "--port=8888"]
    command += [f"--{app}.{option}" for app in ("NotebookApp", "ServerApp") for option in options]
    with docker.container(
        docker.build(REPOSITORY),
        *command,
        user="1000:100",
        security_opt=["no-new-privileges"],
        tmpfs={"/home/jovyan": "uid=1000,gid=100,exec", "/etc/jupyter": "ro"},
        ports={"8888/tcp": ("127.0.0.1", None)},
        nano_cpus=1_000_000_000,
    ) as container:
        address = _answering(container, "Jupyter Server")
        server = f"{address}/user/someone"
        assert ask(f"{server}/api/status", "0123456789abcdef")[0] == 200
        assert ask(f"{server}/lab", "0123456789abcdef")[0] == 200
        assert ask(f"{server}/tree", "0123456789abcdef")[0] == 200
        assert (
            run_cell(server, "0123456789abcdef", "import humanize; print(humanize.apnumber(3))") == "three\n"
        )
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] != 137


def test_under_a_hub_that_only_starts_the_image_it_becomes_the_hubs_server(docker: Machine) -> None:
    hub = {
        "JUPYTERHUB_API_TOKEN": "secret",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-someone",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/someone/oauth_callback",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/someone/",
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8888/user/someone/",
        "JUPYTERHUB_USER": "someone",
    }
    with docker.container(docker.build(REPOSITORY), environment=hub) as container:
        said = _until(container, "Starting jupyterhub single-user server")
        assert "extension version" in said or "jupyterhub" in said.lower()


def _answering(container: Container, words: str) -> str:
    """Where a container's server is, once it answers: Jupyter says that it runs a moment before it does."""
    _until(container, words)
    container.reload()
    published = container.ports["8888/tcp"]
    assert published
    address = f"http://127.0.0.1:{published[0]['HostPort']}"
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(f"{address}/", None)
            return address
        except (OSError, HTTPException):
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


def _until(container: Container, words: str) -> str:
    said = ""
    for piece in container.logs(stream=True, follow=True):
        said += piece.decode(errors="replace")
        if words in said:
            return said
    raise AssertionError(f"It ended without {words!r}:\n{said}")
