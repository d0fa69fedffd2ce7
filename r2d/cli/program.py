"""The command tree, and what becomes of errors."""

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from r2d import __version__
from r2d.cli.main import COMMANDS
from r2d.cli.options import DEBUG
from r2d.errors import OutputNotWritten, R2DError, Terminated

_COMPLETION = "_R2D_COMPLETE"  # what a shell sets when it asks for completions


class _Commands(click.Group):
    """Commands that are imported when they are needed; whatever is no command is a repository to run."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"r2d.cli.commands.{name}").command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            # click would print an empty line first, which is no event of a report in JSON.
            raise click.exceptions.Exit(130) from None

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(context, with_command(args))


def with_command(words: list[str]) -> list[str]:
    """The arguments with the command that is meant: `r2d REPO` is `r2d run REPO`."""
    if not words or words[0] in COMMANDS or words[0] in ("-h", "--help", "--version"):
        return words
    return ["run", *words]


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A folder named like a command is written ./build. Shell completion: see docs/completion.md.",
)
@click.version_option(__version__, message="%(version)s")
def program() -> None:
    """Turn any repository into a reproducible container image and run it with Jupyter.

    \b
    r2d .                          the folder you are in
    r2d https://github.com/o/repo  a git repository
    r2d 10.5281/zenodo.3242074     a DOI
    r2d . python script.py         another command than Jupyter
    """


def invoke(words: list[str]) -> int:
    """Run a command; its exit code. No traceback reaches a user who did not ask for it."""
    if instruction := os.environ.get(_COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, "r2d", _COMPLETION, instruction)
    meta: dict[str, Any] = {}
    try:
        with program.make_context("r2d", words) as context:
            meta = context.meta
            result: Any = program.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except R2DError as error:
        # Failures of a pipeline were told by the report; these came before there was one.
        if not error.told:
            click.echo(f"r2d: {error}", err=True)
        if meta.get(DEBUG):
            raise
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Terminated as ended:
        return ended.exit_code
    except BrokenPipeError:
        # Who reads our output has seen enough; the interpreter's own last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _own_fault(error, meta)
        click.echo("r2d: the result cannot be written: there is no space left.", err=True)
        return OutputNotWritten.exit_code
    except Exception as error:
        return _own_fault(error, meta)
    return result if isinstance(result, int) else 0


def _own_fault(error: Exception, meta: dict[str, Any]) -> int:
    if meta.get(DEBUG):
        raise error
    click.echo(
        f"r2d: this is a fault of r2d: {type(error).__name__}: {error}\n"
        "Please report it, with what `--debug` adds.",
        err=True,
    )
    return 1
