"""`r2d`: finds the command that is meant, runs it, and turns what went wrong into words and an exit code."""

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from r2d import __version__

# Command → its module. A module is imported when its command runs, so that none pays for another.
COMMANDS = {
    "run": "Build a repository's image and run it with Jupyter (what `r2d REPO` means).",
    "build": "Build a repository's image.",
    "plan": "Show what would be built, stage by stage.",
    "explain": "Tell what was found in a repository, what was decided, and why.",
    "dockerfile": "Write a folder that plain `docker build` accepts.",
    "fetch": "Bring a repository's files into a folder.",
    "doctor": "Check what r2d needs on this machine, and say what repairs it.",
    "base": "Make and list base images.",
    "version": "Print the version.",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The `r2d` program."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        # Before anything else is imported: scripts ask often.
        print(__version__)
        sys.exit(0)
    for number in _ENDING:
        # Whoever started us under nohup wants us to outlive the terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    from r2d.cli.program import invoke

    code = invoke(words)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


# What ends a program that has not been asked nicely: a supervisor's stop, a terminal that is closed.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def _terminate(number: int, _frame: object) -> None:
    # Once: what cleans up must not be interrupted by an impatient second one.
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)
    from r2d.errors import Terminated

    raise Terminated(signal.Signals(number).name, number)


if __name__ == "__main__":
    main()
