"""The programs r2d brings into a build, and how they are fetched."""

from pathlib import Path

import pytest

from r2d.errors import UnsupportedVersion
from r2d.origins import Origins
from r2d.tools import fetching_environment, tool_for


def test_an_unknown_platform_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVersion, match="linux/riscv64") as caught:
        tool_for("uv", platform="linux/riscv64", cache=tmp_path)
    assert caught.value.fix == "Build for linux/amd64 or linux/arm64."


def test_a_tool_is_fetched_from_where_the_origins_say() -> None:
    origins = Origins(
        package_index="https://index.example/simple",
        ca_bundle=Path("/etc/lab.pem"),
        https_proxy="http://proxy.example:3128",
    )
    told = fetching_environment(origins, {"HOME": "/home/me", "https_proxy": "http://other.example"})
    assert told["HOME"] == "/home/me"
    assert told["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert told["SSL_CERT_FILE"] == "/etc/lab.pem"
    assert told["https_proxy"] == told["HTTPS_PROXY"] == "http://proxy.example:3128"
