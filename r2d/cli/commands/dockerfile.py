"""`r2d dockerfile`."""

from pathlib import Path
from typing import Any

import click

from r2d.cli import options
from r2d.events import Warned


@click.command()
@options.repository()
@click.argument("outdir", type=click.Path(path_type=Path))
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Add a label to the image.")
@options.target()
@options.report()
@options.configuration()
def command(outdir: Path, **given: Any) -> None:
    """Write REPO's Dockerfile and all it reads into OUTDIR; - prints the Dockerfile alone.

    `docker build OUTDIR` and `podman build --format docker OUTDIR` make the image that r2d would make. Docker
    needs its BuildKit builder for that: the default since Docker 23, DOCKER_BUILDKIT=1 before.
    """
    from r2d.cli.workspace import reporting, workspace

    with reporting(given) as emit, workspace(given, emit) as work:
        recipe = work.recipe(work.target(), {**given, "image_name": None, "rebuild": False})
        if str(outdir) == "-":
            click.echo(recipe.rendered.dockerfile, nl=False)
            return
        recipe.write(outdir, emit)
        if work.settings.origins.hold_credentials:
            emit(
                Warned(
                    f"{outdir}/r2d/network/network.sh holds the password of an index or a proxy.",
                    "Keep the folder to yourself, or take the password out before you pass it on.",
                )
            )
    click.echo(outdir)
