from typing import Any

import pytest

from r2d.errors import WrongUsage
from r2d.events import Decided, Warned
from r2d.sources.records import recognise
from r2d.sources.records.figshare import FigshareItem
from tests.sources.record_world import World
from tests.sources.service_servers import Reply, document, md5

pytest_plugins = ["tests.sources.services"]


def listed(world: World, number: int, name: str, content: bytes) -> dict[str, Any]:
    world.service.answers(f"/files/{number}", Reply(content))
    return {
        "id": number,
        "name": name,
        "size": len(content),
        "is_link_only": False,
        "download_url": f"https://ndownloader.figshare.com/files/{number}",
        "supplied_md5": "",
        "computed_md5": md5(content),
    }


@pytest.mark.parametrize(
    ("path", "item", "version"),
    [
        ("figshare.com/articles/9782777", 9782777, None),
        ("figshare.com/articles/title/9782777", 9782777, None),
        ("figshare.com/articles/title/9782777/3", 9782777, 3),
        ("figshare.com/articles/code/title/9782777/2", 9782777, 2),
        ("figshare.com/articles/journal_contribution/title/9782777", 9782777, None),
        ("figshare.com/articles/dataset/2020/9782777/", 9782777, None),
        ("figshare.com/articles/9782777/2", 9782777, 2),
        ("figshare.com/account/articles/9782777", 9782777, None),
        ("monash.figshare.com/articles/thesis/title/9782777/1?file=3", 9782777, 1),
        ("kilthub.cmu.edu/articles/software/title/9782777", 9782777, None),
    ],
)
def test_an_items_address_names_it_and_its_version(path: str, item: int, version: int | None) -> None:
    found = recognise(f"https://{path}")
    assert isinstance(found, FigshareItem)
    assert (found.id, found.version) == (item, version)


def test_a_version_that_is_asked_for_is_fetched(world: World) -> None:
    files = [listed(world, 1, "a.py", b"print()"), listed(world, 2, "b.csv", b"1")]
    world.service.answers("/v2/articles/9782777/versions/2", document({"version": 2, "files": files}))
    assert world.fetch("https://figshare.com/articles/code/t/9782777/2").content == "9782777.v2"
    assert world.files == {"a.py": "print()", "b.csv": "1"}


def test_no_version_means_the_latest_and_is_said(world: World) -> None:
    files = [listed(world, 1, "a.py", b""), listed(world, 2, "b", b"1")]
    world.service.answers("/v2/articles/9782777", document({"version": 4, "files": files}))
    assert world.fetch("https://figshare.com/articles/t/9782777").content == "9782777.v4"
    assert any(isinstance(event, Decided) and event.value == "4" for event in world.events)


def test_a_doi_with_a_version_means_that_version(world: World) -> None:
    values = [{"type": "URL", "data": {"value": "https://figshare.com/articles/dataset/t/9782777"}}]
    world.service.answers("/api/handles/10.6084/m9.figshare.9782777.v3", document({"values": values}))
    files = [listed(world, 1, "a", b"1"), listed(world, 2, "b", b"2")]
    world.service.answers("/v2/articles/9782777/versions/3", document({"version": 3, "files": files}))
    assert world.fetch("10.6084/m9.figshare.9782777.v3").content == "9782777.v3"


def test_an_item_with_many_files_is_listed_page_by_page(world: World) -> None:
    files = [listed(world, number, f"f{number}", b"x") for number in range(1, 16)]
    world.service.answers("/v2/articles/9782777", document({"version": 1, "files": files[:10]}))
    world.service.answers("/v2/articles/9782777/versions/1/files?page=1&page_size=1000", document(files))
    world.fetch("https://figshare.com/articles/9782777")
    assert len(world.files) == 15


def test_a_file_that_is_only_a_link_is_named_and_left_out(world: World) -> None:
    link = listed(world, 3, "elsewhere", b"") | {"is_link_only": True}
    files = [listed(world, 1, "a", b"1"), listed(world, 2, "b", b"2"), link]
    world.service.answers("/v2/articles/9782777", document({"version": 1, "files": files}))
    world.fetch("https://figshare.com/articles/9782777")
    assert set(world.files) == {"a", "b"}
    assert any(isinstance(event, Warned) and "elsewhere" in event.problem for event in world.events)


def test_a_private_link_is_refused_by_name() -> None:
    with pytest.raises(WrongUsage, match="private link"):
        recognise("https://figshare.com/s/0123456789abcdef")
