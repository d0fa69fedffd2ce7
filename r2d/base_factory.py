"""Base images from a distribution's own package mirror, where no container registry can be reached."""

import difflib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import tomllib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, cast

import requests
from requests.utils import should_bypass_proxies

from r2d.bases import LABEL, MADE_HERE, base_from_image, knowledge, known_base
from r2d.engines.protocol import Engine, Image
from r2d.errors import BuildFailed, R2DError, TemporaryFailure, ToolMissing, UnsupportedVersion
from r2d.events import Emit, StepFailed, StepFinished, StepOutput, StepStarted, Warned
from r2d.origins import Origins
from r2d.plan import Base

_PIECE = 1 << 20
_TAIL_LINES = 20
_GRACE_SECONDS = 20
_ANSWER_SECONDS = 20
_KEYRINGS = Path("/usr/share/keyrings")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")

_CA_SETTING = "/etc/apt/apt.conf.d/99r2d-ca"
_LOCALES = 'echo "en_US.UTF-8 UTF-8" >"$1/etc/locale.gen" && chroot "$1" locale-gen'

# What mmdebstrap says, and what it means.
_NETWORK = re.compile(
    r"could not (resolve|connect)|temporary failure|connection (failed|refused|timed out)|unable to connect"
    r"|network is unreachable|50[0-9]  ",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"NO_PUBKEY|signatures couldn't be verified|is not signed", re.IGNORECASE)
_NO_SUITE = re.compile(r"does not have a Release file|404 +Not Found", re.IGNORECASE)


@dataclass(frozen=True)
class BaseRequest:
    """A base image to make."""

    distribution: str
    release: str  # "trixie", "24.04"
    suite: str  # what the mirror calls it: "trixie", "noble"
    variant: str  # "", "minimal" or "full"
    mirror: str | None

    @property
    def tag(self) -> str:
        """The name of the image."""
        return "-".join(filter(None, (f"{MADE_HERE}:{self.distribution}", self.release, self.variant)))


@cache
def recipe() -> dict[str, Any]:
    """What goes into a base image, as it lies in base_packages.toml."""
    return tomllib.loads(files("r2d").joinpath("base_packages.toml").read_text())


def create_base(
    engine: Engine,
    name: str,
    *,
    origins: Origins,
    emit: Emit,
    full: bool = False,
    minimal: bool = False,
    mirror: str | None = None,
) -> Image:
    """Make a base image with mmdebstrap and put it into the engine; nothing else is left behind."""
    variant = "full" if full else "minimal" if minimal else ""
    request = requested(name, variant=variant, mirror=mirror or origins.distribution_mirror)
    _require_tools(request)
    command = mmdebstrap(request, _sources(request, origins, emit), ca_bundle=origins.ca_bundle)
    title = f"make {request.distribution} {request.release} with mmdebstrap"
    started = time.monotonic()
    emit(StepStarted("base", title))
    talk = _Talk(emit)
    try:
        with _running(command, request, origins, talk) as rootfs:
            image = engine.load(request.tag, lambda: rootfs, command=("bash",), labels=_labels(request))
    except R2DError as error:
        emit(StepFailed("base", title, time.monotonic() - started, error.problem, tuple(talk.tail)))
        raise
    emit(StepFinished("base", title, time.monotonic() - started, cached=False))
    return image


def list_bases(engine: Engine) -> tuple[Base, ...]:
    """The base images made here, by name."""
    found = {
        name: base
        for image in engine.images(LABEL)
        for name in image.names
        if name.startswith(f"{MADE_HERE}:") and (base := base_from_image(name, image))
    }
    return tuple(found[name] for name in sorted(found))


