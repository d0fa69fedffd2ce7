"""`r2d build`."""

from typing import Any

import click

from r2d.cli import options


@click.command()
@options.repository()
@options.image()
@options.target()
@options.report()
@options.configuration()
def command(**given: Any) -> None:
    """Build the image of REPO. Its id is printed when it is there."""
    from r2d.cli.workspace import open_engine, reporting, workspace

    with reporting(given) as emit, workspace(given, emit) as work, open_engine(work.settings) as engine:
        image = work.image(engine, given)
    click.echo(image.id)
