"""Measures r2d against its floor, side by side in one run: `python -m benchmarks [--write]`.

The floor of a build is what no builder can do without: the installer putting the same packages into a folder of a
container, and one tar of that folder. Every figure is a ratio to something measured in the same run; the seconds beside
it say what kind of machine it was. `--write` puts the table into docs/performance.md.
"""

import argparse
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from statistics import median

import uv

from r2d.engines.find import open_engine
from r2d.engines.protocol import Engine, RunRequest, Volume
from r2d.events import ignore

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "requirements"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Row:
    """A measured case."""

    case: str
    seconds: float
    against: str
    ratio: float | None
    goal: str


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options.add_argument("--incumbent", metavar="PROGRAM", help="a repo2docker to compare planning with")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_engine(environ=os.environ) as engine:
        rows = list(_measured(engine, Path(folder), given.incumbent))
        table = _table(rows, engine)
    print(table)
    if given.write:
        before, rest = PAGE.read_text().split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def _measured(engine: Engine, folder: Path, incumbent: str | None) -> Iterator[Row]:
    repository = folder / "repository"
    shutil.copytree(EXAMPLE, repository)
    base = _base()

    # A user id nobody has built with: neither layers nor the installer's cache know it.
    stranger = ["--user-id", str(random.randrange(20_000, 60_000))]
    floor_cold = _timed(lambda: _floor(engine, base, folder / "cold"))
    cold = _timed(lambda: _r2d("build", *stranger, repository))
    yield Row(
        "new environment, nothing cached",
        cold,
        f"installer + one tar, {floor_cold:.1f} s",
        cold / floor_cold,
        "near 1",
    )

    floor_warm = _timed(lambda: _floor(engine, base, folder / "cold"))
    warm = _timed(lambda: _r2d("build", "--rebuild", *stranger, repository))
    yield Row(
        "new environment, packages cached",
        warm,
        f"the same with its cache, {floor_warm:.1f} s",
        warm / floor_warm,
        "near 1",
    )

    (repository / "requirements.txt").write_text("humanize==4.11.0\ntabulate==0.9.0\n")
    changed = _timed(lambda: _r2d("build", *stranger, repository))
    yield Row("one requirement changed", changed, "the same floor", changed / floor_warm, "below 1")

    def edit_notebook() -> None:
        (repository / "index.ipynb").write_text(
            (EXAMPLE / "index.ipynb").read_text() + " " * random.randrange(1, 9999)
        )
        _r2d("build", *stranger, repository)

    yield Row("only a notebook changed", _median(edit_notebook), "goal", None, "about 1 s")
    yield Row(
        "nothing changed", _median(lambda: _r2d("build", *stranger, repository)), "goal", None, "under 1 s"
    )
    yield Row("start to first answer", _start_to_answer(repository, stranger), "goal", None, "-")

    plan = _median(lambda: _r2d("plan", repository), times=7)
    interpreter = _median(lambda: _quietly(sys.executable, "-c", "pass"), times=7)
    version = _median(lambda: _r2d("--version"), times=7)
    yield Row(
        "`r2d --version`",
        version,
        f"`python -c pass`, {interpreter * 1000:.0f} ms",
        version / interpreter,
        "60 ms",
    )
    yield Row(
        "`r2d plan`", plan, f"`python -c pass`, {interpreter * 1000:.0f} ms", plan / interpreter, "150 ms"
    )
    if incumbent:
        theirs = _median(lambda: _quietly(incumbent, "--no-build", repository), times=7)
        yield Row(
            "`r2d plan`",
            plan,
            f"the incumbent's `--no-build`, {theirs * 1000:.0f} ms",
            plan / theirs,
            "below 1",
        )


# --- what is timed


def _floor(engine: Engine, base: str, cache: Path) -> None:
    """The installer and a tar, in a container of the same base image."""
    cache.mkdir(exist_ok=True)
    work = cache.parent
    lock = files("r2d_buildpacks.common").joinpath("server/server-3.13.txt").read_text()
    (work / "server.txt").write_text(lock)
    shutil.copyfile(EXAMPLE / "requirements.txt", work / "requirements.txt")
    (work / "floor.sh").write_text(
        "set -e\nexport UV_CACHE_DIR=/cache UV_LINK_MODE=copy\n"
        "/uv venv -q /srv/env\n"
        "/uv pip install -q --python /srv/env --compile-bytecode --no-deps --require-hashes -r /w/server.txt\n"
        "/uv pip install -q --python /srv/env --compile-bytecode -r /w/requirements.txt\n"
        "tar -cf - /srv/env | cat >/dev/null\n"
    )
    volumes = [
        Volume(uv.find_uv_bin(), "/uv", True),
        Volume(str(work), "/w", True),
        Volume(str(cache), "/cache"),
    ]
    env: tuple[tuple[str, str], ...] = ()
    if bundle := os.environ.get("SSL_CERT_FILE"):
        volumes.append(Volume(bundle, "/ca.pem", True))
        env = (("SSL_CERT_FILE", "/ca.pem"),)
    container = engine.run(RunRequest(base, ("sh", "/w/floor.sh"), env=env, volumes=tuple(volumes)))
    try:
        container.follow(ignore)
        if container.wait():
            raise SystemExit("the floor cannot be measured: its installer failed")
    finally:
        container.remove()


def _start_to_answer(repository: Path, options: list[str]) -> float:
    command = [*_program(), "run", "--progress", "json", *options, str(repository)]
    began = None
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if '"container_started"' in line:
                began = time.monotonic()
            if '"server_ready"' in line and began:
                taken = time.monotonic() - began
                process.terminate()
                return taken
    raise SystemExit("the server never answered")


def _r2d(*words: object) -> None:
    _quietly(*_program(), *words)


def _program() -> list[str]:
    return [str(Path(sys.executable).with_name("r2d"))]


def _quietly(*words: object) -> None:
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{ended.stderr[-2000:]}")


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _median(work: Callable[[], None], times: int = 3) -> float:
    return median(_timed(work) for _ in range(times))


# --- what is said


def _base() -> str:
    listed = subprocess.run([*_program(), "base", "list"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in listed.splitlines() if line.startswith("*"))


def _table(rows: list[Row], engine: Engine) -> str:
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    lines = [
        f"Measured on {datetime.now(UTC).date()}: {engine.facts.name}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}. r2d itself took at most {memory:.0f} MB.",
        "",
        "| case | time | against | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        taken = f"{row.seconds * 1000:.0f} ms" if row.seconds < 1 else f"{row.seconds:.1f} s"
        lines.append(f"| {row.case} | {taken} | {row.against} | {ratio} | {row.goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
