"""The grammars of what a run is told: ports, variables, env-files, volumes, labels."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from r2d.engines.protocol import Port, Volume
from r2d.errors import WrongUsage
from r2d.events import Warned

LOOPBACK = "127.0.0.1"

_PORT_FORMS = "Write PORT, HOST_PORT:PORT, HOST_IP:HOST_PORT:PORT or HOST_IP::PORT, each with /tcp or /udp."
_VOLUME_FORMS = "Write SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:rw."

# No white space, which Docker refuses in env-files, and no control characters, which break a log line.
_NAME = r"[^\s=\x00-\x1f\x7f]+"


@dataclass(frozen=True)
class Variables:
    """Names with their values, each name once, and what should be said about those left out."""

    values: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Warned, ...] = ()


# --- ports


def parse_ports(texts: Iterable[str], *, default_host_ip: str = LOOPBACK) -> tuple[Port, ...]:
    """All `-p` of one command; the same place on the host cannot be given away twice."""
    taken: dict[tuple[str, int, str], str] = {}
    ports: dict[Port, None] = {}
    for text in texts:
        port = parse_port(text, default_host_ip=default_host_ip)
        if port in ports:
            continue
        ports[port] = None
        if port.host_port is None:
            continue
        place = (port.host_ip, port.host_port, port.protocol)
        if place in taken:
            raise WrongUsage(
                f"Port {port.host_port} of the host is asked for twice.",
                where=f"-p {taken[place]} -p {text}",
                fix="Give each container port a host port of its own.",
            )
        taken[place] = text
    return tuple(ports)


def parse_port(text: str, *, default_host_ip: str = LOOPBACK) -> Port:
    """`[HOST_IP:]HOST_PORT:PORT[/tcp|/udp]`, `HOST_IP::PORT` for any free host port, PORT for both sides."""
    where = f"-p {text}"
    address, slash, protocol_text = text.partition("/")
    protocol = _protocol(protocol_text if slash else "tcp", where)
    host_ip, ports = _split_host_ip(address, where)
    host_ip = default_host_ip if host_ip is None else host_ip
    match ports:
        case [only]:
            number = _port_number(only, where)
            return Port(number, protocol, host_ip, number)
        case ["", container] if address != f":{container}":
            return Port(_port_number(container, where), protocol, host_ip, None)
        case [host, container]:
            return Port(_port_number(container, where), protocol, host_ip, _port_number(host, where))
        case _:
            raise WrongUsage("This is no port to publish.", where=where, fix=_PORT_FORMS)


def format_port(port: Port) -> str:
    """The full form that `parse_port` reads back as the same port."""
    host_ip = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    host_port = "" if port.host_port is None else str(port.host_port)
    return f"{host_ip}:{host_port}:{port.container_port}/{port.protocol}"


def _split_host_ip(address: str, where: str) -> tuple[str | None, list[str]]:
    if bracketed := re.fullmatch(r"\[([^\]]*)\]:(.*)", address):
        return _host_ip(bracketed[1], where), _two_ports(bracketed[2], where)
    parts = address.split(":")
    if len(parts) > 3:
        raise WrongUsage(
            "This has too many colons for a port.",
            where=where,
            fix=f"An IPv6 address stands in brackets: [::1]:8888:8888. {_PORT_FORMS}",
        )
    if len(parts) == 3:
        return _host_ip(parts[0], where), parts[1:]
    return None, parts


def _two_ports(text: str, where: str) -> list[str]:
    ports = text.split(":")
    if len(ports) != 2:
        raise WrongUsage("After a host address come two ports.", where=where, fix=_PORT_FORMS)
    return ports


def _protocol(text: str, where: str) -> Literal["tcp", "udp"]:
    if text not in ("tcp", "udp"):
        raise WrongUsage(
            f"{text!r} is no protocol r2d publishes.",
            where=where,
            fix="End with /tcp or /udp, or with neither.",
        )
    return cast(Literal["tcp", "udp"], text)


def _host_ip(text: str, where: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        hint = f"Write {LOOPBACK}." if text == "localhost" else _PORT_FORMS
        raise WrongUsage(f"{text!r} is no IP address.", where=where, fix=hint) from error


def _port_number(text: str, where: str) -> int:
    if re.fullmatch(r"[0-9]+-[0-9]+", text):
        raise WrongUsage(
            "Ranges of ports are not published: which of them is meant could not be said afterwards.",
            where=where,
            fix="Give one -p for each port, or -P for all that the image exposes.",
        )
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise WrongUsage(f"{text!r} is no port.", where=where, fix=_PORT_FORMS)
    if not 1 <= int(text) <= 65535:
        raise WrongUsage(
            f"Port {text} is outside 1-65535.",
            where=where,
            fix=f"For any free port of the host write {LOOPBACK}::PORT.",
        )
    return int(text)


# --- variables


def parse_env(texts: Iterable[str], *, host: Mapping[str, str]) -> Variables:
    """All `-e NAME[=VALUE]` of one command; a bare NAME takes the host's value, the last of a name wins."""
    return together(*(_variable(text, f"-e {text}", host) for text in texts))


