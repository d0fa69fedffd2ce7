"""Credentials that nobody sees, failures that pass and failures that last."""

import http.server
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fetching import Machine, SshServer, Upstream
from git_server import Fault, GitServer

from r2d.errors import InvalidConfiguration, SourceNotFound, SourceRefused, TemporaryFailure, ToolMissing

SECRET = "s3cr3t-t0k3n"


def everywhere(machine: Machine, folder: Path) -> bytes:
    """All that is kept or was shown: the checkout with its .git, the events, the arguments of every program."""
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return files + str(machine.events).encode() + machine.calls.encode()


def private(server: GitServer, made: Callable[[str], Upstream]) -> str:
    repository = made("private")
    commit = repository.commit({"a": "1"})
    repository.publish()
    server.user = ("jo", SECRET)
    return commit


@pytest.mark.parametrize("ref", [None, "main"])
def test_credentials_in_the_address_work_and_are_seen_nowhere(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], ref: str | None
) -> None:
    commit = private(git_server, upstream)

    checkout = machine.fetch(f"{git_server.with_user(f'jo:{SECRET}')}/private.git", ref)

    assert checkout.content == commit
    assert checkout.source == f"{git_server.url}/private.git"
    assert SECRET not in repr(checkout)
    assert SECRET.encode() not in everywhere(machine, checkout.folder)


