"""`r2d fetch`."""

import os
import shutil
from pathlib import Path
from typing import Any

import click

from r2d.cli import options


@click.command()
@click.argument("source")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--ref", metavar="REF", help="The branch, tag or commit of a git repository.")
@options.report()
@options.configuration()
def command(source: str, folder: Path, ref: str | None, **given: Any) -> None:
    """Bring the files of SOURCE into FOLDER, which must not exist or be empty."""
    from r2d.cli.workspace import load_settings, network, reporting
    from r2d.errors import OutputExists
    from r2d.sources import recognise

    with reporting(given) as emit:
        settings = load_settings(given, None)
        found = recognise(source, ref=ref, working_folder=Path.cwd())
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputExists("There is something already.", where=str(folder), fix="Name a new folder.")
        existed = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            checkout = found.fetch(folder, network(settings), emit)
        except BaseException:
            _empty(folder, keep=existed)
            raise
        if not checkout.temporary:
            _empty(folder, keep=existed)
    click.echo(os.fspath(checkout.folder))


def _empty(folder: Path, *, keep: bool) -> None:
    shutil.rmtree(folder)
    if keep:
        folder.mkdir()
