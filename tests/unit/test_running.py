"""A container from its start to its end, with a real server of this machine standing for the one inside."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from r2d.engines.fake import ContainerScript, FakeContainer, FakeEngine
from r2d.engines.protocol import Container, Port, RunRequest
from r2d.errors import ContainerNotStarted, EngineFailed, ServerNeverAnswered
from r2d.events import (
    ContainerExited,
    ContainerOutput,
    ContainerStarted,
    ContainerStopping,
    Event,
    ServerReady,
)
from r2d.running import Server, Terminated, run
from tests.conftest import Heard

IMAGE = "example"
SECONDS = 20


class Answering(HTTPServer):
    """A server that listens from the start and answers once it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                outer.asked.set()
                self.send_response(200 if outer.answers.is_set() else 503)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Tests have enough to read."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.port: int = self.server_address[1]


@pytest.fixture
def inside() -> Iterator[Answering]:
    server = Answering()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image(IMAGE)
    return engine


def nobody_asks() -> int:
    raise AssertionError("no port was wanted")


def test_the_address_is_told_after_the_server_answers_and_not_before(
    engine: FakeEngine, inside: Answering, heard: Heard
) -> None:
    engine.script_container(ContainerScript(until_stopped=True))
    opened: list[str] = []

    def play() -> None:
        assert inside.asked.wait(SECONDS)
        assert heard.of(ServerReady) == []
        inside.answers.set()

    director = threading.Thread(target=play)
    director.start()

    def ready(url: str) -> None:
        opened.append(url)
        engine.containers[0].end(0)

    code = run(engine, RunRequest(IMAGE), Server("tok"), heard, free_port=lambda: inside.port, on_ready=ready)
    director.join()

    url = f"http://127.0.0.1:{inside.port}/lab?token=tok"
    (told,) = heard.of(ServerReady)
    assert code == 0
    assert isinstance(told, ServerReady)
    assert told.url == url
    assert opened == [url]
    assert engine.containers[0].removed
    assert not [path for path in inside.paths if "tok" in path]


def test_the_server_listens_where_the_port_is_published_and_has_the_token(
    engine: FakeEngine, heard: Heard
) -> None:
    engine.script_container(ContainerScript(exit_code=1))

    run(engine, RunRequest(IMAGE, env=(("A", "1"),)), Server("tok"), heard, free_port=lambda: 4321)

    request = engine.containers[0].request
    assert request.ports == (Port(8888, host_ip="127.0.0.1", host_port=4321),)
    assert request.env == (("A", "1"), ("JUPYTER_TOKEN", "tok"))
    assert "tok" not in " ".join(request.command)
    assert "--port=8888" in request.command


def test_a_port_the_user_published_is_used(engine: FakeEngine, heard: Heard) -> None:
    engine.script_container(ContainerScript(exit_code=1))
    wanted = RunRequest(IMAGE, ports=(Port(8888, host_port=9000),))

    run(engine, wanted, Server("tok"), heard, free_port=nobody_asks)

    assert engine.containers[0].request.ports == wanted.ports


def test_a_container_that_ends_well_before_its_server_answered_is_a_failure(
    engine: FakeEngine, heard: Heard
) -> None:
    engine.script_container(ContainerScript(exit_code=0))

    with pytest.raises(ServerNeverAnswered) as caught:
        run(engine, RunRequest(IMAGE), Server("t"), heard, free_port=lambda: 4321)

    assert 'exec "$@"' in str(caught.value.fix)
    assert engine.containers[0].removed


def test_a_command_gets_no_port_and_no_server(engine: FakeEngine, heard: Heard) -> None:
    engine.script_container(ContainerScript(prints=(("stdout", "hello\n"),), exit_code=3))
    wanted = RunRequest(IMAGE, command=("echo", "hello"))

    code = run(engine, wanted, None, heard, free_port=nobody_asks)

    container = engine.containers[0]
    assert code == 3
    assert container.request == wanted
    assert container.removed
    assert heard == [
        ContainerStarted(container.id, IMAGE),
        ContainerOutput("hello\n", "stdout"),
        ContainerExited(3),
    ]