def test_handed_over_credentials_work_and_are_seen_nowhere(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    commit = private(git_server, upstream)
    machine.git_credentials = rf"username=jo\npassword={SECRET}"

    checkout = machine.fetch(f"{git_server.url}/private.git", commit)

    assert checkout.content == commit
    assert SECRET.encode() not in everywhere(machine, checkout.folder)


def test_handed_over_credentials_go_to_no_other_server(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    private(git_server, upstream)
    machine.git_credentials = rf"username=jo\npassword={SECRET}"
    inner = f"http://localhost:{git_server.port}/private.git"  # another name is another server
    outer = upstream("outer")
    outer.commit({".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {inner}\n'})
    outer.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    outer.git("commit", "-qm", "submodule")

    with pytest.raises(SourceRefused):
        machine.fetch(str(outer.work), "main")
    assert git_server.authorized == []


def test_a_name_in_the_address_is_completed_by_the_users_own_helper(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    commit = private(git_server, upstream)
    git_server.user = ("t0k3n-as-name", "pw")
    helper = '!f() { test "$1" = get && echo password=pw; }; f'
    Path(machine.environment["HOME"], ".gitconfig").write_text(
        f'[credential]\n\thelper = "{helper.replace(chr(34), chr(92) + chr(34))}"\n'
    )

    checkout = machine.fetch(f"{git_server.with_user('t0k3n-as-name')}/private.git")

    assert checkout.content == commit
    assert b"t0k3n-as-name" not in everywhere(machine, checkout.folder)


def test_the_users_helper_neither_answers_for_nor_keeps_given_credentials(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    private(git_server, upstream)
    kept = machine.folder / "kept"
    Path(machine.environment["HOME"], ".gitconfig").write_text(
        f'[credential]\n\thelper = "!f() {{ cat >> {kept}; echo password=wrong; }}; f"\n'
    )

    machine.fetch(f"{git_server.with_user(f'jo:{SECRET}')}/private.git")

    assert not kept.exists()


@pytest.mark.parametrize("user", ["", "jo:wr0ng-s3cr3t@"])
def test_missing_and_wrong_credentials_are_a_refusal_without_a_question(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], user: str
) -> None:
    private(git_server, upstream)

    with pytest.raises(SourceRefused) as caught:
        machine.fetch(f"http://{user}127.0.0.1:{git_server.port}/private.git")
    assert caught.value.where == f"{git_server.url}/private.git"
    assert "wr0ng" not in str(caught.value)
    assert machine.left == []


def test_credentials_without_a_password_are_refused_unread(machine: Machine) -> None:
    machine.git_credentials = "s3cr3t"

    with pytest.raises(InvalidConfiguration) as caught:
        machine.fetch("https://example.org/a.git")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("faults", [[503], [500, 502], ["reset"], [429], ["cut"]])
def test_a_failure_that_passes_is_not_seen(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream], faults: list[Fault]
) -> None:
    repository = upstream("shaky")
    commit = repository.commit({"a": "1"})
    repository.publish()
    git_server.faults = faults

    assert machine.fetch(f"{git_server.url}/shaky.git").content == commit


@pytest.mark.parametrize("fault", [500, 503, "reset"])
def test_a_failure_that_goes_on_says_try_later(machine: Machine, git_server: GitServer, fault: Fault) -> None:
    git_server.faults = [fault] * 50

    with pytest.raises(TemporaryFailure):
        machine.fetch(f"{git_server.url}/shaky.git")
    assert machine.left == []


def test_a_silent_server_is_given_up(machine: Machine, git_server: GitServer) -> None:
    git_server.faults = ["stall"]
    machine.timeout, machine.pauses = 1.0, ()

    with pytest.raises(TemporaryFailure):
        machine.fetch(f"{git_server.url}/silent.git")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.git", "https://nowhere.invalid/a.git"])
def test_a_server_that_is_not_there_may_come_back(machine: Machine, address: str) -> None:
    with pytest.raises(TemporaryFailure):
        machine.fetch(address)


def test_a_repository_that_is_not_there_is_asked_for_once(machine: Machine, git_server: GitServer) -> None:
    with pytest.raises(SourceNotFound, match="no git repository"):
        machine.fetch(f"{git_server.url}/absent.git")
    assert len(git_server.requests) == 1


def test_without_git_the_program_is_named(machine: Machine) -> None:
    machine.environment["PATH"] = str(machine.folder / "home")

    with pytest.raises(ToolMissing, match="git is not installed"):
        machine.fetch("https://example.org/a.git")


def test_an_interrupt_ends_git_and_leaves_nothing(machine: Machine, git_server: GitServer) -> None:
    git_server.faults = ["stall"]

    def interrupt() -> None:
        while not any("ls-remote" in line for line in machine.calls.splitlines()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        machine.fetch(f"{git_server.url}/silent.git")
    assert machine.left == []


def test_kept_files_are_named_and_stay(
    machine: Machine, git_server: GitServer, upstream: Callable[[str], Upstream]
) -> None:
    repository = upstream("kept")
    repository.commit({"a": "1"})
    repository.publish()
    machine.keep = True

    checkout = machine.fetch(f"{git_server.url}/kept.git")
    machine.clean_up()

    assert (checkout.folder / "a").exists()
    assert str(checkout.folder) in str(machine.events[-1])


def test_a_page_that_is_no_repository_is_said(machine: Machine) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(SourceNotFound):
            machine.fetch(f"http://127.0.0.1:{server.server_address[1]}/welcome")
        server.shutdown()


def by_ssh(machine: Machine, server: SshServer, *, agent: bool = False, known: bool = True) -> None:
    """Let the machine call ssh as its user has set it up."""
    key = "-o IdentityFile=none" if agent else f"-i {server.key}"
    hosts = server.known_hosts if known else "/dev/null"
    machine.environment["GIT_SSH_COMMAND"] = (
        f"ssh -F none {key} -o UserKnownHostsFile={hosts} -o GlobalKnownHostsFile=/dev/null"
    )


def test_ssh_with_a_key(machine: Machine, ssh_server: SshServer, upstream: Callable[[str], Upstream]) -> None:
    repository = upstream("keyed")
    repository.commit({"a": "1"})
    newest = repository.commit({"a": "2"})
    repository.publish()
    by_ssh(machine, ssh_server)

    address = f"ssh://{ssh_server.user}@127.0.0.1:{ssh_server.port}{repository.published}"
    checkout = machine.fetch(address, newest[:10])

    assert checkout.content == newest
    assert machine.git(checkout.folder, "rev-list", "--count", "--all") == "1"


def test_ssh_with_an_agent_and_the_short_form_of_address(
    machine: Machine, ssh_server: SshServer, upstream: Callable[[str], Upstream], ssh_agent: dict[str, str]
) -> None:
    repository = upstream("agent")
    newest = repository.commit({"a": "1"})
    repository.publish()
    by_ssh(machine, ssh_server, agent=True)
    machine.environment["GIT_SSH_COMMAND"] += f" -p {ssh_server.port}"
    machine.environment |= ssh_agent

    assert machine.fetch(f"{ssh_server.user}@127.0.0.1:{repository.published}").content == newest


def test_an_unknown_host_key_is_refused_with_a_remedy(
    machine: Machine, ssh_server: SshServer, upstream: Callable[[str], Upstream]
) -> None:
    by_ssh(machine, ssh_server, known=False)

    with pytest.raises(SourceRefused, match="ssh key is not known") as caught:
        machine.fetch(f"ssh://{ssh_server.user}@127.0.0.1:{ssh_server.port}/a.git")
    assert "known_hosts" in str(caught.value.fix)


def test_ssh_without_a_key_is_refused_without_a_question(
    machine: Machine, ssh_server: SshServer, upstream: Callable[[str], Upstream]
) -> None:
    by_ssh(machine, ssh_server, agent=True)

    with pytest.raises(SourceRefused):
        machine.fetch(f"ssh://{ssh_server.user}@127.0.0.1:{ssh_server.port}/a.git")
