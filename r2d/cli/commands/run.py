"""`r2d run`, which is what `r2d REPO` means."""

import secrets
import socket
import sys
from functools import partial
from typing import Any

import click

from r2d.cli import options
from r2d.events import ContainerOutput, Emit, Event


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@options.repository()
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
@options.container()
@options.image()
@options.target()
@options.report()
@options.configuration()
def command(**given: Any) -> int:
    """Build the image of REPO and run it with Jupyter, or with CMD.

    Options come before REPO; what follows it belongs to the command in the container. The container ends with
    Ctrl-C, and its exit code is r2d's. Standard input is not passed on.
    """
    from r2d.cli.container_request import check_editable, container_request
    from r2d.cli.workspace import open_engine, reporting, workspace
    from r2d.running import Server, run

    with reporting(given) as emit, workspace(given, emit) as work, open_engine(work.settings) as engine:
        if given["editable"]:
            check_editable(work.checkout)
        image = work.image(engine, given)
        if given["cmd"] and given["progress"] != "json" and not sys.stdout.isatty():
            emit = partial(_results, emit)
        wanted = container_request(image, work, given, remote=engine.facts.host is not None)
        server = None
        if not given["cmd"]:
            server = Server(secrets.token_hex(24), open_at=work.checkout.open_at or "lab")
        on_ready = _open_in_browser if given["open_browser"] else _nothing
        return run(engine, wanted, server, emit, free_port=_free_port, on_ready=on_ready)


def _results(emit: Emit, event: Event) -> None:
    """What a command prints is its result: it can be written to a file, or read by another program."""
    if isinstance(event, ContainerOutput) and event.stream == "stdout":
        sys.stdout.write(event.text)
        sys.stdout.flush()
    else:
        emit(event)


def _open_in_browser(url: str) -> None:
    click.launch(url)


def _nothing(_url: str) -> None:
    """The address is in the report; nobody asked for a browser."""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
