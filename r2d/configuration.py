"""What `r2d.toml` may say, who may say it, and which of several says counts.

The command line counts most, then the file given with `--config`, the repository's, the user's, the
conventional variables of the environment, and last r2d's defaults. Every value remembers where it came from.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, cast

from r2d.errors import InvalidConfiguration, R2DError, WrongUsage
from r2d.events import Warned
from r2d.origins import Origins

if TYPE_CHECKING:
    from r2d.repository import Repository

FILE_NAME = "r2d.toml"
DEFAULT = "r2d's default"
COMMAND_LINE = "the command line"

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: "binder/r2d.toml:3", "the command line", "r2d's default"."""

    key: str
    value: object
    origin: str

    @property
    def shown(self) -> str:
        """The value as it may be shown: no variable's value, and no URL's part before its @."""
        if self.key.startswith("run.env."):
            return "***"
        parts = self.value if isinstance(self.value, tuple) else (self.value,)
        return ", ".join(without_credentials(str(part)) for part in parts)


@dataclass(frozen=True)
class BaseFacts:
    """What is declared of a base image that r2d does not know."""

    distribution: str | None = None
    release: str | None = None
    python: str | None = None


@dataclass(frozen=True)
class Configuration:
    """Everything that can be set, decided."""

    base_image: str | None  # None: the base image r2d is pinned to
    base: BaseFacts
    user: str
    uid: int
    repo_dir: str
    engine: str  # "auto", "docker", "podman" or an address
    platform: str | None
    keep_git: bool
    host_network: bool  # build steps share the network of the engine's machine
    origins: Origins
    ports: tuple[str, ...]  # in the grammar of `-p`
    env: Mapping[str, str]
    volumes: tuple[str, ...]  # in the grammar of `-v`, with sources that depend on no folder
    labels: Mapping[str, str]
    settings: tuple[Setting, ...]
    warnings: tuple[Warned, ...]

    def setting(self, key: str) -> Setting | None:
        """The setting of this dotted key; None where nothing is set."""
        return next((setting for setting in self.settings if setting.key == key), None)


def without_credentials(text: str) -> str:
    """A URL without the user and the password it may hold."""
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)


# --- what each key takes


