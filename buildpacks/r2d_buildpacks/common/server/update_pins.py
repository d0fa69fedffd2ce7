"""Make the locks of the Jupyter server again: `python -m r2d_buildpacks.common.server.update_pins`.

A lock is the same for every platform it serves: it is resolved for each of them, from wheels only, and the answers
must agree. The moment in pins.toml makes the answer a function of the files here. Which package index answers is
the business of uv's own configuration, and is not recorded.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).parent
_MOMENT = re.compile(r'^exclude_newer = "[^"]*"$', re.MULTILINE)
_HEADER = "# Made by r2d_buildpacks.common.server.update_pins; do not edit.\n"

# An index may answer a first request without the upload times that `--exclude-newer` needs; asked again, it has them.
_NO_UPLOAD_TIME = "missing an upload date"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Pins:
    """What the locks are made from."""

    exclude_newer: str
    platforms: tuple[str, ...]
    minors: tuple[str, ...]
    from_source: dict[str, list[str]]


def read_pins(folder: Path = FOLDER) -> Pins:
    """The pins in a folder."""
    data = tomllib.loads((folder / "pins.toml").read_text())
    return Pins(data["exclude_newer"], tuple(data["platforms"]), tuple(data["minors"]), data["from_source"])


def locks(pins: Pins, folder: Path = FOLDER) -> Iterator[tuple[str, str]]:
    """Every file to write, by name."""
    oldest = min(pins.from_source, default=None, key=lambda minor: int(minor.split(".")[1]))
    if oldest:
        yield "build.txt", lock(folder / "build.in", oldest, pins)
    for minor in pins.minors:
        yield f"server-{minor}.txt", lock(folder / "server.in", minor, pins)


def lock(asked: Path, minor: str, pins: Pins) -> str:
    """What is asked for as exact versions with hashes, for one Python and every platform."""
    answers = {platform: _resolved(asked, minor, platform, pins) for platform in pins.platforms}
    if len(set(answers.values())) != 1:
        raise SystemExit(
            f"{asked.name} resolves differently for {' and '.join(answers)} with Python {minor}."
        )
    return _HEADER + answers[pins.platforms[0]]


def _resolved(asked: Path, minor: str, platform: str, pins: Pins) -> str:
    command = ["uv", "pip", "compile", "--no-config", "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += ["--generate-hashes", "--python-version", minor, "--python-platform", platform]
    command += ["--exclude-newer", pins.exclude_newer, "--only-binary", ":all:"]
    for package in pins.from_source.get(minor, []):
        command += ["--no-binary", package]
    with tempfile.TemporaryDirectory() as folder:  # away from any project's own settings
        for _ in range(_ATTEMPTS):
            done = subprocess.run(
                [*command, str(asked.resolve())], cwd=folder, capture_output=True, text=True
            )
            if _NO_UPLOAD_TIME not in done.stderr:
                break
            if "--refresh" not in command:
                command.append("--refresh")
    if done.returncode != 0 or _NO_UPLOAD_TIME in done.stderr:
        raise SystemExit(f"No lock of {asked.name} for Python {minor} on {platform}:\n{done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Make the locks of the Jupyter server from server.in and pins.toml."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock would change")
    parser.add_argument(
        "--date", type=date.fromisoformat, metavar="YYYY-MM-DD", help="move the day of the pins first"
    )
    options = parser.parse_args()
    if options.date:
        pins = FOLDER / "pins.toml"
        pins.write_text(_MOMENT.sub(f'exclude_newer = "{options.date}T00:00:00Z"', pins.read_text()))
    stale = []
    for name, text in locks(read_pins()):
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not options.check:
            path.write_text(text)
    print(f"{'Stale' if options.check else 'Written'}: {', '.join(stale) or 'none'}")
    sys.exit(1 if options.check and stale else 0)


if __name__ == "__main__":
    main()
