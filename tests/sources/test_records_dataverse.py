from typing import Any

import pytest

from r2d.errors import SourceNotFound, WrongUsage
from r2d.events import Warned
from r2d.sources.records import recognise
from tests.sources.record_world import World
from tests.sources.service_servers import Reply, document, md5

pytest_plugins = ["tests.sources.services"]

PID = "doi:10.7910/DVN/TJCLKP"
QUOTED = "doi%3A10.7910%2FDVN%2FTJCLKP"
SITE = "https://dataverse.harvard.edu"


def stored(world: World, number: int, label: str, content: bytes, **more: Any) -> dict[str, Any]:
    world.service.answers(f"/api/access/datafile/{number}", Reply(content))
    data = {
        "id": number,
        "filename": label,
        "filesize": len(content),
        "md5": md5(content),
        "checksum": {"type": "MD5", "value": md5(content)},
    }
    data |= more.pop("dataFile", {})
    return {"label": label, "restricted": False, "dataFile": data} | more


def publish(world: World, *files: dict[str, Any], version: str = ":latest-published") -> None:
    world.service.answers(
        f"/api/datasets/:persistentId/versions/{version}?persistentId={QUOTED}",
        document({"status": "OK", "data": {"versionNumber": 1, "versionMinorNumber": 2, "files": files}}),
    )


@pytest.mark.parametrize(
    "url",
    [f"{SITE}/dataset.xhtml?persistentId={PID}", f"{SITE}/citation?persistentId={PID}"],
)
def test_a_dataset_comes_with_its_folders(world: World, url: str) -> None:
    publish(
        world,
        stored(world, 1, "run.py", b"print()", directoryLabel="code/sub"),
        stored(world, 2, "README", b"hi"),
    )
    checkout = world.fetch(url)
    assert world.files == {"code/sub/run.py": "print()", "README": "hi"}
    assert checkout.content == f"{PID}.v1.2"


def test_an_only_folder_is_lifted_whatever_the_working_folder_holds(world: World) -> None:
    publish(
        world,
        stored(world, 1, "a", b"1", directoryLabel="all"),
        stored(world, 2, "all", b"2", directoryLabel="all"),
    )
    world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}")
    assert world.files == {"a": "1", "all": "2"}


def test_a_version_that_is_asked_for_is_fetched(world: World) -> None:
    publish(world, stored(world, 1, "a", b"1"), stored(world, 2, "b", b"1"), version="1.2")
    world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}&version=1.2")
    assert set(world.files) == {"a", "b"}


def test_a_version_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(SourceNotFound, match=r"version 9\.0"):
        world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}&version=9.0")


def test_a_draft_is_refused(world: World) -> None:
    with pytest.raises(WrongUsage, match="not published"):
        world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}&version=DRAFT")


@pytest.mark.parametrize(
    ("url", "question"),
    [
        (
            f"{SITE}/file.xhtml?persistentId={PID}/ABC",
            f"/api/files/:persistentId?persistentId={QUOTED}%2FABC&returnDatasetVersion=true",
        ),
        (f"{SITE}/file.xhtml?fileId=42&version=1.2", "/api/files/42?returnDatasetVersion=true"),
        (f"{SITE}/api/access/datafile/42", "/api/files/42?returnDatasetVersion=true"),
    ],
)
def test_a_file_stands_for_its_dataset(world: World, url: str, question: str) -> None:
    world.service.answers(
        question, document({"status": "OK", "data": {"datasetVersion": {"datasetPersistentId": PID}}})
    )
    files = [stored(world, 1, "a", b"1"), stored(world, 2, "b", b"1")]
    publish(world, *files)
    publish(world, *files, version="1.2")
    assert world.fetch(url).content == f"{PID}.v1.2"
    assert set(world.files) == {"a", "b"}


def test_a_table_comes_in_the_form_it_was_given_in(world: World) -> None:
    table = stored(
        world,
        7,
        "survey.tab",
        b"a\tb",
        dataFile={
            "originalFileFormat": "text/csv",
            "originalFileName": "survey.csv",
            "originalFileSize": 3,
        },
    )
    world.service.answers("/api/access/datafile/7?format=original", Reply(b"a,b"))
    publish(world, table, stored(world, 2, "b", b"1"))
    world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}")
    assert world.files["survey.csv"] == "a,b"
    assert any(isinstance(event, Warned) and "survey.csv" in event.problem for event in world.events)


def test_restricted_files_are_named_before_anything_is_fetched(world: World) -> None:
    publish(world, stored(world, 1, "a", b"1"), stored(world, 2, "secret.csv", b"1", restricted=True))
    with pytest.raises(SourceNotFound, match=r"secret\.csv"):
        world.fetch(f"{SITE}/dataset.xhtml?persistentId={PID}")
    assert world.files == {}


def test_a_page_of_an_installation_that_is_no_dataset_says_what_to_give() -> None:
    with pytest.raises(WrongUsage, match="names no dataset"):
        recognise(f"{SITE}/dataverse/harvard")
