"""`r2d fetch`."""

import os
from pathlib import Path
from typing import Any

import click

from r2d.cli import options


@click.command()
@click.argument("source")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--ref", metavar="REF", help="The branch, tag or commit of a git repository.")
@click.option("--subdir", default="", metavar="FOLDER", help="Bring this folder of the source, and print it.")
@options.report()
@options.configuration()
def command(source: str, folder: Path, ref: str | None, subdir: str, **given: Any) -> None:
    """Bring the files of SOURCE into FOLDER, which must not exist or be empty."""
    from r2d.cli.workspace import load_settings, network, reporting
    from r2d.sources import fetch_to, recognise

    with reporting(given) as emit:
        settings = load_settings(given, None)
        found = recognise(source, ref=ref, working_folder=Path.cwd(), subdir=subdir)
        checkout = fetch_to(found, folder, subdir=subdir, network=network(settings), emit=emit)
    click.echo(os.fspath(checkout.folder))
