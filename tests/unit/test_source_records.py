import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import R2DError
from r2d.sources import archives
from r2d.sources.records import recognise
from r2d.sources.records.services import known_services


@pytest.fixture(autouse=True, scope="module")
def no_network() -> object:
    patch = pytest.MonkeyPatch()

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a recogniser touched the network")

    patch.setattr(socket, "socket", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    yield
    patch.undo()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("10.5281/zenodo.3242074", "10.5281/zenodo.3242074"),
        ("DOI: 10.5281/zenodo.3242074", "10.5281/zenodo.3242074"),
        ("https://doi.org/10.5281%2Fzenodo.3242074", "10.5281/zenodo.3242074"),
        ("doi.org/10.5281/zenodo.3242074?x=1", "10.5281/zenodo.3242074"),
        ("https://zenodo.org/record/17/", "https://zenodo.org/records/17"),
        ("https://osf.io/ezum7/wiki/home", "https://osf.io/ezum7"),
        ("https://osf.io/registries/osf/abcde", "https://osf.io/abcde"),
    ],
)
def test_records_are_recognised_by_their_form(text: str, name: str) -> None:
    found = recognise(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/org/repo",
        "git@github.com:org/repo.git",
        "10.12x5/ab",
        "10./ab",
        "folder/10.5281/zenodo.1",
        "https://zenodo.org/communities/jupyter",
        "https://osf.io/login",
        "https://osf.io/search",
        "https://example.org/records/17",
        "swh:",
        "",
    ],
)
def test_what_is_no_record_is_left_to_others(text: str) -> None:
    assert recognise(text) is None


def test_every_listed_host_is_a_bare_lower_case_name_listed_once() -> None:
    services = known_services()
    kinds = (
        services.inveniordm_hosts,
        services.figshare_hosts,
        services.dataverse_hosts,
        services.code_hosts,
    )
    hosts = [host for kind in kinds for host in kind]
    assert len(hosts) == len(set(hosts))
    assert all(host == host.lower() and "/" not in host and "." in host for host in hosts)


hosts = st.sampled_from(
    [
        "zenodo.org",
        "figshare.com",
        "dataverse.harvard.edu",
        "osf.io",
        "www.hydroshare.org",
        "x.org",
        "doi.org",
        "[::1",
        "a:b",
    ]
)
paths = st.lists(
    st.sampled_from(
        [
            *"/?#%=&:;[]@. \n",
            "records",
            "articles",
            "dataset",
            "persistentId=",
            "fileId=²",
            "10.1/x",
            "resource",
            "swh:1:",
            "²",
        ]
    ),
    max_size=12,
).map("".join)


@given(st.one_of(st.text(), st.builds("https://{}/{}".format, hosts, paths), paths))
def test_no_text_breaks_a_recogniser_or_reaches_the_network(text: str) -> None:
    for recognised in (recognise, lambda text: archives.recognise(text, Path("/nowhere"))):
        try:
            found = recognised(text)
        except R2DError:
            continue
        assert found is None or (found.name and "\n" not in found.name)