def requested(name: str, *, variant: str = "", mirror: str | None = None) -> BaseRequest:
    """What "debian:trixie", "trixie" or "ubuntu:24.04" asks for."""
    choices = {
        f"{distribution}:{each}": (distribution, release, facts)
        for distribution, releases in knowledge()["releases"].items()
        for release, facts in releases.items()
        for each in (release, *facts["aliases"])
    }
    asked = name if ":" in name else f"debian:{name}"
    if asked not in choices:
        near = difflib.get_close_matches(asked, choices, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        names = ", ".join(f"{distribution}:{release}" for distribution, release in _releases())
        raise UnsupportedVersion(f"No base image can be made of {name!r}.", fix=f"{hint}There are {names}.")
    distribution, release, facts = choices[asked]
    return BaseRequest(distribution, release, facts.get("suite", release), variant, mirror)


def _releases() -> Iterator[tuple[str, str]]:
    for distribution, releases in knowledge()["releases"].items():
        for release in releases:
            yield distribution, release


def packages(variant: str) -> tuple[str, ...]:
    """What a variant of the base holds."""
    lists = {"minimal": ("minimal",), "": ("minimal", "default"), "full": ("minimal", "default", "full")}
    return tuple(sorted({package for each in lists[variant] for package in recipe()[each]}))


def mmdebstrap(request: BaseRequest, sources: tuple[str, ...], *, ca_bundle: Path | None = None) -> list[str]:
    """The command that writes the root filesystem as a tar to its standard output."""
    kept, excluded = recipe()["files"]["kept"], recipe()["files"]["excluded"]
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--components={','.join(recipe()['distributions'][request.distribution]['components'])}",
        f"--include={','.join(packages(request.variant))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in excluded),
        *(f"--dpkgopt=path-include={pattern}" for pattern in kept),
        *(_trusting(ca_bundle) if ca_bundle else ()),
        f"--customize-hook={_LOCALES}",
        request.suite,
        "-",
        *sources,
    ]


def _trusting(ca_bundle: Path) -> tuple[str, str]:
    """Apt's trust in a CA bundle of this machine while the base is made; `--aptopt` would leave it in the image."""
    setting = shlex.quote(f'Acquire::https::CAInfo "{ca_bundle}";')
    return (f'--setup-hook=echo {setting} >"$1{_CA_SETTING}"', f'--customize-hook=rm "$1{_CA_SETTING}"')


def _sources(request: BaseRequest, origins: Origins, emit: Emit) -> tuple[str, ...]:
    """The lines of the image's sources.list; none where mmdebstrap's own are right: updates, security and all."""
    if request.mirror is None:
        return ()
    distribution, mirror = recipe()["distributions"][request.distribution], request.mirror.rstrip("/")
    components = " ".join(distribution["components"])
    suites = [request.suite, *(request.suite + beside for beside in distribution["suites_beside"])]
    lines = [f"deb {mirror} {suite} {components}" for suite in suites]
    if suffix := distribution.get("security_mirror_suffix"):
        security = f"{request.suite}-security"
        if _answers(f"{mirror}{suffix}/dists/{security}/InRelease", origins):
            lines.append(f"deb {mirror}{suffix} {security} {components}")
        else:
            emit(
                Warned(
                    f"{mirror}{suffix} has no {security}: the base image gets no security updates of its own."
                )
            )
    return tuple(lines)


def _answers(address: str, origins: Origins) -> bool:
    if not address.startswith(("http://", "https://")):
        return False
    proxies = {"http": origins.http_proxy, "https": origins.https_proxy}
    if should_bypass_proxies(address, origins.no_proxy or ""):
        proxies = {}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.head(
                address,
                timeout=_ANSWER_SECONDS,
                allow_redirects=True,
                proxies={scheme: proxy for scheme, proxy in proxies.items() if proxy},
                verify=str(origins.ca_bundle) if origins.ca_bundle else True,
            )
        except (requests.RequestException, OSError):
            return False
    return answer.ok


def _labels(request: BaseRequest) -> tuple[tuple[str, str], ...]:
    known = known_base(request.tag)
    labels = {LABEL: "1", f"{LABEL}.distribution": request.distribution, f"{LABEL}.release": request.release}
    if known and known.python:
        labels[f"{LABEL}.python"] = known.python
    return tuple(sorted(labels.items()))


