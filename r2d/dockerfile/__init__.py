"""The only code that writes Dockerfile syntax and quotes values.

Instructions keep to what BuildKit and buildah both read. A step's own files, its caches and its tools are mounted
below /run/r2d and never part of a layer; on some engines an empty /run/r2d stays behind.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from r2d.buildpack import own_file
from r2d.errors import WrongUsage
from r2d.plan import (
    Apt,
    BringRepository,
    Cache,
    ContextFile,
    Env,
    OnPath,
    Place,
    Plan,
    Run,
    Stage,
    Step,
    Target,
)

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = "r2d"  # the folder of our own files in the build context
NETWORK = f"{FILES}/network"
TREE = "src"  # the folder of the repository in the build context
MOUNTED = "/run/r2d"  # where a step finds its files

_APT = own_file("r2d.dockerfile", "apt.sh")


@dataclass(frozen=True)
class Rendered:
    """A Dockerfile and the files of ours that it reads, named by their whole path in the context."""

    dockerfile: str
    files: tuple[ContextFile, ...]
    tools: tuple[str, ...]
    titles: tuple[tuple[str, str], ...]  # what marks an instruction → what it is for

    def title(self, instruction: str) -> str:
        """What an instruction is for, in words; the instruction itself where there are none."""
        return next((title for mark, title in self.titles if mark in instruction), instruction)


class Syntax(str):
    """Text that is Dockerfile syntax already; printed as it is."""

    __slots__ = ()


def render(
    plan: Plan,
    target: Target,
    *,
    base_image: str,
    labels: tuple[tuple[str, str], ...] = (),
    network: tuple[ContextFile, ...] = (),
    versions: Mapping[str, str] = MappingProxyType({}),
) -> Rendered:
    """The plan as a Dockerfile. Equal plans give equal text; `versions` are those of the tools."""
    layout = _Layout(target, versions)
    stages = [(stage, [layout.fragment(step) for step in _steps(plan, stage)]) for stage in Stage]
    tools = tuple(sorted(layout.tools))
    text = (
        _templates()
        .get_template("Dockerfile.j2")
        .render(
            base_image=Syntax(_fullmatch(_REFERENCE, base_image)),
            tools=[(Syntax(tool), Syntax(layout.versioned(tool))) for tool in tools],
            stages=[(Syntax(stage.value), fragments) for stage, fragments in stages if fragments],
            labels=[_label(name, value) for name, value in labels],
            user=Syntax(_fullmatch(_USER, target.user)),
            directory=Syntax(_path(target.repo_dir)),
        )
    )
    files = [*layout.files, *(replace(file, path=f"{NETWORK}/{file.path}") for file in network)]
    return Rendered(
        dockerfile=text,
        files=tuple(sorted(files, key=lambda file: file.path)),
        tools=tools,
        titles=tuple(layout.titles),
    )


def _steps(plan: Plan, stage: Stage) -> Iterator[Step]:
    for step in plan.at(stage):
        if isinstance(step, Apt):
            yield Run(
                script=_APT,
                args=step.packages,
                why=f"Install packages of the distribution ({len(step.packages)})",
                as_root=True,
                caches=(Cache("apt", locked=True),),
            )
        else:
            yield step


class _Layout:
    """Gives every step its folder in the context and remembers who the last instruction ran as."""

    def __init__(self, target: Target, versions: Mapping[str, str]) -> None:
        self.files: list[ContextFile] = []
        self.tools: set[str] = set()
        self.titles: list[tuple[str, str]] = []
        self._target = target
        self._versions = versions
        self._user: str | None = None  # a base image may have a user of its own
        self._folders = {"bin", "network"}  # those that every step shares
        self._directory: str | None = None

    def versioned(self, tool: str) -> str:
        """The tool's name in its stage. buildah knows a step by its text alone: a newer tool must change it."""
        version = self._versions.get(tool)
        return _fullmatch(_SAFE_PATH, f"{tool}-{version}" if version else tool)

    def fragment(self, step: Step) -> Syntax:
        match step:
            case Env():
                return _fragment(
                    "env", variables=[(Syntax(_fullmatch(_NAME, n)), v) for n, v in step.variables]
                )
            case OnPath():
                return _fragment("on_path", directories=Syntax(":".join(map(_path, step.directories))))
            case Place():
                path = self._bring(step.file, self._new_folder("place"))
                self.titles.append((path, f"Place {step.destination}"))
                mode = "0755" if step.file.executable else "0644"
                return _fragment("place", paths=(path, _path(step.destination)), mode=Syntax(mode))
            case BringRepository():
                self.titles.append((f"COPY --chown={self._owner}", "Copy the repository"))
                directory = _path(f"{self._target.repo_dir}/")
                return _fragment("bring_repository", owner=self._owner, paths=(f"{TREE}/", directory))
            case Run():
                return self._run(step)
            case Apt():
                raise AssertionError("packages are rendered as the run they become")
            case _:
                assert_never(step)

    @property
    def _owner(self) -> Syntax:
        return Syntax(f"{self._target.uid}:{self._target.uid}")

    def _run(self, step: Run) -> Syntax:
        # Buildah knows a step by its text alone: what the step reads must show in it, or a change would go unseen.
        name = step.script.path.rsplit("/", 1)[-1].removesuffix(".sh")
        folder = self._new_folder(f"{name}-{_fingerprint((step.script, *step.files))}")
        for file in (step.script, *step.files):
            self._bring(file, folder)
        # What is mounted inside the mounted folder needs something to be mounted on.
        for place in ("network/.mount", *(f"cache/{cache.name}/.mount" for cache in step.caches)):
            self.files.append(ContextFile(f"{FILES}/{folder}/{place}", b""))
        for tool in step.tools:
            self.files.append(ContextFile(f"{FILES}/{folder}/bin/{tool}", b""))
        self.tools.update(step.tools)
        self.titles.append((f"source={FILES}/{folder},", step.why or folder))
        user = "root" if step.as_root else self._target.user
        directory = self._target.repo_dir if step.in_repository else "/"
        text = _fragment(
            "run",
            why=Syntax(step.why),
            user=Syntax(user) if user != self._user else None,
            directory=Syntax(_path(directory)) if directory != (self._directory or "/") else None,
            mounts=[Syntax(mount) for mount in self._mounts(step, folder)],
            command=(
                *(("env", *(f"{name}={value}" for name, value in step.variables)) if step.variables else ()),
                "sh",
                f"{MOUNTED}/{step.script.path}",
                *step.args,
            ),
        )
        self._user, self._directory = user, directory
        return text

    def _mounts(self, step: Run, folder: str) -> Iterator[str]:
        yield f"type=bind,source={FILES}/{folder},target={MOUNTED}"
        yield f"type=bind,source={NETWORK},target={MOUNTED}/network"
        for tool in step.tools:
            _fullmatch(_SAFE_PATH, tool)
            yield f"type=bind,from=r2d-tools,source=/{self.versioned(tool)},target={MOUNTED}/bin/{tool}"
        # A cache belongs to who runs the step, so each user of the image has one of its own.
        uid = 0 if step.as_root else self._target.uid
        for cache in step.caches:
            _fullmatch(_SAFE_PATH, cache.name)
            lock = ",sharing=locked" if cache.locked else ""
            yield (
                f"type=cache,id=r2d-{cache.name}-{uid},target={MOUNTED}/cache/{cache.name}"
                f",uid={uid},gid={uid}{lock}"
            )

    def _bring(self, file: ContextFile, folder: str) -> str:
        path = f"{FILES}/{folder}/{_fullmatch(_SAFE_PATH, file.path)}"
        if any(brought.path == path for brought in self.files):
            raise AssertionError(f"a step brings two files called {file.path}")
        self.files.append(replace(file, path=path))
        return path

    def _new_folder(self, name: str) -> str:
        number = 2
        folder = name
        while folder in self._folders:
            folder, number = f"{name}-{number}", number + 1
        self._folders.add(folder)
        return folder


