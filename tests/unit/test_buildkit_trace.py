"""BuildKit's trace, read from bytes made by hand and from what an engine really sent."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2d.engines.buildkit_trace import Log, MalformedTrace, Progress, Status, Vertex, read_status

CAPTURED = Path(__file__).parents[1] / "engines/captured"


def varint(value: int) -> bytes:
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def time(seconds: int, nanoseconds: int) -> bytes:
    return number(1, seconds) + number(2, nanoseconds)


def test_a_vertex_is_read_with_all_its_fields() -> None:
    vertex = (
        part(1, "sha256:a") + part(2, "sha256:b") + part(2, "sha256:c") + part(3, "[2/2] RUN true") + number(4, 1)
        + part(5, time(10, 500_000_000)) + part(6, time(12, 0)) + part(7, "exit code: 3")
    )  # fmt: skip
    assert read_status(part(1, vertex)).vertexes == (
        Vertex("sha256:a", ("sha256:b", "sha256:c"), "[2/2] RUN true", True, 10.5, 12.0, "exit code: 3"),
    )


def test_a_log_keeps_bytes_that_are_no_text() -> None:
    log = part(1, "sha256:a") + part(2, time(1, 2)) + number(3, 1) + part(4, b"\xc3")
    assert read_status(part(3, log)).logs == (Log("sha256:a", b"\xc3"),)


def test_progress_is_read() -> None:
    progress = (
        part(1, "sha256:layer") + part(2, "sha256:a") + part(3, "downloading") + number(4, 7) + number(5, 9)
    )
    assert read_status(part(2, progress)).progress == (Progress("sha256:layer", "sha256:a", 7, 9),)


def test_a_negative_number_is_understood() -> None:
    progress = number(4, 2**64 - 1)
    assert read_status(part(2, progress)).progress[0].current == -1


def test_fields_of_later_versions_are_passed_over() -> None:
    unknown = (
        number(90, 1) + part(91, "x") + varint(92 << 3 | 5) + b"1234" + varint(93 << 3 | 1) + b"12345678"
    )
    assert read_status(unknown + part(1, unknown + part(3, "name"))).vertexes[0].name == "name"


def test_nothing_is_an_empty_status() -> None:
    assert read_status(b"") == Status((), (), ())


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a\x05abc",  # shorter than it says
        b"\x80",  # a number that does not end
        b"\x80" * 11,
        b"\x0b",  # a wire type of the past
        b"\x02\x00",  # field number 0
        number(1, 5),  # a number where a vertex belongs
        part(1, part(4, "x")),  # bytes where a flag belongs
    ],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedTrace):
        read_status(raw)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        status = read_status(raw)
    except MalformedTrace:
        return
    assert isinstance(status, Status)


@settings(deadline=None)
@given(name=st.text(), message=st.binary(), current=st.integers(0, 2**63 - 1), cached=st.booleans())
def test_what_was_written_is_read_back(name: str, message: bytes, current: int, cached: bool) -> None:
    raw = (
        part(1, part(3, name) + number(4, cached))
        + part(2, number(4, current))
        + part(3, part(1, name) + part(4, message))
    )
    status = read_status(raw)
    assert (status.vertexes[0].name, status.vertexes[0].cached) == (name, cached)
    assert status.progress[0].current == current
    assert status.logs == (Log(name, message),)


def test_a_real_trace_names_its_steps_and_its_error() -> None:
    statuses = [
        read_status(b64decode(record["aux"]))
        for record in map(json.loads, (CAPTURED / "buildkit_fail.json").read_text().splitlines())
        if record.get("id") == "moby.buildkit.trace"
    ]
    vertexes = [vertex for status in statuses for vertex in status.vertexes]
    failed = [vertex for vertex in vertexes if vertex.error]
    assert [vertex.name for vertex in failed] == [
        "[2/2] RUN echo hi; for i in 1 2 3; do echo $i; done; exit 3"
    ]
    assert failed[0].error.endswith("exit code: 3")
    assert b"".join(log.message for status in statuses for log in status.logs) == b"hi\n1\n2\n3\n"
