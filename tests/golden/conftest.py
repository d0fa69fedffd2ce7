"""Approved files: what was looked at by a person and found right, compared as text."""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

APPROVED = Path(__file__).with_name("approved")
_SHOWN_LINES = 200

Approve = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--approve`."""
    parser.addoption(
        "--approve",
        action="store_true",
        help="Write what is made now over the approved files; review the diff.",
    )


@pytest.fixture
def approved(request: pytest.FixtureRequest) -> Approve:
    """Compares a text with the approved file of this name."""
    approving = bool(request.config.getoption("--approve", default=False))

    def compare(name: str, text: str) -> None:
        file = APPROVED / name
        if approving:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if before != text:
            pytest.fail(_difference(name, before, text), pytrace=False)

    return compare


def _difference(name: str, before: str, now: str) -> str:
    lines = list(
        difflib.unified_diff(
            before.splitlines(), now.splitlines(), f"approved/{name}", f"made now: {name}", lineterm=""
        )
    )
    more = [f"… and {len(lines) - _SHOWN_LINES} lines more"] if len(lines) > _SHOWN_LINES else []
    how = "If this is what is meant: python -m pytest tests/golden --approve; then review the change."
    return "\n".join([*lines[:_SHOWN_LINES], *more, "", how])