class _Unfit(Exception):
    """A value its key does not take."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True)
class _Key:
    check: Callable[[object], object]
    closed_to_repositories: str | None = None  # why a repository may not set it
    table: bool = False  # its keys are free, its values are what `check` is about


def _text(fix: str, pattern: str = r"[^\x00-\x1f\x7f]+", *, show: bool = True) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise _Unfit(f"takes a text, and this is {_kind(value)}", fix)
        if not re.fullmatch(pattern, value):
            raise _Unfit(f"cannot be {value!r}" if show else "holds what it does not take", fix)
        return value

    return check


def _texts(check: Callable[[object], object], fix: str) -> Callable[[object], tuple[object, ...]]:
    def check_all(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise _Unfit(f"takes a list of texts, and this is {_kind(value)}", fix)
        return tuple(check(item) for item in value)

    return check_all


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Unfit(
            f"takes true or false, and this is {_kind(value)}", "Write true or false, without quotes."
        )
    return value


def _uid(value: object) -> int:
    fix = "Write a number from 1, such as 1000."
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Unfit(f"takes a whole number, and this is {_kind(value)}", fix)
    if value == 0:
        raise _Unfit("cannot be 0: an image never runs as root", fix)
    if not 1 <= value < 2**32 - 1:  # the last number means "no user" to the kernel
        raise _Unfit(f"cannot be {value}", fix)
    return value


def _user(value: object) -> str:
    # What useradd accepts; a longer name does not fit the login records.
    name = _text("Write a lower-case login name, such as jovyan.", r"[a-z_][a-z0-9_-]{0,31}")(value)
    if name == "root":
        raise _Unfit("cannot be 'root': an image never runs as root", "Write another name, such as jovyan.")
    return name


# Folders that hold the system: a repository copied over one of them breaks the image.
_SYSTEM = frozenset(
    ("bin", "boot", "etc", "home", "lib", "lib64", "root", "run", "sbin", "tmp", "usr", "var")
)
# … and folders that are not there, or not the image's, while it is built.
_FOREIGN = frozenset(("dev", "proc", "r2d", "sys"))


def _repo_dir(value: object) -> str:
    fix = "Write an absolute path of letters, digits and . _ @ + -, such as /home/jovyan or /srv/repo."
    # It stands in a Dockerfile and in PATH, where other characters mean something or must be quoted.
    path = _text(fix, r"(/[A-Za-z0-9._@+-]+)+")(value)
    parts = path.split("/")[1:]
    if "." in parts or ".." in parts:
        raise _Unfit(f"cannot be {path!r}", fix)
    if parts[0] in _FOREIGN or path.removeprefix("/") in _SYSTEM:
        raise _Unfit(f"cannot be {path!r}: that folder belongs to the system", fix)
    return path


def _platform(value: object) -> str:
    return _text(
        "Write linux/amd64 or linux/arm64: for others there is no Python to install.", r"linux/(amd64|arm64)"
    )(value)


def _engine(value: object) -> str:
    return _text(
        "Write auto, docker, podman, or an address: unix:///path, tcp://host:port, ssh://user@host.",
        r"auto|docker|podman|(unix|npipe)://\S+|(tcp|http|https|ssh)://[^/\s]\S*",
    )(value)


_REGISTRY = r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
_PATH = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = (
    rf"(({_REGISTRY})/)?{_PATH}(/{_PATH})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
)


def _image(value: object) -> str:
    return _text("Write an image reference such as debian:trixie or registry.example/team/base:1.", _IMAGE)(
        value
    )


def _url(*schemes: str) -> Callable[[object], str]:
    allowed = "|".join(schemes)
    written = " or ".join(f"{scheme}://" for scheme in schemes)
    # Not shown when it is wrong: it may hold a password.
    return _text(
        f"Write an address that begins with {written}.", rf"({allowed})://[^\s\x00-\x1f\x7f]+", show=False
    )


def _ca_bundle(value: object) -> str:
    return _text(
        "Write the path of a file of PEM certificates; a relative one starts at the folder of r2d.toml.",
        r"(?!~)[^\x00-\x1f\x7f]+",
    )(value)


def _port(value: object) -> str:
    from r2d.run_options import parse_port

    return _in_grammar(value, "8888:8888", parse_port)


def _volume(value: object) -> str:
    from r2d.run_options import anchored_volume

    return _in_grammar(
        value, "data:/home/jovyan/data:ro", lambda text: anchored_volume(text, folder=Path("/"))
    )


def _in_grammar(value: object, example: str, parse: Callable[[str], object]) -> str:
    text = _text(f'Write it as a text: "{example}".')(value)
    try:
        parse(text)
    except WrongUsage as error:
        raise _Unfit(f"cannot hold {text!r}: {error.problem}", error.fix or "") from error
    return text


def _value(value: object) -> str:
    return _text("Write a text in quotes, without NUL characters.", r"[^\x00]*", show=False)(value)


_INDEX = _url("http", "https")
_PROXY = _url("http", "https", "socks5", "socks5h")
_NETWORK = "it would decide where this machine sends requests, and whom it trusts"
_MACHINE = "it touches the machine r2d runs on"
_IDENTITY = "who owns the files of mounted volumes is for the person who runs the image to say"

_SCHEMA: Mapping[str, _Key] = MappingProxyType(
    {
        "base_image": _Key(_image),
        "user": _Key(_user, _IDENTITY),
        "uid": _Key(_uid, _IDENTITY),
        "repo_dir": _Key(_repo_dir),
        "engine": _Key(_engine, _MACHINE),
        "platform": _Key(_platform),
        "keep_git": _Key(_truth),
        "host_network": _Key(_truth, _MACHINE),
        "base.distribution": _Key(_text("Write debian or ubuntu.", r"debian|ubuntu")),
        "base.release": _Key(_text("Write a release such as trixie or 24.04.", r"[a-z0-9][a-z0-9.]*")),
        "base.python": _Key(
            _text('Write the minor version of its python3, such as "3.13".', r"3\.[0-9]{1,2}")
        ),
        "origins.package_index": _Key(_INDEX, _NETWORK),
        "origins.extra_package_indexes": _Key(_texts(_INDEX, 'Write ["https://…", "https://…"].'), _NETWORK),
        "origins.distribution_mirror": _Key(_INDEX, _NETWORK),
        "origins.standalone_pythons": _Key(_INDEX, _NETWORK),
        "origins.registries": _Key(
            _text("Write the mirror as host, host:port or host/path.", rf"({_REGISTRY})(/{_PATH})*"),
            _NETWORK,
            table=True,
        ),
        "origins.ca_bundle": _Key(_ca_bundle, _NETWORK),
        "origins.http_proxy": _Key(_PROXY, _NETWORK),
        "origins.https_proxy": _Key(_PROXY, _NETWORK),
        "origins.no_proxy": _Key(
            _text('Write hosts with commas between: "localhost,.example.org".'), _NETWORK
        ),
        "origins.in_image": _Key(_truth, _NETWORK),
        "run.ports": _Key(_texts(_port, 'Write ["8888:8888"].'), _MACHINE),
        "run.env": _Key(_value, table=True),
        "run.volumes": _Key(_texts(_volume, 'Write ["data:/home/jovyan/data"].'), _MACHINE),
        "labels": _Key(_value, table=True),
    }
)

KEYS = tuple(_SCHEMA)
REPOSITORY_KEYS = tuple(key for key, what in _SCHEMA.items() if what.closed_to_repositories is None)

_TABLES = frozenset(key.rpartition(".")[0] for key in _SCHEMA if "." in key)

# r2d finds its own images by these: a repository that wrote them could pass for another image.
_OWN_LABELS = ("r2d.", "repo2docker.")

_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {
        "user": "jovyan",
        "uid": 1000,
        "engine": "auto",
        "keep_git": False,
        "host_network": False,
        "origins.in_image": False,
    }
)

# --- reading one place


@dataclass(frozen=True)
class _Place:
    """One place that settings come from, with the text its lines are counted in."""

    name: str
    text: str
    failure: type[R2DError]
    folder: Path | None = None  # what relative paths start at
    repository: bool = False

    def at(self, path: tuple[str, ...]) -> str:
        line = _line_of(self.text, path)
        return f"{self.name}:{line}" if line else self.name


# Keyed by the schema's key and, in a free table, the name in it.
_Layer = Mapping[tuple[str, str], Setting]


def _layer(document: Mapping[str, object], place: _Place) -> _Layer:
    settings = {}
    for key, path, value in _entries(document, place):
        setting = _checked(key, path, value, place)
        name = path[-1] if _SCHEMA[key].table else ""
        settings[key, name] = setting
    return settings


def _entries(
    document: Mapping[str, object], place: _Place, table: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...], object]]:
    """Every leaf of a document as (key of the schema, path, value)."""
    for name, value in document.items():
        path = (*table, name)
        key = ".".join(path)
        if key in _SCHEMA and not _SCHEMA[key].table:
            yield key, path, value
        elif key in _SCHEMA or key in _TABLES:
            inner = _as_table(value, path, place)
            if key in _SCHEMA:
                yield from ((key, (*path, inner_name), item) for inner_name, item in inner.items())
            else:
                yield from _entries(inner, place, path)
        else:
            raise _unknown(path, place)


def _as_table(value: object, path: tuple[str, ...], place: _Place) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return cast(Mapping[str, object], value)
    key = ".".join(path)
    raise place.failure(
        f"{key} is a table, and this is {_kind(value)}.",
        where=place.at(path),
        fix=f"Write its values below a line [{key}].",
    )


def _unknown(path: tuple[str, ...], place: _Place) -> R2DError:
    from difflib import get_close_matches  # only a mistake pays for it

    key, table = ".".join(path), ".".join((*path[:-1], ""))
    beside = [known for known in (*KEYS, *sorted(_TABLES)) if known.startswith(table)]
    elsewhere = {known.rpartition(".")[2]: known for known in reversed(KEYS)}
    near = get_close_matches(key, beside, n=1) or [
        elsewhere[name] for name in get_close_matches(path[-1], elsewhere, n=1)
    ]
    return place.failure(
        f"There is no setting {key}.",
        where=place.at(path),
        fix=f"Did you mean {near[0]}?" if near else f"The settings here are {', '.join(beside)}.",
    )


def _checked(key: str, path: tuple[str, ...], value: object, place: _Place) -> Setting:
    name, what, where = ".".join(path), _SCHEMA[key], place.at(path)
    if place.repository:
        _check_open_to_repositories(key, path, where)
    try:
        checked = what.check(value)
        if key == "origins.registries":
            _text("Write the registry's host, such as docker.io, in quotes.", _REGISTRY)(path[-1])
    except _Unfit as unfit:
        raise place.failure(f"{name} {unfit.problem}.", where=where, fix=unfit.fix) from unfit
    return Setting(name, _anchored(key, checked, place.folder), where)


def _check_open_to_repositories(key: str, path: tuple[str, ...], where: str) -> None:
    name = ".".join(path)
    reason = _SCHEMA[key].closed_to_repositories
    if key == "labels" and path[-1].startswith(_OWN_LABELS):
        reason = "r2d recognises its images by this label"
    if reason is not None:
        raise InvalidConfiguration(
            f"A repository may not set {name}: {reason}.",
            where=where,
            fix="Set it in your own r2d.toml, or, if you trust this file, name it with --config.",
        )


def _anchored(key: str, value: object, folder: Path | None) -> object:
    """Paths in a file start at its folder."""
    if folder is None:
        return value
    if key == "origins.ca_bundle":
        return str(folder / cast(str, value))
    if key == "run.volumes":
        from r2d.run_options import anchored_volume

        return tuple(anchored_volume(text, folder=folder) for text in cast(tuple[str, ...], value))
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return "a date or time"


# --- TOML and its lines

_BARE_OR_QUOTED = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*"


def _parse(text: str, name: str) -> Mapping[str, object]:
    import tomllib  # a start without any r2d.toml does not pay for it

    try:
        return tomllib.loads(text)
    # Beside its own error: a number of thousands of digits, and brackets nested thousands deep.
    except (ValueError, RecursionError) as error:
        message = str(error)
        line = re.search(r" \(at line (\d+), column \d+\)$", message)
        raise InvalidConfiguration(
            f"This is not TOML: {message[: line.start()] if line else message}.",
            where=f"{name}:{line[1]}" if line else name,
            fix='A setting is written KEY = VALUE, and a text stands in quotes: user = "jovyan".',
        ) from error


def _line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line a key stands in: its own, or that of the table around it where it has none."""
    table: tuple[str, ...] = ()
    around = None
    for number, line in enumerate(text.split("\n"), start=1):
        if header := re.match(rf"\s*\[\[?\s*({_DOTTED})\s*\]", line):
            full = table = _names(header[1])
        elif key := re.match(rf"\s*({_DOTTED})\s*=", line):
            full = (*table, *_names(key[1]))
        else:
            continue
        if full[: len(path)] == path:
            return number
        if path[: len(full)] == full:
            around = number
    return around


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_BARE_OR_QUOTED, dotted))


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # reading it will say why it cannot be read
        return True


