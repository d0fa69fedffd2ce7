from urllib.parse import quote

import pytest

from r2d.errors import ContentDamaged, SourceNotFound, TemporaryFailure, UnsafeContent
from r2d.events import Decided, Transferred
from tests.sources.record_world import World, zipped
from tests.sources.service_servers import Reply, document, md5, redirect

pytest_plugins = ["tests.sources.services"]


def publish(world: World, record: str, files: dict[str, bytes], *, site: str = "https://zenodo.org") -> None:
    world.service.answers(f"/api/records/{record}", document({"id": record, "links": {}}))
    entries = []
    for name, content in files.items():
        path = f"/api/records/{record}/files/{quote(name, safe='')}/content"
        world.service.answers(path, Reply(content))
        entries.append(
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{md5(content)}",
                "links": {"content": site + path},
            }
        )
    world.service.answers(f"/api/records/{record}/files", document({"enabled": True, "entries": entries}))


def leads_to(world: World, doi: str, url: str) -> None:
    values = [
        {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": {"handle": "10.admin"}}},
        {"index": 1, "type": "URL", "data": {"format": "string", "value": url}},
    ]
    world.service.answers(
        f"/api/handles/{doi}", document({"responseCode": 1, "handle": doi, "values": values})
    )


@pytest.mark.parametrize(
    "text",
    [
        "10.5281/zenodo.3242074",
        "doi:10.5281/zenodo.3242074",
        "https://doi.org/10.5281/zenodo.3242074",
        "http://dx.doi.org/10.5281/zenodo.3242074",
        "https://www.doi.org/10.5281/zenodo.3242074",
    ],
)
def test_a_doi_in_any_form_is_asked_once_and_then_only_its_service(world: World, text: str) -> None:
    leads_to(world, "10.5281/zenodo.3242074", "https://zenodo.org/record/3242074")
    publish(world, "3242074", {"environment.yml": b"name: x", "a b.ipynb": b"{}"})

    checkout = world.fetch(text)

    assert world.files == {"environment.yml": "name: x", "a b.ipynb": "{}"}
    assert (checkout.source, checkout.content) == ("10.5281/zenodo.3242074", "3242074")
    assert [path for path in world.service.paths if "handles" in path] == [
        "/api/handles/10.5281/zenodo.3242074"
    ]
    assert all("/files" in path or path == "/api/records/3242074" for path in world.service.paths[1:])


@pytest.mark.parametrize(
    "text",
    [
        "https://zenodo.org/record/17",
        "http://zenodo.org/records/17/",
        "https://zenodo.org/records/17/files/a.ipynb?download=1",
        "https://zenodo.org/records/17?preview=1#files",
        "https://zenodo.org/doi/10.5281/zenodo.17",
        "https://zenodo.org/api/records/17",
        "zenodo.org/records/17",
    ],
)
def test_a_records_address_in_any_form_names_the_record(world: World, text: str) -> None:
    publish(world, "17", {"a.ipynb": b"{}", "b.csv": b"1"})
    assert world.fetch(text).content == "17"
    assert set(world.files) == {"a.ipynb", "b.csv"}


def test_a_single_archive_is_unpacked_and_its_only_folder_left_out(world: World) -> None:
    publish(world, "17", {"org/repo-v1.zip": zipped({"repo-1/README": "hi", "repo-1/sub/x": "y"})})
    world.fetch("https://zenodo.org/records/17")
    assert world.files == {"README": "hi", "sub/x": "y"}


def test_a_single_file_stays_where_it_is_in_the_archive(world: World) -> None:
    publish(world, "17", {"repo.zip": zipped({"README": "hi"})})
    world.fetch("https://zenodo.org/records/17")
    assert world.files == {"README": "hi"}


def test_a_single_spreadsheet_is_not_unpacked(world: World) -> None:
    publish(world, "17", {"table.npz": zipped({"arr_0": "hi"})})
    world.fetch("https://zenodo.org/records/17")
    assert [path.name for path in world.into.iterdir()] == ["table.npz"]


def test_the_id_of_all_versions_means_the_latest_and_is_said(world: World) -> None:
    publish(world, "18", {"a": b"1", "b": b"2"})
    world.service.answers("/api/records/16", redirect("https://zenodo.org/api/records/18", 301))
    assert world.fetch("https://zenodo.org/records/16").content == "18"
    assert any(isinstance(event, Decided) and event.value == "18" for event in world.events)


def test_an_inveniordm_that_knows_no_parent_record_is_asked_for_its_latest_version(world: World) -> None:
    publish(world, "aaaaa-11111", {"a": b"1", "b": b"2"}, site="https://data.caltech.edu")
    world.service.answers(
        "/api/records/ppppp-00000/versions/latest",
        redirect("https://data.caltech.edu/api/records/aaaaa-11111"),
    )
    assert world.fetch("https://data.caltech.edu/records/ppppp-00000").content == "aaaaa-11111"


def test_a_doi_vouches_for_an_inveniordm_nobody_has_heard_of(world: World) -> None:
    leads_to(world, "10.1234/abc", "https://records.example.org/records/abcde-fghij")
    publish(world, "abcde-fghij", {"a": b"1", "b": b"2"}, site="https://records.example.org")
    assert world.fetch("10.1234/abc").content == "abcde-fghij"


def test_the_address_of_a_doi_on_a_site_is_followed_to_its_record(world: World) -> None:
    publish(world, "abcde-fghij", {"a": b"1", "b": b"2"}, site="https://data.caltech.edu")
    world.service.answers("/doi/10.22002/x", redirect("https://data.caltech.edu/records/abcde-fghij"))
    world.service.answers("/records/abcde-fghij", Reply(b"<html>"))
    assert world.fetch("https://data.caltech.edu/doi/10.22002/x").content == "abcde-fghij"


def test_a_wrong_checksum_is_tried_again_and_then_an_error_that_leaves_nothing(world: World) -> None:
    publish(world, "17", {"a": b"1", "b": b"2"})
    world.service.answers("/api/records/17/files/b/content", Reply(b"3"))
    with pytest.raises(ContentDamaged, match="md5"):
        world.fetch("https://zenodo.org/records/17")
    assert "b" not in world.files


def test_a_body_that_breaks_off_is_fetched_again(world: World) -> None:
    content = b"x" * 100_000
    publish(world, "17", {"a": content, "b": b"2"})
    world.service.answers("/api/records/17/files/a/content", Reply(content, cut=5000), Reply(content))
    world.fetch("https://zenodo.org/records/17")
    assert len(world.files["a"]) == 100_000
    assert world.time.pauses == [1.0]


def test_a_service_that_is_overloaded_is_waited_for_as_long_as_it_asks(world: World) -> None:
    publish(world, "17", {"a": b"1", "b": b"2"})
    world.service.answers(
        "/api/records/17", Reply(status=429, headers={"Retry-After": "7"}), document({"id": 17})
    )
    world.fetch("https://zenodo.org/records/17")
    assert world.time.pauses == [7.0]


def test_a_service_that_stays_down_is_a_temporary_failure(world: World) -> None:
    world.service.answers("/api/records/17", Reply(status=503))
    with pytest.raises(TemporaryFailure, match="503"):
        world.fetch("https://zenodo.org/records/17")
    assert world.time.pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_record_that_does_not_exist_is_a_permanent_failure_without_waiting(world: World) -> None:
    with pytest.raises(SourceNotFound, match="404"):
        world.fetch("https://zenodo.org/records/17")
    assert world.time.pauses == []


def test_a_closed_record_says_that_it_is_closed(world: World) -> None:
    publish(world, "17", {"a": b"1"})
    world.service.answers("/api/records/17/files", Reply(status=403))
    with pytest.raises(SourceNotFound, match="refuses access"):
        world.fetch("https://zenodo.org/records/17")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\nb", "C:evil"])
def test_a_files_name_cannot_lead_out_of_the_checkout(world: World, name: str) -> None:
    publish(world, "17", {name: b"1", "b": b"2"})
    with pytest.raises(UnsafeContent):
        world.fetch("https://zenodo.org/records/17")
    assert world.files == {}


def test_progress_is_told_in_bytes(world: World) -> None:
    publish(world, "17", {"a": b"x" * 3000, "b": b"2"})
    world.fetch("https://zenodo.org/records/17")
    assert Transferred("a", 3000, 3000) in world.events


def test_a_doi_that_does_not_exist_says_so(world: World) -> None:
    world.service.answers("/api/handles/10.1/x", document({"responseCode": 100, "handle": "10.1/x"}, 404))
    with pytest.raises(SourceNotFound, match="no such DOI"):
        world.fetch("10.1/x")


def test_a_doi_of_an_unknown_service_names_where_it_leads_and_asks_nobody_else(world: World) -> None:
    leads_to(world, "10.1/x", "https://journal.example.org/paper.html")
    with pytest.raises(SourceNotFound, match=r"journal\.example\.org"):
        world.fetch("10.1/x")
    assert world.service.paths == ["/api/handles/10.1/x"]
