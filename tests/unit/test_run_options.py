from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.engines.protocol import Port, Volume
from r2d.errors import WrongUsage
from r2d.run_options import (
    anchored_volume,
    format_port,
    format_volume,
    parse_env,
    parse_env_file,
    parse_labels,
    parse_port,
    parse_ports,
    parse_volume,
    parse_volumes,
    read_env_file,
    together,
)

NUMBERS = st.integers(1, 65535)
ADDRESSES = st.ip_addresses().map(str)
PATHS = (
    st.lists(st.text("abcXYZ019._-é ", min_size=1), min_size=1)
    .map("/".join)
    .map(lambda path: f"/{'/'.join(part for part in path.split('/') if part not in ('.', '..'))}")
    .filter(lambda path: path.strip("/"))
)


# --- ports


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8888", Port(8888, host_port=8888)),
        ("8888:4321", Port(4321, host_port=8888)),
        ("8888:4321/udp", Port(4321, "udp", host_port=8888)),
        ("0.0.0.0:80:8000", Port(8000, host_ip="0.0.0.0", host_port=80)),
        ("127.0.0.1::8888", Port(8888, host_port=None)),
        ("[::1]:80:80", Port(80, host_ip="::1", host_port=80)),
        ("[::]::80/tcp", Port(80, host_ip="::", host_port=None)),
    ],
)
def test_a_port_is_read_in_every_form(text: str, port: Port) -> None:
    assert parse_port(text) == port


@given(st.builds(Port, NUMBERS, st.sampled_from(["tcp", "udp"]), ADDRESSES, st.none() | NUMBERS))
def test_a_port_survives_being_written_and_read(port: Port) -> None:
    assert parse_port(format_port(port), default_host_ip="192.0.2.9") == port


@given(st.text("0123456789:./-[]tcpudp"))
def test_whatever_is_given_as_a_port_is_read_or_refused_as_wrong_usage(text: str) -> None:
    with suppress(WrongUsage):
        port = parse_port(text)
        assert parse_port(format_port(port)) == port


def test_a_refusal_names_the_option_and_the_right_forms() -> None:
    with pytest.raises(WrongUsage) as caught:
        parse_port("x")
    assert caught.value.where == "-p x"
    assert "HOST_PORT:PORT" in (caught.value.fix or "")


def test_who_asks_chooses_the_address_a_bare_port_is_published_on() -> None:
    assert parse_port("80", default_host_ip="0.0.0.0").host_ip == "0.0.0.0"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("8000-8010:8000-8010", "Ranges"),
        ("0", "outside 1-65535"),
        ("65536:80", "outside 1-65535"),
        ("80/sctp", "'sctp' is no protocol"),
        ("80/tcp:8000", "'tcp:8000' is no protocol"),
        (":80", "'' is no port"),
        ("::1:80:80", "too many colons"),
        ("[::1]:80", "two ports"),
        ("localhost:80:80", "'localhost' is no IP address"),
        ("http:80", "'http' is no port"),
        ("²:80", "'²' is no port"),
        ("", "'' is no port"),
    ],
)
def test_a_wrong_port_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(WrongUsage, match=problem):
        parse_port(text)


def test_one_port_of_the_host_is_given_away_once() -> None:
    with pytest.raises(WrongUsage, match="asked for twice") as caught:
        parse_ports(["8000:80", "8000:81"])
    assert caught.value.where == "-p 8000:80 -p 8000:81"


def test_one_container_port_may_be_reached_at_two_places_and_over_both_protocols() -> None:
    assert len(parse_ports(["80:80", "81:80", "80:80/udp", "80:80"])) == 3


# --- variables


def test_a_bare_name_takes_the_value_of_the_host() -> None:
    assert parse_env(["TOKEN", "A=", "B=x=y"], host={"TOKEN": "t"}).values == (
        ("TOKEN", "t"),
        ("A", ""),
        ("B", "x=y"),
    )


def test_a_bare_name_without_a_value_is_left_out_and_said() -> None:
    found = parse_env(["ABSENT"], host={})
    assert found.values == ()
    assert [warning.problem for warning in found.warnings] == [
        "ABSENT is not set here, so the container does not get it."
    ]


@pytest.mark.parametrize("text", ["", "=x", "A B=1", "A\nB=1", "A=\0"])
def test_a_variable_no_container_can_have_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage):
        parse_env([text], host={})


def test_an_env_file_is_read_as_docker_reads_it() -> None:
    text = '# a comment\n\n  A="quoted" # not a comment \r\nB\nC=\n\t# indented comment\nABSENT\nA=last'
    found = parse_env_file(text, where="vars.env", host={"B": "from the host"})
    assert found.values == (("A", "last"), ("B", "from the host"), ("C", ""))
    assert len(found.warnings) == 1


def test_a_quote_in_an_env_file_means_itself() -> None:
    assert parse_env_file('A="x" # y ', where="f", host={}).values == (("A", '"x" # y '),)


