"""`r2d base create` and `r2d base list`."""

import os
from typing import Any

import click

from r2d.cli import options


@click.group()
def command() -> None:
    """Make and list base images."""


@command.command()
@click.argument("name")
@click.option(
    "--default", "as_default", is_flag=True, help="Use it from now on where no base image is named."
)
@click.option("--full", is_flag=True, help="With the development packages that the usual base image has.")
@click.option("--minimal", is_flag=True, help="With nothing but what r2d itself needs.")
@click.option("--mirror", metavar="URL", help="Take the packages from this mirror of the distribution.")
@options.report()
@options.configuration()
def create(name: str, as_default: bool, full: bool, minimal: bool, mirror: str | None, **given: Any) -> None:
    """Make a base image from a distribution's own package mirror: no container registry is asked.

    NAME is a distribution and its release: debian:trixie, debian:bookworm.
    """
    from r2d.base_factory import create_base
    from r2d.cli.workspace import load_settings, open_engine, reporting
    from r2d.configuration import set_user_default, user_config_file

    with reporting(given) as emit:
        settings = load_settings(given, None)
        with open_engine(settings) as engine:
            image = create_base(
                engine, name, full=full, minimal=minimal, mirror=mirror, origins=settings.origins, emit=emit
            )
        reference = image.names[0]
        if as_default:
            set_user_default(user_config_file(os.environ), "base_image", reference)
    click.echo(reference)


@command.command("list")
@options.configuration()
def list_(**given: Any) -> None:
    """List the base images made by `r2d base create`, and those r2d knows."""
    from r2d import bases
    from r2d.base_factory import list_bases
    from r2d.cli.workspace import base_name, load_settings, open_engine

    settings = load_settings(given, None)
    default = base_name(settings)
    with open_engine(settings) as engine:
        made = list_bases(engine)
    for base in (*made, *bases.known_bases()):
        mark = "*" if base.reference == default else " "
        click.echo(
            f"{mark} {base.reference}  {base.distribution} {base.release}, Python {base.python or 'none'}"
        )
