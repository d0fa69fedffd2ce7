"""`r2d version`."""

import platform
import sys
from importlib.metadata import version

import click

from r2d import __version__


@click.command()
@click.option("--short", is_flag=True, help="The number alone.")
def command(short: bool) -> None:
    """Print the version."""
    if short:
        click.echo(__version__)
    else:
        click.echo(
            f"r2d {__version__} (uv {version('uv')}, Python {platform.python_version()}, {sys.platform})"
        )
