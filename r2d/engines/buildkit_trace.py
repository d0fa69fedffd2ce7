"""What BuildKit tells of a build: its `StatusResponse` protobuf messages, read without a protobuf library."""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes: 64 bits, seven in each


class MalformedTrace(ValueError):
    """Bytes that are no protobuf message."""


@dataclass(frozen=True)
class Vertex:
    """A step of the build as far as it got; times are seconds since the epoch."""

    digest: str
    inputs: tuple[str, ...]
    name: str
    cached: bool
    started: float | None
    completed: float | None
    error: str


@dataclass(frozen=True)
class Progress:
    """A part of a step that counts bytes: a layer being fetched, a context being read."""

    id: str
    vertex: str
    current: int
    total: int


@dataclass(frozen=True)
class Log:
    """What a step printed."""

    vertex: str
    message: bytes


@dataclass(frozen=True)
class Status:
    """One message of the trace."""

    vertexes: tuple[Vertex, ...]
    progress: tuple[Progress, ...]
    logs: tuple[Log, ...]


Value = int | bytes
Fields = dict[int, list[Value]]


def read_status(message: bytes) -> Status:
    """Decode one `moby.buildkit.trace` record; MalformedTrace when it is none."""
    fields = _fields(message)
    return Status(
        vertexes=tuple(_vertex(_fields(part)) for part in _parts(fields, 1)),
        progress=tuple(_progress(_fields(part)) for part in _parts(fields, 2)),
        logs=tuple(_log(_fields(part)) for part in _parts(fields, 3)),
    )


def _vertex(fields: Fields) -> Vertex:
    return Vertex(
        digest=_text(fields, 1),
        inputs=tuple(_decoded(part) for part in _parts(fields, 2)),
        name=_text(fields, 3),
        cached=bool(_number(fields, 4)),
        started=_time(fields, 5),
        completed=_time(fields, 6),
        error=_text(fields, 7),
    )


def _progress(fields: Fields) -> Progress:
    return Progress(
        id=_text(fields, 1), vertex=_text(fields, 2), current=_number(fields, 4), total=_number(fields, 5)
    )


def _log(fields: Fields) -> Log:
    parts = _parts(fields, 4)
    return Log(vertex=_text(fields, 1), message=parts[-1] if parts else b"")


def _time(fields: Fields, number: int) -> float | None:
    parts = _parts(fields, number)
    if not parts:
        return None
    timestamp = _fields(parts[-1])
    return _number(timestamp, 1) + _number(timestamp, 2) / 1e9


def _parts(fields: Fields, number: int) -> list[bytes]:
    parts = fields.get(number, [])
    wanted = [part for part in parts if isinstance(part, bytes)]
    if len(wanted) != len(parts):
        raise MalformedTrace(f"field {number} holds a number where bytes belong")
    return wanted


def _text(fields: Fields, number: int) -> str:
    parts = _parts(fields, number)
    return _decoded(parts[-1]) if parts else ""


def _decoded(part: bytes) -> str:
    return part.decode("utf-8", "replace")


def _number(fields: Fields, number: int) -> int:
    values = fields.get(number, [])
    value = values[-1] if values else 0
    if not isinstance(value, int):
        raise MalformedTrace(f"field {number} holds bytes where a number belongs")
    return value - 2**64 if value >= 2**63 else value


def _fields(message: bytes) -> Fields:
    fields: Fields = {}
    for number, value in _pairs(message):
        fields.setdefault(number, []).append(value)
    return fields


def _pairs(message: bytes) -> Iterator[tuple[int, Value]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise MalformedTrace("field number 0")
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, position = _varint(message, position)
        elif wire_type in (_FIXED32, _FIXED64):
            length = 4 if wire_type == _FIXED32 else 8
        else:
            raise MalformedTrace(f"wire type {wire_type}")
        if position + length > len(message):
            raise MalformedTrace("a field ends beyond the message")
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(message[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & (2**64 - 1), position + count + 1
    raise MalformedTrace("a number that does not end")