def missing_packages(name: str) -> tuple[str, ...]:
    """The packages of this machine's distribution that making this base still needs."""
    return _missing(requested(name))


def _missing(request: BaseRequest) -> tuple[str, ...]:
    distribution = recipe()["distributions"][request.distribution]
    has_keys = any(_KEYRINGS.glob(f"{distribution['keyring']}.*"))
    missing = {
        "mmdebstrap": shutil.which("mmdebstrap") is None,
        distribution["keyring_package"]: not has_keys,
    }
    return tuple(package for package, is_missing in missing.items() if is_missing)


def _require_tools(request: BaseRequest) -> None:
    missing = _missing(request)
    if "mmdebstrap" in missing:
        raise ToolMissing(
            "mmdebstrap, which makes base images from packages, is not installed.",
            fix=f"sudo apt-get install --no-install-recommends {' '.join(missing)}",
        )
    if missing:
        raise _no_keyring(request)


def _no_keyring(request: BaseRequest) -> ToolMissing:
    return ToolMissing(
        f"The keys that sign the packages of {request.distribution} {request.release} are not on this machine.",
        fix=f"sudo apt-get install {recipe()['distributions'][request.distribution]['keyring_package']}",
    )


@contextmanager
def _running(
    command: list[str], request: BaseRequest, origins: Origins, talk: "_Talk"
) -> Iterator[Iterator[bytes]]:
    """The output of mmdebstrap, from its first byte on; once this is left, mmdebstrap and its folder are gone."""
    # Proxies may hold credentials: they travel by standard input, where no list of processes shows them.
    shell = ["sh", "-c", '. /dev/stdin; exec "$@" </dev/null', "sh", *command]
    pipe = subprocess.PIPE
    process = subprocess.Popen(shell, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    to, out = cast(IO[bytes], process.stdin), cast(io.BufferedReader, process.stdout)
    listener = threading.Thread(target=talk.listen, args=(process.stderr,), daemon=True)
    listener.start()

    def ended() -> None:
        """Raise unless mmdebstrap ended well."""
        code = process.wait()
        listener.join()
        if code != 0:
            raise _failure(code, "\n".join(talk.tail), request)

    def pieces(first: bytes) -> Iterator[bytes]:
        yield first
        while piece := out.read(_PIECE):
            yield piece
        ended()

    try:
        with suppress(BrokenPipeError), to:
            to.write(_exports(origins).encode())
        # Nothing is written before everything is installed: most failures never reach the engine.
        first = out.read1()
        if not first:
            ended()
        yield pieces(first)
    finally:
        _end(process)
        listener.join()
        out.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop mmdebstrap if it still runs; asked nicely, it removes its folder."""
    for signalled in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signalled)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)


def _exports(origins: Origins) -> str:
    """The proxies, as the shell reads them."""
    values = {name: getattr(origins, name) for name in _PROXIES}
    return (
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items() if value) or ":\n"
    )


@dataclass(frozen=True)
class _Talk:
    """What mmdebstrap says: passed on line by line, the end of it kept."""

    emit: Emit
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    def listen(self, stream: IO[bytes]) -> None:
        """Pass on everything until the stream ends."""
        with stream:
            for line in stream:
                text = line.decode(errors="replace")
                self.tail.append(text.rstrip())
                self.emit(StepOutput("base", text))


def _failure(code: int, said: str, request: BaseRequest) -> R2DError:
    if _SIGNATURE.search(said):
        return _no_keyring(request)
    where = request.mirror or "the package mirror"
    if _NO_SUITE.search(said):
        return UnsupportedVersion(
            f"{where} has no {request.distribution} {request.release}, or not all of it.",
            fix="Name another release, or another mirror with --mirror.",
        )
    if _NETWORK.search(said):
        return TemporaryFailure(
            f"{where} cannot be reached.", fix="Try again later, or name another mirror with --mirror."
        )
    return BuildFailed(f"mmdebstrap ended with exit code {code}.", fix="Its last lines say why.")
