"""`r2d plan`."""

import json
from typing import Any

import click

from r2d.cli import options


@click.command()
@options.repository()
@click.option(
    "--json", "as_json", is_flag=True, help="The whole plan for machines, keys and checksums included."
)
@options.target()
@options.report()
@options.configuration()
def command(as_json: bool, **given: Any) -> None:
    """Show what would be built of REPO. Nothing is built, and no engine is needed."""
    from r2d.cli.workspace import reporting, workspace
    from r2d.plan import as_data

    with reporting(given, only_problems=True) as emit, workspace(given, emit) as work:
        target = work.target()
        plan = work.plan(target)
    if as_json:
        click.echo(json.dumps(as_data(plan, target), indent=2, ensure_ascii=False))
    else:
        from r2d.cli.words import plan_in_words

        click.echo(plan_in_words(plan, target))
