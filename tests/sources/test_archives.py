import hashlib
import io
import os
import random
import tarfile
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from r2d.errors import ContentDamaged, ContentTooLarge, SourceNotFound, TemporaryFailure
from r2d.events import Warned, ignore
from r2d.sources import archives
from r2d.sources.http import Web, origin_of
from r2d.sources.protocol import Network
from tests.sources.record_world import World, zipped
from tests.sources.service_servers import Asked, Reply, redirect

pytest_plugins = ["tests.sources.services"]


def remote(world: World, path: str) -> archives.RemoteArchive:
    source = archives.recognise(world.service.url + path, world.into)
    assert isinstance(source, archives.RemoteArchive)
    return source


@pytest.mark.parametrize("name", ["repo.zip", "My%20Repo.ZIP", "repo.zip?token=secret"])
def test_an_archive_behind_an_address_is_unpacked_and_named_without_its_query(
    world: World, name: str
) -> None:
    content = zipped({"repo-main/README": "hi"})
    world.service.answers(f"/{name}", Reply(content))
    source = remote(world, f"/{name}")
    checkout = world.fetch_source(source)
    assert world.files == {"README": "hi"}
    assert checkout.content == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert "secret" not in checkout.source


def test_a_local_archive_is_left_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "repo.zip").write_bytes(zipped({"README": "hi"}))
    into = tmp_path / "into"
    into.mkdir()
    source = archives.recognise("repo.zip", tmp_path)
    assert source is not None
    source.fetch(into, Network(), ignore)
    assert (into / "README").read_text() == "hi"
    assert (tmp_path / "repo.zip").exists()


def test_two_copies_of_an_archive_are_one_source_and_tell_nothing_of_the_machine(tmp_path: Path) -> None:
    found = []
    for number, path in enumerate(("alice/repo.zip", "bob/copy.zip")):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(zipped({"README": "hi"}))
        source = archives.recognise(str(tmp_path / path), tmp_path)
        assert source is not None
        assert source.name == Path(path).name
        into = tmp_path / str(number)
        into.mkdir()
        found.append(source.fetch(into, Network(), ignore))
    assert {checkout.source for checkout in found} == {"local"}
    assert found[0].content == found[1].content


