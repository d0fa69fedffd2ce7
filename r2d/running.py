"""A container from its start to its end: its output, the moment its server answers, a graceful stop."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from r2d.engines.protocol import Container, Engine, Port, RunRequest
from r2d.errors import ContainerNotStarted, R2DError, ServerNeverAnswered, Terminated
from r2d.events import ContainerExited, ContainerStarted, ContainerStopping, Emit, ServerReady, Warned

JUPYTER_PORT = 8888
GRACE_SECONDS = 10
_SLOW_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A Jupyter to start in the container, and how it is reached."""

    token: str
    open_at: str = "lab"
    port: int = JUPYTER_PORT

    def request(self, wanted: RunRequest, reached_at: str | None) -> RunRequest:
        """The request for a container that runs this server."""
        command = ["jupyter", "lab", "--ip=0.0.0.0", f"--port={self.port}"]
        if reached_at:
            # Otherwise Jupyter's own messages would name an address of the inside.
            command.append(f"--ServerApp.custom_display_url={reached_at}")
        return replace(wanted, command=tuple(command), env=(*wanted.env, ("JUPYTER_TOKEN", self.token)))

    def url(self, host: str, port: int) -> str:
        page, hash_sign, fragment = self.open_at.lstrip("/").partition("#")
        joint = "&" if "?" in page else "?"
        return f"http://{_in_url(host)}:{port}/{page}{joint}token={self.token}{hash_sign}{fragment}"


def run(
    engine: Engine,
    wanted: RunRequest,
    server: Server | None,
    emit: Emit,
    *,
    free_port: Callable[[], int],
    on_ready: Callable[[str], None] = lambda _url: None,
) -> int:
    """Run a container to its end and take it away, whatever happens; its exit code."""
    container = _started(engine, wanted, server, free_port)
    ended, answered = threading.Event(), threading.Event()
    watcher: threading.Thread | None = None

    def told(url: str) -> None:
        answered.set()
        on_ready(url)

    try:
        emit(ContainerStarted(container.id, wanted.image))
        if server:
            watcher = threading.Thread(
                target=_announce, args=(engine, container, server, emit, ended, told), daemon=True
            )
            watcher.start()
        container.follow(emit)
        code = container.wait()
        emit(ContainerExited(code))
        if server and code == 0 and not answered.is_set():
            raise ServerNeverAnswered(
                "The container ended before its Jupyter answered.",
                fix='A script start must end in: exec "$@"',
            )
        return code
    except (KeyboardInterrupt, Terminated) as signal:
        because = signal.signal_name if isinstance(signal, Terminated) else "Ctrl-C"
        # Whoever asked for the end does not want to hear any more that the server answers.
        ended.set()
        emit(ContainerStopping(because))
        container.stop(GRACE_SECONDS)
        raise
    finally:
        ended.set()
        container.remove()
        if watcher:
            watcher.join(timeout=2)


def _started(
    engine: Engine, wanted: RunRequest, server: Server | None, free_port: Callable[[], int]
) -> Container:
    if server is None:
        return engine.run(wanted)
    if any(port.container_port == server.port for port in wanted.ports):
        return engine.run(server.request(wanted, _reached_at(engine, wanted.ports, server.port)))
    if engine.facts.host:
        # Ports of another machine cannot be tried from here: its engine picks one.
        published = replace(wanted, ports=(*wanted.ports, Port(server.port, host_ip="0.0.0.0")))  # noqa: S104
        return engine.run(server.request(published, None))
    for attempts_left in (2, 1, 0):
        port = Port(server.port, host_port=free_port())
        published = replace(wanted, ports=(*wanted.ports, port))
        try:
            return engine.run(server.request(published, _reached_at(engine, (port,), server.port)))
        except ContainerNotStarted:
            # Between finding the port free and publishing it another program may have taken it.
            if not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _reached_at(engine: Engine, ports: tuple[Port, ...], container_port: int) -> str | None:
    port = next(port for port in ports if port.container_port == container_port)
    host = engine.facts.host or _from_here(port.host_ip)
    return f"http://{_in_url(host)}:{port.host_port}" if port.host_port else None


def _from_here(host_ip: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host_ip, host_ip)  # noqa: S104


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _announce(
    engine: Engine,
    container: Container,
    server: Server,
    emit: Emit,
    ended: threading.Event,
    on_ready: Callable[[str], None],
) -> None:
    began = time.monotonic()
    address = None
    with suppress(R2DError):  # a container may be gone before anybody asks; its exit code says why
        address = container.host_ports().get((server.port, "tcp"))
    if address is None:
        return
    host, port = engine.facts.host or _from_here(address[0]), address[1]
    warned = False
    while not ended.is_set():
        if _answers(f"http://{_in_url(host)}:{port}/api"):
            url = server.url(host, port)
            emit(ServerReady(url, time.monotonic() - began))
            on_ready(url)
            return
        if not warned and time.monotonic() - began > _SLOW_SECONDS:
            warned = True
            emit(Warned(f"The server has not answered for {_SLOW_SECONDS:.0f} seconds; still waiting."))
        ended.wait(0.1)


# Straight to the container: a proxy of this machine's surroundings knows nothing of it.
_OPENER = build_opener(ProxyHandler({}))


def _answers(url: str) -> bool:
    try:
        with _OPENER.open(url, timeout=5) as response:
            return bool(response.status < 500)
    except HTTPError as error:
        return error.code < 500
    except (URLError, OSError, HTTPException):
        return False