def _label(name: str, value: str) -> tuple[Syntax, str]:
    # The one value of a Dockerfile that a user writes freely.
    try:
        _without_control(value)
        return Syntax(_fullmatch(_LABEL, name)), value
    except UnquotableValue as error:
        raise WrongUsage(
            "A label is a name of letters, digits, dots, hyphens, underscores and slashes, and one line of text.",
            where=f"label {name!r}",
            fix="Write it as NAME=VALUE, without line breaks or control characters.",
        ) from error


def _fingerprint(files: tuple[ContextFile, ...]) -> str:
    read = json.dumps([(file.path, file.digest, file.executable) for file in files])
    return hashlib.sha256(read.encode()).hexdigest()[:12]


# --- quoting

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[a-z_][a-z0-9_-]*")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_SAFE_PATH = re.compile(r"(?!.*(^|/)\.\.?(/|$))[A-Za-z0-9._@+-]+(/[A-Za-z0-9._@+-]+)*")
_ABSOLUTE_PATH = re.compile(r"(/[A-Za-z0-9._@+-]*)+")


def _fullmatch(grammar: re.Pattern[str], value: str) -> str:
    if not grammar.fullmatch(value):
        raise UnquotableValue(value)
    return value


def _path(value: str) -> str:
    return _fullmatch(_ABSOLUTE_PATH, value)


class UnquotableValue(ValueError):
    """A value that no quoting makes safe in a Dockerfile; who let it come this far has a bug."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{value!r} cannot stand in a Dockerfile")


def quoted(value: object) -> object:
    """A value as it stands in a Dockerfile: what Jinja prints for every expression of a template."""
    match value:
        case Syntax():
            return _without_control(value)
        case str():
            return '"' + re.sub(r'(["\\$])', r"\\\1", _without_control(value)) + '"'
        case tuple():
            return json.dumps([_without_control(str(word)) for word in value], ensure_ascii=False)
        case _:
            raise UnquotableValue(repr(value))


def _without_control(value: str) -> str:
    # Inside quotes a line break would still start a new instruction.
    if any(_breaks(character) for character in value):
        raise UnquotableValue(value)
    return value


def _breaks(character: str) -> bool:
    number = ord(character)
    # Half of a surrogate pair stands for a byte that is no text.
    return number < 0x20 or 0x7F <= number < 0xA0 or number in (0x2028, 0x2029) or 0xD800 <= number < 0xE000


def _finalize(value: object) -> object:
    # Fragments are rendered once and printed again inside the skeleton.
    return value if isinstance(value, _Rendered) else quoted(value)


class _Rendered(Syntax):
    """Text of our templates, line breaks and all."""

    __slots__ = ()


def _fragment(name: str, **values: object) -> Syntax:
    return _Rendered(_templates().get_template(f"{name}.Dockerfile.j2").render(values).rstrip("\n"))


@lru_cache(maxsize=1)
def _templates() -> "Environment":
    # Imported here: the scripts in this folder are read by plans that are never rendered.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("r2d.dockerfile", "templates"),
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (not HTML: `finalize` quotes every value)
    )
    templates.globals["continued"] = _Rendered(" \\\n    ")
    return templates
