"""What is known of base images: the default, the official ones by their tag, any other by asking it."""

import re
import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from r2d.engines.protocol import Engine, Image, RunRequest
from r2d.errors import UnknownBaseImage
from r2d.events import ContainerOutput, Emit, Event
from r2d.origins import Origins
from r2d.plan import Base

# Where `r2d base create` puts what it makes. Its tag is DISTRIBUTION-RELEASE, and -minimal or -full behind it.
MADE_HERE = "localhost/r2d-base"
LABEL = "r2d.base"

_PROBE = """\
. /etc/os-release 2>/dev/null
echo "r2d id ${ID:-}"
echo "r2d like ${ID_LIKE:-}"
echo "r2d codename ${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}"
echo "r2d version ${VERSION_ID:-}"
echo "r2d apt $(command -v apt-get)"
echo "r2d python $(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
"""

_FACT = re.compile(r"^r2d (\w+) (.*?)\s*$", re.MULTILINE)


@cache
def knowledge() -> dict[str, Any]:
    """The pinned knowledge, as it lies in bases.toml."""
    return tomllib.loads(files("r2d").joinpath("bases.toml").read_text())


def default_base() -> Base:
    """The base image where nobody names another, pinned by its digest."""
    default = knowledge()["default"]
    base = known_base(f"{default['image']}@{default['digest']}", because="r2d's default")
    if base is None:
        raise AssertionError("bases.toml does not know its own default")
    return base


def known_base(reference: str, *, because: str | None = None) -> Base | None:
    """What a reference alone says of an image, or None. The reference becomes the full name of the image."""
    name, tag, digest = parts(reference)
    found = _by_tag().get((name, tag)) or _with_own_python(name, tag)
    if found is None:
        return None
    distribution, release, python = found
    full = f"{name}:{tag}" + (f"@{digest}" if digest else "")
    return Base(full, distribution, release, python, because or "its name says what it is")


def known_bases() -> tuple[Base, ...]:
    """The official images r2d can use without looking into them, each once; the default first."""
    plain = (
        Base(f"{name}:{tag}", distribution, release, python, "its name says what it is")
        for (name, tag), (distribution, release, python) in _by_tag().items()
        if tag == release
    )
    return (default_base(), *plain)


def base_from_image(reference: str, image: Image) -> Base | None:
    """What the labels of an image say of it, or None."""
    distribution = image.labels.get(f"{LABEL}.distribution")
    release = image.labels.get(f"{LABEL}.release")
    if not (distribution and release):
        return None
    python = image.labels.get(f"{LABEL}.python")
    return Base(reference, distribution, release, python, "its labels say what it is")


def base_from_engine(name: str, engine: Engine, emit: Emit, origins: Origins | None = None) -> Base:
    """What an image says of itself, by its labels or, failing those, by a look into it."""
    reference = origins.image(name) if origins else name
    image = engine.find(reference) or engine.pull(reference, emit)
    return base_from_image(name, image) or replace(probe_base(reference, engine), reference=name)


def probe_base(reference: str, engine: Engine) -> Base:
    """What a short look into an image finds; an image without apt is refused."""
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, ContainerOutput) and event.stream == "stdout":
            said.append(event.text)

    container = engine.run(RunRequest(reference, ("sh", "-c", _PROBE)))
    try:
        container.follow(listen)
        container.wait()
    finally:
        container.remove()
    return _judged(reference, dict(_FACT.findall("".join(said))))


def _judged(reference: str, facts: dict[str, str]) -> Base:
    fix = "Name a base image of Debian or Ubuntu, or make one: r2d base create debian:trixie"
    families = [facts.get("id", ""), *facts.get("like", "").split()]
    distribution = next((each for each in families if each in knowledge()["releases"]), None)
    if distribution is None:
        says = f"is {families[0]}" if families[0] else "does not say what it is"
        raise UnknownBaseImage(f"It {says}, and r2d builds on Debian and Ubuntu.", where=reference, fix=fix)
    if not facts.get("apt"):
        raise UnknownBaseImage("It has no apt-get, which every build needs.", where=reference, fix=fix)
    names = ("version", "codename") if families[0] == "ubuntu" else ("codename", "version")
    named = next((value for name in names if (value := facts.get(name))), "")
    release = _canonical(distribution, named)
    if not release:
        raise UnknownBaseImage(f"It is {distribution} of no release.", where=reference, fix=fix)
    return Base(reference, distribution, release, facts.get("python") or None, "a look into it")


def _canonical(distribution: str, named: str) -> str:
    """The name r2d has for a release: "noble" → "24.04", "13" → "trixie"."""
    for release, facts in knowledge()["releases"][distribution].items():
        if named in (release, *facts["aliases"]):
            return str(release)
    return named


@cache
def _by_tag() -> dict[tuple[str, str], tuple[str, str, str | None]]:
    """Every image that is known by name and tag: its distribution, release and Python."""
    found: dict[tuple[str, str], tuple[str, str, str | None]] = {}
    data = knowledge()
    for image in data["images"]:
        distribution = image["distribution"]
        for release, facts in data["releases"][distribution].items():
            python = facts["python"] if image["python"] else None
            for tag in (release, *facts["aliases"]):
                for variant in image["variants"]:
                    found[image["name"], f"{tag}{variant}"] = (distribution, release, python)
    for distribution, releases in data["releases"].items():
        for release, facts in releases.items():
            for variant, python in (("", facts["python"]), ("-full", facts["python"]), ("-minimal", None)):
                found[MADE_HERE, f"{distribution}-{release}{variant}"] = (distribution, release, python)
    return found


def _with_own_python(name: str, tag: str) -> tuple[str, str, str] | None:
    """python:3.12-slim-trixie brings a Python of its own, before the distribution's on PATH."""
    for image in knowledge()["images_with_own_python"]:
        found = re.fullmatch(r"(3\.\d+)(?:\.\d+)?(?:-slim)?-([a-z]+)", tag)
        distribution: str = image["distribution"]
        if name == image["name"] and found and found[2] in knowledge()["releases"][distribution]:
            return distribution, found[2], found[1]
    return None


def parts(reference: str) -> tuple[str, str, str]:
    """The full name of an image, its tag, its digest: "debian@sha256:…" has no tag that tells anything."""
    named, _, digest = reference.partition("@")
    head, slash, last = named.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}{slash}{last}"
    first = name.partition("/")[0]
    outside = "/" in name and ("." in first or ":" in first or first == "localhost")
    if not outside:
        name = f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
    name = re.sub(r"^index\.docker\.io/", "docker.io/", name)
    name = re.sub(r"^docker\.io/(?=[^/]+$)", "docker.io/library/", name)
    return name, tag, digest