def test_a_wrong_line_of_an_env_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "vars.env"
    file.write_text("A=1\nexport B=2\n")
    with pytest.raises(WrongUsage) as caught:
        read_env_file(file, host={})
    assert caught.value.where == f"{file}:2"


def test_an_env_file_that_is_no_text_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "vars.env"
    file.write_bytes(b"A=1\nB=\xff\n")
    with pytest.raises(WrongUsage) as caught:
        read_env_file(file, host={})
    assert caught.value.where == f"{file}:2"


def test_an_absent_env_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="No such file"):
        read_env_file(tmp_path / "absent", host={})


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][\w.-]*", fullmatch=True), st.text().map(lambda t: t.replace("\0", ""))
    )
)
def test_variables_survive_being_written_and_read(variables: dict[str, str]) -> None:
    assert dict(parse_env([f"{k}={v}" for k, v in variables.items()], host={}).values) == variables


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
        st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"])),
    )
)
def test_an_env_file_survives_being_written_and_read(variables: dict[str, str]) -> None:
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    assert dict(parse_env_file(text, where="f", host={}).values) == variables


def test_options_win_over_the_env_file_before_them() -> None:
    file = parse_env_file("A=file\nB=file", where="f", host={})
    assert together(file, parse_env(["A=option"], host={})).values == (("A", "option"), ("B", "file"))


# --- volumes


def volume(text: str, folder: Path, *, home: Path | None = None, must_exist: bool = True) -> Volume:
    return parse_volume(
        text, working_folder=folder, home=home, image_working_dir="/home/jovyan", must_exist=must_exist
    )


def test_relative_sources_and_targets_have_each_their_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert volume("./data:work", tmp_path) == Volume(f"{tmp_path}/data", "/home/jovyan/work")
    assert volume(".:.", tmp_path) == Volume(str(tmp_path), "/home/jovyan")


def test_the_mode_is_read_and_anything_else_refused(tmp_path: Path) -> None:
    assert volume(".:/x:ro", tmp_path).read_only
    assert not volume(".:/x:rw", tmp_path).read_only
    with pytest.raises(WrongUsage, match="'z' is no mode"):
        volume(".:/x:z", tmp_path)


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert volume("~/data:/data", Path("/"), home=tmp_path).source == f"{tmp_path}/data"
    assert volume("~:/data", Path("/"), home=tmp_path).source == str(tmp_path)


def test_a_source_that_is_not_there_is_an_error_and_not_a_folder_of_root(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="There is no") as caught:
        volume("cache:/x", tmp_path)
    assert caught.value.where == "-v cache:/x"
    assert "Named volumes" in (caught.value.fix or "")


def test_the_files_of_another_machine_are_not_looked_for() -> None:
    assert volume("/data/of/the/server:/x", Path("/"), must_exist=False).source == "/data/of/the/server"


@pytest.mark.parametrize("text", ["", ":", "a", "a:", ":b", "a:b:ro:c", "a::ro"])
def test_what_is_no_volume_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no volume"):
        volume(text, tmp_path)


@pytest.mark.parametrize("target", ["/", "//", "../..", "/x/.."])
def test_a_volume_never_hides_the_whole_image(target: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="hide the whole image"):
        volume(f".:{target}", tmp_path)


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        (r"C:\data:/x", r"C:\data", "/x"),
        (r"C:\data:/x:ro", r"C:\data", "/x"),
        ("C:/data:/x", "C:/data", "/x"),
        ("c:/x:ro", "/folder/c", "/x"),
        ("c:/x", "/folder/c", "/x"),
    ],
)
def test_drive_letters_are_told_from_folders_of_one_letter(text: str, source: str, target: str) -> None:
    found = volume(text, Path("/folder"), must_exist=False)
    assert (found.source, found.target) == (source, target)


def test_two_volumes_never_share_a_target(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(WrongUsage, match="Two volumes"):
        parse_volumes([".:x", "a:x/."], working_folder=tmp_path, home=None, image_working_dir="/w")


@given(st.builds(Volume, PATHS, PATHS, st.booleans()))
def test_a_volume_survives_being_written_and_read(given_volume: Volume) -> None:
    once = volume(format_volume(given_volume), Path("/"), must_exist=False)
    assert volume(format_volume(once), Path("/elsewhere"), must_exist=False) == once
    assert once.read_only == given_volume.read_only


def test_a_volume_of_a_file_starts_at_the_files_folder() -> None:
    assert anchored_volume("data:x:ro", folder=Path("/etc/r2d")) == "/etc/r2d/data:x:ro"
    assert anchored_volume("~/data:x", folder=Path("/etc/r2d")) == "~/data:x"


# --- labels


def test_a_label_is_split_at_its_first_equals_sign() -> None:
    assert parse_labels(["a=b=c", "empty", 'q=x"y', "a=last"]) == (("a", "last"), ("empty", ""), ("q", 'x"y'))


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(WrongUsage) as caught:
        parse_labels(["=x"])
    assert caught.value.where == "--label =x"
