"""Wheels made on the spot."""

import io
import zipfile


def wheel_name(name: str) -> str:
    """The file name of a wheel that `wheel_of` makes."""
    return f"{name}-1.0-py3-none-any.whl"


def wheel_of(name: str, code: str) -> bytes:
    """A wheel of one module; no index has it."""
    raw, facts = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names = [*archive.namelist(), f"{facts}/RECORD"]
        archive.writestr(f"{facts}/RECORD", "".join(f"{each},,\n" for each in names))
    return raw.getvalue()
