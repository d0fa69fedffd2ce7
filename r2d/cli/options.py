"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

_Option = Callable[[Command], Command]


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


DEBUG = "r2d.debug"


def _remember_debug(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    context.meta[DEBUG] = asked


def repository() -> Callable[[Command], Command]:
    """The repository, and which part of it in which version."""
    return _all(
        click.argument("repo"),
        click.option("--ref", metavar="REF", help="The branch, tag or commit of a git repository."),
        click.option("--subdir", default="", metavar="FOLDER", help="Build this folder of the repository."),
        click.option("--no-clean", is_flag=True, help="Keep what was fetched, and say where it is."),
    )


def configuration() -> Callable[[Command], Command]:
    """Where settings come from, and those every command understands."""
    return _all(
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Read settings from this r2d.toml too.",
        ),
        click.option(
            "--engine", metavar="NAME", help="auto, docker, podman, or an address (unix://, tcp://, ssh://)."
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_remember_debug,
            help="Show where in r2d an error came from.",
        ),
    )


def report() -> Callable[[Command], Command]:
    """How progress is shown."""
    return _all(
        click.option(
            "--progress",
            type=click.Choice(["auto", "live", "plain", "json"]),
            default="auto",
            help="How progress is shown; auto: live on a terminal, else plain lines.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Leave out what successful steps print."),
        click.option("--verbose", is_flag=True, help="Keep all build output on the screen."),
        click.option(
            "--log",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the complete log to a file too.",
        ),
    )


def target() -> Callable[[Command], Command]:
    """What the image is made for."""
    return _all(
        click.option("--base-image", metavar="IMAGE", help="Start from this image (a Debian or an Ubuntu)."),
        click.option("--platform", metavar="OS/ARCH", help="linux/amd64 or linux/arm64."),
        click.option("--user-name", metavar="NAME", help="The user in the image (jovyan)."),
        click.option("--user-id", type=int, metavar="UID", help="The user's number in the image (1000)."),
        click.option(
            "--target-repo-dir",
            metavar="FOLDER",
            help="Where the repository lives in the image (the user's home).",
        ),
        click.option("--keep-git", is_flag=True, default=None, help="Keep .git in the image."),
        click.option(
            "--host-network",
            is_flag=True,
            default=None,
            help="Let build steps use this machine's network, as for a proxy on the loopback.",
        ),
    )


def image() -> Callable[[Command], Command]:
    """The image's name and labels."""
    return _all(
        click.option(
            "-t", "--image-name", metavar="NAME", help="The image's name; by default made from the source."
        ),
        click.option(
            "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Add a label to the image."
        ),
        click.option("--rebuild", is_flag=True, help="Build anew, from the first step, whatever is there."),
    )


def container() -> Callable[[Command], Command]:
    """How the container runs."""
    return _all(
        click.option(
            "-p",
            "--publish",
            multiple=True,
            metavar="[IP:]HOST:PORT",
            help="Publish a port of the container.",
        ),
        click.option("-P", "--publish-all", is_flag=True, help="Publish every port the image exposes."),
        click.option(
            "-e",
            "--env",
            multiple=True,
            metavar="NAME[=VALUE]",
            help="Set a variable; without a value: yours.",
        ),
        click.option(
            "--env-file",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Read variables from a file, one NAME=VALUE a line.",
        ),
        click.option(
            "-v", "--volume", multiple=True, metavar="SRC:DST[:ro]", help="Mount a path of this machine."
        ),
        click.option(
            "-E",
            "--editable",
            is_flag=True,
            help="Mount the folder itself: what changes inside changes here.",
        ),
        click.option(
            "--open", "open_browser", is_flag=True, help="Open the server in a browser when it answers."
        ),
    )