def read_env_file(file: Path, *, host: Mapping[str, str]) -> Variables:
    """The variables of an `--env-file`."""
    where = f"--env-file {file}"
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise WrongUsage(f"The file cannot be read: {error.strerror}.", where=where) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise WrongUsage(
            "The file is not UTF-8 text.", where=f"{file}:{line}", fix="Save the file as UTF-8."
        ) from error
    return parse_env_file(text, where=str(file), host=host)


def parse_env_file(text: str, *, where: str, host: Mapping[str, str]) -> Variables:
    """Docker's format: a `NAME=VALUE` or a bare NAME on a line, `#` comments, quotes that mean themselves."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.removesuffix("\r").lstrip(" \t")
        if entry and not entry.startswith("#"):
            found.append(_variable(entry, f"{where}:{number}", host))
    return together(*found)


def together(*several: Variables) -> Variables:
    """These variables in one; what comes later wins."""
    values: dict[str, str] = {}
    for variables in several:
        values |= dict(variables.values)
    return Variables(
        tuple(values.items()), tuple(warning for variables in several for warning in variables.warnings)
    )


def _variable(text: str, where: str, host: Mapping[str, str]) -> Variables:
    name, equals, value = text.partition("=")
    _check_name(name, where, form="NAME=VALUE, or NAME to pass on its value here")
    if equals:
        _check_value(value, where)
        return Variables(((name, value),))
    if name in host:
        return Variables(((name, host[name]),))
    return Variables(
        warnings=(
            Warned(
                f"{name} is not set here, so the container does not get it.",
                fix=f"Set it, or write {name}=VALUE.",
            ),
        )
    )


def _check_name(name: str, where: str, *, form: str) -> None:
    if not name:
        raise WrongUsage("The name is missing.", where=where, fix=f"Write {form}.")
    if not re.fullmatch(_NAME, name):
        raise WrongUsage(
            f"{name!r} is no name: it holds white space or a control character.",
            where=where,
            fix=f"Write {form}.",
        )


def _check_value(value: str, where: str) -> None:
    if "\0" in value:
        raise WrongUsage("The value holds a NUL character, which no variable can.", where=where)


# --- volumes


def parse_volumes(
    texts: Iterable[str],
    *,
    working_folder: Path,
    home: Path | None,
    image_working_dir: str,
    must_exist: bool = True,
) -> tuple[Volume, ...]:
    """All `-v` of one command; two cannot lie at one place in the container."""
    volumes: dict[str, Volume] = {}
    for text in texts:
        volume = parse_volume(
            text,
            working_folder=working_folder,
            home=home,
            image_working_dir=image_working_dir,
            must_exist=must_exist,
        )
        if volumes.setdefault(volume.target, volume) != volume:
            raise WrongUsage(
                f"Two volumes are to be mounted at {volume.target}.",
                where=f"-v {text}",
                fix="Give each a place of its own.",
            )
    return tuple(volumes.values())


def parse_volume(
    text: str,
    *,
    working_folder: Path,
    home: Path | None,
    image_working_dir: str,
    must_exist: bool = True,
) -> Volume:
    """`SOURCE:TARGET[:ro|rw]`; the source is a path here, a relative target is in the image's working folder.

    `must_exist=False` is for an engine on another machine, whose files cannot be seen from here.
    """
    where = f"-v {text}"
    source_text, target_text, mode = _split_volume(text, where)
    source = anchored_source(source_text, working_folder=working_folder, home=home)
    if must_exist and not Path(source).exists():
        raise WrongUsage(
            f"There is no {source}, and an engine would make it, as a folder of root.",
            where=where,
            fix="Create it first. (Named volumes are not supported: a source is always a path.)",
        )
    return Volume(source, _volume_target(target_text, image_working_dir, where), mode == "ro")


def format_volume(volume: Volume) -> str:
    """The form that `parse_volume` reads back as the same volume."""
    return f"{volume.source}:{volume.target}:{'ro' if volume.read_only else 'rw'}"


def anchored_volume(text: str, *, folder: Path) -> str:
    """The same volume with a source that no longer depends on a folder, `~` excepted."""
    source, target, mode = _split_volume(text, text)
    anchored = source if _in_home(source) else anchored_source(source, working_folder=folder, home=None)
    return ":".join(part for part in (anchored, target, mode) if part is not None)


def anchored_source(text: str, *, working_folder: Path, home: Path | None) -> str:
    """The absolute path a volume's source means."""
    if home is not None and _in_home(text):
        return posixpath.normpath(home / text.removeprefix("~").lstrip("/"))
    if _is_drive(text):
        return text
    return posixpath.normpath(working_folder / text)