def _file_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidConfiguration(
            f"The file cannot be read: {error.strerror}.",
            where=str(file),
            fix="Name a file that is there and readable.",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidConfiguration(
            "The file is not UTF-8 text.", where=f"{file}:{line}", fix="Save the file as UTF-8."
        ) from error


# --- the places


def _from_file(file: Path) -> _Layer:
    text = _file_text(file)
    return _layer(_parse(text, str(file)), _Place(str(file), text, InvalidConfiguration, file.parent))


def _from_repository(repository: "Repository") -> _Layer:
    path = repository.first(FILE_NAME)
    if path is None:
        return {}
    text = repository.text(path)
    return _layer(_parse(text, path), _Place(path, text, InvalidConfiguration, repository=True))


def _from_command_line(options: Mapping[str, object]) -> _Layer:
    document: dict[str, object] = {}
    for key, value in options.items():
        if value is not None:
            *tables, name = key.split(".")
            inner = document
            for table in tables:
                inner = cast(dict[str, object], inner.setdefault(table, {}))
            inner[name] = value
    return _layer(document, _Place(COMMAND_LINE, "", WrongUsage))


@dataclass(frozen=True)
class EnvironmentOrigins:
    """What the conventional variables say of the network."""

    settings: tuple[Setting, ...] = ()
    warnings: tuple[Warned, ...] = ()


# The first that is set counts. Lower case first for proxies: HTTP_PROXY can come from a web request's header.
_ENVIRONMENT = (
    ("origins.ca_bundle", ("R2D_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")),
    ("origins.http_proxy", ("http_proxy", "HTTP_PROXY")),
    ("origins.https_proxy", ("https_proxy", "HTTPS_PROXY")),
    ("origins.no_proxy", ("no_proxy", "NO_PROXY")),
    ("origins.package_index", ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")),
    ("origins.extra_package_indexes", ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")),
    ("origins.standalone_pythons", ("UV_PYTHON_INSTALL_MIRROR",)),
)


def environment_origins(environ: Mapping[str, str]) -> EnvironmentOrigins:
    """The CA bundle, proxies and indexes other tools are told of, without those that cannot serve a build."""
    settings: list[Setting] = []
    warnings: list[Warned] = []
    for key, names in _ENVIRONMENT:
        variable = next((name for name in names if environ.get(name, "").strip()), None)
        if variable is None:
            continue
        try:
            value = _conventional(key, environ[variable].strip())
        except _Unfit as unfit:
            if variable == "R2D_CA_BUNDLE":  # meant for r2d alone: a mistake in it is not to be passed over
                raise InvalidConfiguration(
                    f"{variable} {unfit.problem}.", where="the environment", fix=unfit.fix
                ) from unfit
            warnings.append(Warned(f"{variable} is not used: it {unfit.problem}.", unfit.fix))
        else:
            if value:
                settings.append(Setting(key, value, f"{variable} in the environment"))
    return EnvironmentOrigins(tuple(settings), tuple(warnings))


def _conventional(key: str, value: str) -> object:
    """The value of a variable as its key takes it; nothing where r2d has no use for it."""
    if key == "origins.ca_bundle":
        return _existing_bundle(value)
    if key == "origins.no_proxy":
        return _SCHEMA[key].check(value)
    if key == "origins.extra_package_indexes":
        # uv lets an index have a name before an equals sign.
        indexes = (re.sub(r"^[\w-]+=(?=\w+:)", "", index) for index in value.split())
        return tuple(_reachable(_INDEX(index)) for index in indexes if _is_remote(index))
    if key.endswith("_proxy") and "://" not in value:
        value = f"http://{value}"
    return _reachable(_SCHEMA[key].check(value)) if _is_remote(value) else None


def _existing_bundle(value: str) -> str:
    fix = "Let it name a file of PEM certificates by its absolute path."
    if not Path(value).is_absolute():
        raise _Unfit(f"is {value!r}, which is not an absolute path", fix)
    if not Path(value).is_file():
        raise _Unfit(f"names {value}, which is not a file", fix)
    return value


def _is_remote(address: str) -> bool:
    """A folder of packages on this machine is no origin of a build."""
    return not address.startswith(("file:", "/", "."))


def _reachable(address: object) -> str:
    text = cast(str, address)
    if _is_loopback(text):
        raise _Unfit(
            f"names {without_credentials(text)}, which a build container cannot reach",
            "If builds share the host's network, set it in your r2d.toml.",
        )
    return text


def _is_loopback(url: str) -> bool:
    host = re.match(r"[a-z0-9]+://(?:[^/]*@)?(\[[^\]]*\]|[^/:]*)", url, re.IGNORECASE)
    name = host[1].lower() if host else ""
    return name in ("localhost", "[::1]") or name.endswith(".localhost") or name.startswith("127.")


# --- deciding


def load(
    user_file: Path | None,
    repository: "Repository | None",
    explicit: Path | None,
    command_line: Mapping[str, object],
    *,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Configuration:
    """The configuration in force. A user's file may be absent, a file named with `--config` may not.

    `command_line` holds dotted keys ("base_image", "run.ports", "labels"); None means an option not given.
    """
    environment = environment_origins(environ)
    layers = (
        {(setting.key, ""): setting for setting in environment.settings},
        _from_file(user_file) if user_file is not None and _is_there(user_file) else {},
        _from_repository(repository) if repository is not None else {},
        _from_file(explicit) if explicit is not None else {},
        _from_command_line(command_line),
    )
    settings = _decide(layers)
    shadowed = repository.shadowed(FILE_NAME) if repository is not None else ()
    warnings = (
        *environment.warnings,
        *(_shadowed_file(path, cast("Repository", repository)) for path in shadowed),
        *_unreachable(settings),
    )
    return _configuration(settings, warnings)


def _decide(layers: tuple[_Layer, ...]) -> dict[tuple[str, str], Setting]:
    decided = {(key, ""): Setting(key, value, DEFAULT) for key, value in _DEFAULTS.items()}
    for layer in layers:
        if ("base_image", "") in layer:
            # What was declared of another image is not true of this one.
            decided = {key: setting for key, setting in decided.items() if not key[0].startswith("base.")}
        decided |= layer
    home = Setting("repo_dir", f"/home/{decided['user', ''].value}", f"{DEFAULT}: the home of the user")
    decided.setdefault(("repo_dir", ""), home)
    _check_base_facts(decided)
    return decided


def _check_base_facts(decided: Mapping[tuple[str, str], Setting]) -> None:
    given = [decided[key, ""] for key in KEYS if key.startswith("base.") and (key, "") in decided]
    if given and not {"base.distribution", "base.release"} <= {setting.key for setting in given}:
        raise InvalidConfiguration(
            f"{given[0].key} says only a part of what is to be known of a base.",
            where=given[0].origin,
            fix="Declare distribution and release together under [base]; python where the base has one.",
        )


def _shadowed_file(path: str, repository: "Repository") -> Warned:
    folder = repository.config_folder
    return Warned(
        f"{path} at the root does not count, because there is a folder {folder}/.",
        f"Move it to {folder}/{path}.",
    )


def _unreachable(settings: Mapping[tuple[str, str], Setting]) -> Iterator[Warned]:
    for (key, _), setting in settings.items():
        addresses = setting.value if isinstance(setting.value, tuple) else (setting.value,)
        if not key.startswith("origins.") or not any(_is_loopback(str(address)) for address in addresses):
            continue
        yield Warned(
            f"{key} ({setting.origin}) names the loopback, where a build container finds only itself.",
            "Name an address that containers reach, or let builds share the host's network.",
        )


def _configuration(
    settings: Mapping[tuple[str, str], Setting], warnings: tuple[Warned, ...]
) -> Configuration:
    def get(key: str, _type: type[T]) -> T | None:
        found = settings.get((key, ""))
        return cast(T, found.value) if found else None

    def must(key: str, _type: type[T]) -> T:
        return cast(T, settings[key, ""].value)

    def table(key: str) -> Mapping[str, str]:
        return MappingProxyType(
            {name: cast(str, setting.value) for (of, name), setting in settings.items() if of == key}
        )

    ca_bundle = get("origins.ca_bundle", str)
    return Configuration(
        base_image=get("base_image", str),
        base=BaseFacts(get("base.distribution", str), get("base.release", str), get("base.python", str)),
        user=must("user", str),
        uid=must("uid", int),
        repo_dir=must("repo_dir", str),
        engine=must("engine", str),
        platform=get("platform", str),
        keep_git=must("keep_git", bool),
        host_network=must("host_network", bool),
        origins=Origins(
            package_index=get("origins.package_index", str),
            extra_package_indexes=get("origins.extra_package_indexes", tuple) or (),
            distribution_mirror=get("origins.distribution_mirror", str),
            standalone_pythons=get("origins.standalone_pythons", str),
            registries=table("origins.registries"),
            ca_bundle=Path(ca_bundle) if ca_bundle else None,
            http_proxy=get("origins.http_proxy", str),
            https_proxy=get("origins.https_proxy", str),
            no_proxy=get("origins.no_proxy", str),
            in_image=must("origins.in_image", bool),
        ),
        ports=get("run.ports", tuple) or (),
        env=table("run.env"),
        volumes=get("run.volumes", tuple) or (),
        labels=table("labels"),
        settings=tuple(setting for key in KEYS for (of, _), setting in settings.items() if of == key),
        warnings=warnings,
    )


# --- writing


def user_config_file(environ: Mapping[str, str]) -> Path:
    """Where the user's r2d.toml is, or would be."""
    if folder := environ.get("XDG_CONFIG_HOME"):
        return Path(folder) / "r2d" / FILE_NAME
    from platformdirs import user_config_dir  # slow to import, and most have no need of it

    return Path(user_config_dir("r2d", appauthor=False)) / FILE_NAME


def set_user_default(user_file: Path, key: str, value: str | int | bool) -> None:
    """Set one top-level key in the user's r2d.toml; the rest of it stays, and it is never half written."""
    _from_command_line({key: value})
    if "." in key or _SCHEMA[key].table:
        raise WrongUsage(
            f"{key} is not a setting of the top level.", fix=f"Write it into {user_file} yourself."
        )
    text = _file_text(user_file) if _is_there(user_file) else ""
    before = _parse(text, str(user_file))
    edited = _with_key(text, key, value)
    try:
        same = _parse(edited, str(user_file)) == {**before, key: value}
    except InvalidConfiguration:
        same = False
    if not same:
        raise InvalidConfiguration(
            f"{key} is written in a way r2d does not edit.",
            where=f"{user_file}:{_line_of(text, (key,))}",
            fix=f"Write {key} = {_toml(value)} there yourself.",
        )
    _replace_file(user_file, edited)


def _with_key(text: str, key: str, value: str | int | bool) -> str:
    lines = text.split("\n")
    number = _line_of(text, (key,))
    if number is None:
        # At the top, where no table is open yet.
        return f"{key} = {_toml(value)}\n{text}"
    one_line = r"""(\s*\S+?\s*=\s*)("[^"\\]*"|'[^']*'|[A-Za-z0-9_+-]+)(\s*(?:#.*)?)"""
    if written := re.fullmatch(one_line, lines[number - 1], re.DOTALL):
        lines[number - 1] = f"{written[1]}{_toml(value)}{written[3]}"
    return "\n".join(lines)


def _toml(value: str | int | bool) -> str:
    import json

    # JSON's escapes are TOML's, and JSON's numbers and truths too.
    return json.dumps(value, ensure_ascii=False)


def _replace_file(file: Path, text: str) -> None:
    import os
    import shutil
    from tempfile import mkstemp

    target = file.resolve()  # a link into somebody's collection of dotfiles stays a link
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = mkstemp(dir=target.parent, prefix=".r2d-")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InvalidConfiguration(
            f"The file cannot be written: {error.strerror}.",
            where=str(file),
            fix="Make its folder writable.",
        ) from error
