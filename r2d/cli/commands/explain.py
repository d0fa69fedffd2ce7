"""`r2d explain`."""

from typing import Any

import click

from r2d.cli import options


@click.command()
@options.repository()
@options.target()
@options.report()
@options.configuration()
def command(**given: Any) -> None:
    """Tell what was found in REPO, what was decided and why, and what is ignored."""
    from r2d.cli.words import explanation
    from r2d.cli.workspace import reporting, workspace
    from r2d.pipeline import understood

    with reporting(given, only_problems=True) as emit, workspace(given, emit) as work:
        target = work.target()
        verdict, plan = understood(work.checkout, target, work.settings.origins)
        click.echo(explanation(verdict, plan, target, work.settings))
