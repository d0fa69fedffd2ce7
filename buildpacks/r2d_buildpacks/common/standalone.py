"""How a step gets a Python that the base image does not have."""

from r2d.plan import ContextFile
from r2d_buildpacks.python import standalone

minors = standalone.minors


def downloads_json(minor: str, platform: str) -> ContextFile:
    """The file a step names in UV_PYTHON_DOWNLOADS_JSON_URL."""
    return ContextFile("pythons.json", standalone.downloads_json(minor, platform))