@pytest.mark.parametrize(("stop", "because"), [(KeyboardInterrupt, "Ctrl-C"), (Terminated, "SIGTERM")])
def test_being_asked_to_end_stops_and_removes_the_container(
    engine: FakeEngine, stop: type[BaseException], because: str
) -> None:
    engine.script_container(ContainerScript(prints=(("stdout", "working\n"),), until_stopped=True))
    heard: list[Event] = []

    def emit(event: Event) -> None:
        heard.append(event)
        if isinstance(event, ContainerOutput):
            raise stop

    with pytest.raises(stop):
        run(engine, RunRequest(IMAGE), None, emit, free_port=nobody_asks)

    container = engine.containers[0]
    assert container.signals == ["SIGTERM"]
    assert container.removed
    assert heard[-1] == ContainerStopping(because)


def test_an_impatient_second_ctrl_c_still_removes_the_container(engine: FakeEngine) -> None:
    engine.script_container(ContainerScript(prints=(("stdout", "working\n"),), until_stopped=True))

    def emit(event: Event) -> None:
        if isinstance(event, ContainerOutput | ContainerStopping):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(engine, RunRequest(IMAGE), None, emit, free_port=nobody_asks)

    assert engine.containers[0].removed


def test_a_real_ctrl_c_while_the_container_is_quiet_stops_it(engine: FakeEngine, heard: Heard) -> None:
    engine.script_container(ContainerScript(until_stopped=True))

    def emit(event: Event) -> None:
        heard(event)
        if isinstance(event, ContainerStarted):
            person = threading.main_thread().ident
            assert person
            threading.Timer(0.05, signal.pthread_kill, [person, signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):
        run(engine, RunRequest(IMAGE), None, emit, free_port=nobody_asks)

    assert engine.containers[0].signals == ["SIGTERM"]
    assert engine.containers[0].removed


def test_a_port_that_is_taken_meanwhile_is_exchanged_for_another(engine: FakeEngine, heard: Heard) -> None:
    engine.script_container(ContainerScript(until_stopped=True))
    taken = engine.run(RunRequest(IMAGE, ports=(Port(1, host_port=4000),)))
    engine.script_container(ContainerScript(exit_code=1))
    ports = iter([4000, 4001])

    assert run(engine, RunRequest(IMAGE), Server("t"), heard, free_port=lambda: next(ports)) == 1

    assert engine.containers[-1].request.ports[0].host_port == 4001
    taken.remove()


def test_a_container_that_cannot_start_is_not_tried_for_ever(engine: FakeEngine, heard: Heard) -> None:
    engine.script_container(ContainerScript(not_started_because="no such device"))
    ports = iter(range(4000, 4010))

    with pytest.raises(ContainerNotStarted):
        run(engine, RunRequest(IMAGE), Server("t"), heard, free_port=lambda: next(ports))

    assert next(ports) == 4003
    assert heard == []


class Gone(FakeContainer):
    """A container that ended before anybody could ask for its ports."""

    def host_ports(self) -> dict[tuple[int, str], tuple[str, int]]:
        raise EngineFailed("No such container.")


class Hasty(FakeEngine):
    """An engine whose containers are gone at once."""

    def run(self, request: RunRequest) -> Gone:
        started = super().run(request)
        container = Gone(started.id, request, started.script, {})
        container.end(12)
        self.containers[-1] = container
        return container


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_container_that_is_gone_at_once_leaves_no_traceback(heard: Heard) -> None:
    engine = Hasty()
    engine.add_image(IMAGE)

    assert run(engine, RunRequest(IMAGE), Server("t"), heard, free_port=lambda: 4000) == 12


@pytest.mark.parametrize(
    ("open_at", "url"),
    [
        ("lab", "http://127.0.0.1:1/lab?token=t"),
        ("/lab/tree/a.ipynb", "http://127.0.0.1:1/lab/tree/a.ipynb?token=t"),
        ("voila/render/a.ipynb?x=1", "http://127.0.0.1:1/voila/render/a.ipynb?x=1&token=t"),
    ],
)
def test_the_page_a_link_wants_is_opened(open_at: str, url: str) -> None:
    assert Server("t", open_at=open_at).url("127.0.0.1", 1) == url


def test_an_address_of_the_new_kind_stands_in_brackets() -> None:
    assert Server("t").url("::1", 8) == "http://[::1]:8/lab?token=t"


def test_the_fake_is_a_container() -> None:
    container: Container = FakeContainer("id", RunRequest(IMAGE), ContainerScript(), {})

    assert container.exit_code() is None
