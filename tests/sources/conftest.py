"""Real repositories, real servers, and a machine of one's own to fetch on."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The modules that the tests of this folder share.
sys.path.insert(0, str(Path(__file__).parent))

from fetching import AUTHOR, Machine, SshServer, Upstream
from git_server import GitServer, serve


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "machine"
    shims = folder / "bin"
    shims.mkdir(parents=True)
    (folder / "home").mkdir()
    (folder / "temporary").mkdir()
    shim = shims / "git"
    shim.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {folder}/calls.log\nexec {shutil.which("git")} "$@"\n'
    )
    shim.chmod(0o755)
    environment = {
        "PATH": f"{shims}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    made = Machine(folder, environment)
    yield made
    made.clean_up()


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    with serve(root) as server:
        yield server


@pytest.fixture
def upstream(tmp_path: Path) -> Callable[[str], Upstream]:
    """A new repository by its name, published in the served folder."""
    home = tmp_path / "author"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **AUTHOR}

    def made(name: str) -> Upstream:
        work, published = tmp_path / "work" / name, tmp_path / "served" / f"{name}.git"
        for command in (
            ["init", "-q", "-b", "main", work],
            ["init", "-q", "--bare", "-b", "main", published],
        ):
            subprocess.run(["git", *command], check=True, env=environment)
        return Upstream(work, published, environment)

    return made


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[SshServer]:
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin yes\nPidFile none\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root wants to lock itself up
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    assert sshd, "the tests need openssh-server"
    running = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "Server listening" in running.stderr.readline()
    public = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    yield SshServer(port, folder / "user", folder / "known", user)
    running.terminate()
    running.wait()
    running.stderr.close()


@pytest.fixture
def ssh_agent(tmp_path: Path, ssh_server: SshServer) -> Iterator[dict[str, str]]:
    """An agent that holds the user's key, as the environment names it."""
    environment = {**os.environ, "SSH_AUTH_SOCK": str(tmp_path / "agent")}
    running = subprocess.Popen(
        ["ssh-agent", "-D", "-a", environment["SSH_AUTH_SOCK"]], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    running.stdout.readline()  # said once it listens
    subprocess.run(["ssh-add", "-q", ssh_server.key], env=environment, check=True)
    yield {"SSH_AUTH_SOCK": environment["SSH_AUTH_SOCK"]}
    running.terminate()
    running.wait()
    running.stdout.close()