def test_an_archives_name_can_be_printed_whatever_bytes_it_has(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n\x1b[1m.zip")
    (tmp_path / name).write_bytes(zipped({"README": "hi"}))
    source = archives.recognise(name, tmp_path)
    assert source is not None
    assert source.name == r"caf\udce9\n\x1b[1m.zip"
    into = tmp_path / "into"
    into.mkdir()
    assert source.fetch(into, Network(), ignore).source == "local"


@pytest.mark.parametrize(
    "text",
    ["missing.zip", "folder.zip", "https://example.org/repo", "https://x/?a=b.zip", "ftp://x/a.zip", "a.txt"],
)
def test_what_is_no_archive_is_left_to_others(tmp_path: Path, text: str) -> None:
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "a.txt").touch()
    assert archives.recognise(text, tmp_path) is None


def test_an_error_page_in_place_of_the_archive_is_damage_and_leaves_nothing(world: World) -> None:
    world.service.answers("/repo.zip", Reply(b"<html>sorry"))
    with pytest.raises(ContentDamaged):
        world.fetch_source(remote(world, "/repo.zip"))
    assert list(world.into.iterdir()) == []


def test_a_redirect_away_from_the_web_is_not_followed(world: World) -> None:
    world.service.answers("/repo.zip", redirect("file:///etc/passwd"))
    with pytest.raises(SourceNotFound, match="redirects to file"):
        world.fetch_source(remote(world, "/repo.zip"))


def test_redirects_in_a_circle_end(world: World) -> None:
    world.service.answers("/repo.zip", redirect("/repo.zip"))
    with pytest.raises(SourceNotFound, match="circles"):
        world.fetch_source(remote(world, "/repo.zip"))


def test_credentials_in_an_address_are_for_its_host_alone(world: World) -> None:
    port = world.service.url.rpartition(":")[2]
    world.service.answers("/repo.zip", redirect(f"http://localhost:{port}/other.zip"))
    world.service.answers("/other.zip", Reply(zipped({"README": "hi"})))
    source = archives.recognise(f"http://me:secret@127.0.0.1:{port}/repo.zip", world.into)
    assert source is not None
    checkout = world.fetch_source(source)
    sent = {asked.path: asked.headers.get("Authorization") for asked in world.service.asked}
    assert (sent["/repo.zip"] or "").startswith("Basic ")
    assert sent["/other.zip"] is None
    assert "secret" not in checkout.source + source.name + repr(source)


def test_nobody_listening_is_a_temporary_failure_that_tells_each_wait(world: World) -> None:
    with pytest.raises(TemporaryFailure):
        world.fetch_source(archives.RemoteArchive("http://127.0.0.1:9/repo.zip"))
    assert len([event for event in world.events if isinstance(event, Warned)]) == 4


def test_a_proxy_is_asked_for_every_host_it_is_not_excused_from(world: World) -> None:
    world.service.answers("http://example.invalid/repo.zip", Reply(zipped({"README": "hi"})))
    proxied = Network(environment={"http_proxy": world.service.url, "no_proxy": "localhost"}, timeout=5)
    archives.RemoteArchive("http://example.invalid/repo.zip").fetch(world.into, proxied, ignore)
    assert world.files == {"README": "hi"}


def test_a_wait_longer_than_our_patience_ends_at_once(world: World) -> None:
    world.service.answers("/repo.zip", Reply(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(TemporaryFailure, match="3600 s"):
        world.fetch_source(remote(world, "/repo.zip"))
    assert world.time.pauses == []


def test_a_date_to_wait_for_counts_from_the_answers_own_date(world: World) -> None:
    headers = {"Date": "Fri, 01 Mar 2024 10:00:00 GMT", "Retry-After": "Fri, 01 Mar 2024 10:00:09 GMT"}
    world.service.answers("/a", Reply(status=503, headers=headers), Reply(b"{}"))
    web = Web(world.network, ignore, world.time.clock())
    assert web.document(f"{world.service.url}/a") == {}
    assert world.time.pauses == [9.0]


def test_an_origin_has_no_credentials_and_no_default_port() -> None:
    assert origin_of("HTTPS://me:secret@Zenodo.org:443/records/1?x=y") == "https://zenodo.org"


def test_a_service_that_never_answers_is_a_temporary_failure(world: World) -> None:
    release = threading.Event()

    def hang(_asked: Asked) -> Reply:
        release.wait(30)
        return Reply()

    world.service.answers("/repo.zip", hang)
    impatient = replace(remote(world, "/repo.zip"), clock=world.time.clock())
    with pytest.raises(TemporaryFailure, match="does not answer"):
        impatient.fetch(world.into, Network(timeout=0.1), ignore)
    release.set()
    assert len(world.time.pauses) == 4


def test_a_connection_that_cannot_be_trusted_names_the_ca_bundle(world: World) -> None:
    with pytest.raises(SourceNotFound) as caught:
        world.fetch_source(archives.RemoteArchive(world.service.url.replace("http:", "https:") + "/repo.zip"))
    assert "SSL_CERT_FILE" in (caught.value.fix or "")
    assert world.time.pauses == []


def test_a_file_that_is_too_large_is_not_fetched_to_the_end(world: World, tmp_path: Path) -> None:
    world.service.answers("/a", Reply(b"x" * 3000))
    with pytest.raises(ContentTooLarge):
        Web(world.network, ignore).download(f"{world.service.url}/a", tmp_path / "a", what="a", largest=2000)
    assert not (tmp_path / "a").exists()


def test_a_large_archive_is_fetched_and_unpacked_in_constant_memory(world: World) -> None:
    generator = random.Random(0)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as packed:
        for number in range(20):
            member = tarfile.TarInfo(f"large/{number}.bin")
            member.size = 10 << 20
            packed.addfile(member, io.BytesIO(generator.randbytes(member.size)))
    world.service.answers("/large.tar.gz", Reply(buffer.getvalue()))
    source = remote(world, "/large.tar.gz")

    tracemalloc.start()
    try:
        world.fetch_source(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(path.stat().st_size for path in world.into.iterdir()) == 200 << 20
    assert peak < 24 << 20
