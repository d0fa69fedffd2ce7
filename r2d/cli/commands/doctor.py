"""`r2d doctor`."""

import os
from typing import Any

import click

from r2d.cli import options
from r2d.errors import EngineAbsent


@click.command()
@click.option(
    "--repair", is_flag=True, help="Set up what is missing; asks before it installs system packages."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.report()
@options.configuration()
def command(repair: bool, yes: bool, **given: Any) -> int:
    """Check what r2d needs on this machine, and say what repairs it."""
    from r2d.cli.repair import Repair, diagnosis
    from r2d.cli.workspace import load_settings, reporting

    settings = load_settings(given, None)
    if repair:
        with reporting(given) as emit:
            agree = (lambda _question: True) if yes else click.confirm
            Repair(settings, os.environ, emit, agree).everything()
        settings = load_settings(given, None)
    checks = list(diagnosis(settings, os.environ))
    for check in checks:
        click.echo(check.line)
    return 0 if all(check.good or not check.needed for check in checks) else EngineAbsent.exit_code