def _in_home(source: str) -> bool:
    return source == "~" or source.startswith("~/")


def _is_drive(source: str) -> bool:
    return re.match(r"[A-Za-z]:[\\/]", source) is not None


def _split_volume(text: str, where: str) -> tuple[str, str, str | None]:
    source, parts = "", text.split(":")
    if _begins_with_drive(parts):
        source, parts = f"{parts[0]}:{parts[1]}", [f"{parts[0]}:{parts[1]}", *parts[2:]]
    match parts:
        case [source, target] if source and target:
            return source, target, None
        case [source, target, ("ro" | "rw") as mode] if source and target:
            return source, target, mode
        case [source, target, mode] if source and target:
            raise WrongUsage(f"{mode!r} is no mode r2d mounts with.", where=where, fix=_VOLUME_FORMS)
        case _:
            raise WrongUsage("This is no volume.", where=where, fix=_VOLUME_FORMS)


def _begins_with_drive(parts: list[str]) -> bool:
    """Whether the first colon follows a drive letter, and not a folder whose name is one letter."""
    if len(parts) < 3 or not re.fullmatch(r"[A-Za-z]", parts[0]):
        return False
    return parts[1].startswith("\\") or (parts[1].startswith("/") and "/" in parts[2])


def _volume_target(text: str, image_working_dir: str, where: str) -> str:
    target = posixpath.normpath(posixpath.join("/", image_working_dir, text))
    # POSIX lets exactly two leading slashes stand; engines do not.
    target = f"/{target.lstrip('/')}"
    if target == "/":
        raise WrongUsage(
            "A volume at / would hide the whole image.",
            where=where,
            fix="Mount it at a folder below, such as data.",
        )
    return target


# --- labels


def parse_labels(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """All `--label NAME[=VALUE]` of one command; without a value it is empty, the last of a name wins."""
    labels: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        _check_name(name, f"--label {text}", form="NAME=VALUE")
        labels[name] = value
    return tuple(labels.items())
