"""Names of images: made from a source, and checked when a user gives one."""

import hashlib
import json
import re
from string import ascii_letters, digits

from r2d.errors import InvalidImageName

_SAFE = frozenset((ascii_letters + digits).encode())
_SHORT = 7  # digits of a commit or a key in a name
_LONGEST_MADE = 128  # registries differ in what they take; all take this
_LONGEST_CONTENT = 48
_LONGEST_TAKEN = 255

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7}")

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = (
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"  # Docker takes a first label in upper case for no domain at all
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"(?::[0-9]+)?"
)
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}"
_NAME = re.compile(
    rf"(?P<repository>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::{_TAG})?(?:@{_DIGEST})?"
)


def image_name_for(source: str, *, subdir: str = "", content: str | None, key: str) -> str:
    """The name of the image of a source at a content; different sources, folders and contents never share one.

    `content` is a commit, a version, a checksum; without one the first digits of `key` take its place.
    """
    content = _shortened(content or key[:_SHORT])
    plain = f"r2d{_escaped(source)}{content}"
    # Unambiguous as it stands: the last seven characters are the content, nothing was lost before them.
    if (
        not subdir
        and _SHORT_COMMIT.fullmatch(content)
        and plain == plain.lower()
        and len(plain) <= _LONGEST_MADE
    ):
        return plain
    # No escape holds two hyphens in a row, so that such a name is never one of the plain ones.
    ending = f"--{_fingerprint(source, subdir, content)}"
    if content and len(escaped := _escaped(content).lower()) <= _LONGEST_CONTENT:
        ending += f"-{escaped}"
    room = _LONGEST_MADE - len(ending)
    return f"r2d{_escaped(source)}{_escaped(subdir)}".lower()[:room].rstrip("-") + ending


def validate_image_name(name: str) -> None:
    """Refuse a name that engines and registries do not take."""
    found = _NAME.fullmatch(name)
    if found and len(found["repository"]) <= _LONGEST_TAKEN:
        return
    reason = (
        f"it has more than {_LONGEST_TAKEN} characters before its tag"
        if found
        else "it is lower-case letters and digits, with single `.`, `_` or `-` between them, parts separated by `/`"
    )
    problem = "is too long for an image" if found else "is not the name of an image"
    raise InvalidImageName(
        f"{name!r} {problem}: {reason}.",
        where="image name",
        fix=f"Use {_suggestion(name)!r}, for example.",
    )


def _shortened(content: str) -> str:
    return content[:_SHORT] if _COMMIT.fullmatch(content) else content


def _escaped(text: str) -> str:
    # Paths may hold bytes that are no text; surrogates stand for them and are escaped like the rest.
    return "".join(
        chr(byte) if byte in _SAFE else f"-{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")
    )


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:10]


def _suggestion(name: str) -> str:
    repository, tag = _split_tag(name.partition("@")[0])
    domain, slash, rest = repository.partition("/")
    if slash and re.fullmatch(_DOMAIN, domain.lower()) and (":" in domain or "." in domain):
        components = [domain.lower(), *(_nearest_component(part) for part in rest.split("/"))]
    else:
        components = [_nearest_component(part) for part in repository.split("/")]
    path = "/".join(part for part in components if part)[:_LONGEST_MADE].rstrip("/._-")
    tag = re.sub(r"[^A-Za-z0-9_.-]+", "-", tag).lstrip(".-")[:_LONGEST_MADE]
    suggested = f"{path or 'image'}{':' if tag else ''}{tag}"
    return suggested if _NAME.fullmatch(suggested) else "image"


def _split_tag(name: str) -> tuple[str, str]:
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "")


def _nearest_component(part: str) -> str:
    lower = part.lower()
    return lower if re.fullmatch(_COMPONENT, lower) else re.sub(r"[^a-z0-9]+", "-", lower).strip("-")
