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
    from r2d import chain
    from r2d.cli.words import explanation
    from r2d.cli.workspace import reporting, workspace
    from r2d.repository import Repository

    with reporting(given, only_problems=True) as emit, workspace(given, emit) as work:
        verdict = chain.verdict(Repository(work.checkout.folder))
        target = work.target()
        click.echo(explanation(verdict, verdict.plan(target), target, work.settings))
