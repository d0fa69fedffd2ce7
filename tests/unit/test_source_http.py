import subprocess
import sys

import pytest

from r2d.errors import SourceNotFound
from r2d.events import ignore
from r2d.sources.http import Checksum, Clock, Patience, Web, _exempt, _next_hop, _proxies, _public
from r2d.sources.protocol import Network


def test_recognising_loads_no_http_library() -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from r2d.sources import archives, launch_links, records;"
        "archives.recognise('https://x.org/a.zip', Path('/'));"
        "launch_links.recognise('https://x.org/v2/gh/a/b/c'); records.recognise('https://zenodo.org/records/1');"
        "print(sorted({'requests', 'urllib3', 'tarfile', 'zipfile'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("host", "exempt"),
    [
        ("example.org", True),
        ("sub.example.org", True),
        ("badexample.org", False),
        ("localhost", True),
        ("other", False),
    ],
)
def test_no_proxy_names_hosts_and_domains(host: str, exempt: bool) -> None:
    assert _exempt(host, "localhost, .example.org:8080") is exempt
    assert _exempt(host, "*")


def test_the_proxy_is_that_of_the_scheme() -> None:
    environment = {"HTTPS_PROXY": "http://proxy:1", "http_proxy": "http://proxy:2", "NO_PROXY": "a.org"}
    assert _proxies(environment, "https://x.org/") == {"https": "http://proxy:1"}
    assert _proxies(environment, "http://x.org/") == {"http": "http://proxy:2"}
    assert _proxies(environment, "https://a.org/") == {}


def test_an_address_in_a_message_has_no_credentials_and_no_query() -> None:
    assert _public("https://me:secret@x.org/a?token=secret") == "https://x.org/a"


@pytest.mark.parametrize("location", ["ftp://x.org/", "javascript:x", "http://x.org/"])
def test_a_redirect_must_not_leave_tls_or_the_web(location: str) -> None:
    with pytest.raises(SourceNotFound, match="redirects to"):
        _next_hop("https://x.org/a", location)


def test_pauses_double_up_to_a_limit_and_are_spread() -> None:
    web = Web(Network(), ignore, Clock(chance=lambda: 0.0), Patience(first_pause=2.0, longest_pause=5.0))
    from r2d.sources.http import _Passing

    pauses = [web._pause_before(attempt, _Passing("x")) for attempt in (2, 3, 4, 5)]
    assert pauses == [1.0, 2.0, 2.5, 2.5]


@pytest.mark.parametrize(
    ("algorithm", "digest", "expected"),
    [
        ("md5", "AB", Checksum("md5", "ab")),
        ("SHA-256", "ab", Checksum("sha256", "ab")),
        ("crc32", "ab", None),
        ("md5", "", None),
        (None, None, None),
    ],
)
def test_only_checksums_that_can_be_verified_count(
    algorithm: str | None, digest: str | None, expected: Checksum | None
) -> None:
    assert Checksum.parse(algorithm, digest) == expected
