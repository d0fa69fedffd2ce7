"""Move the default base image to what its registry has today: `python -m r2d.update_base_pins`."""

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path

from r2d.bases import knowledge, parts

PINS = Path(__file__).with_name("bases.toml")
_DIGEST = re.compile(r'^digest = "[^"]*"$', re.MULTILINE)

# The index of all platforms before the manifest of one: the pin must hold on every platform.
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

# Docker Hub's registry has another host than its image names say.
_HOSTS = {"docker.io": "registry-1.docker.io"}


def digest_of(image: str, *, scheme: str = "https") -> str:
    """The digest a registry has under the tag of an image now, by the OCI distribution API."""
    name, tag, _ = parts(image)
    registry, _, repository = name.partition("/")
    host = _HOSTS.get(registry, registry)
    address = f"{scheme}://{host}/v2/{repository}/manifests/{tag or 'latest'}"
    try:
        headers, _ = _ask("HEAD", address, None)
        token = None
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        token = _token(error.headers.get("WWW-Authenticate", ""))
        headers, _ = _ask("HEAD", address, token)
    if digest := headers.get("Docker-Content-Digest"):
        return digest
    _, manifest = _ask(
        "GET", address, token
    )  # the header is optional; the digest is the hash of the manifest
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _ask(method: str, address: str, token: str | None) -> tuple[Message, bytes]:
    request = urllib.request.Request(address, method=method, headers={"Accept": ", ".join(_MANIFESTS)})  # noqa: S310
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  (the registry of our own pin)
        return answer.headers, answer.read()


def _token(challenge: str) -> str:
    """An anonymous token, from where the registry's challenge says that tokens are had."""
    scheme, _, rest = challenge.partition(" ")
    asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or "realm" not in asked:
        raise SystemExit(f"The registry asks for what this script does not do: {challenge!r}")
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    with urllib.request.urlopen(f"{asked['realm']}?{query}", timeout=30) as answer:  # noqa: S310
        said = json.load(answer)
    return str(said.get("token") or said["access_token"])


def main() -> None:
    """Write the digest of the default base image into bases.toml."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the digest is another")
    check = parser.parse_args().check
    default = knowledge()["default"]
    try:
        digest = digest_of(default["image"])
    except OSError as error:
        raise SystemExit(f"The registry of {default['image']} cannot be asked: {error}") from error
    moved = digest != default["digest"]
    if moved and not check:
        PINS.write_text(_DIGEST.sub(f'digest = "{digest}"', PINS.read_text()))
    sys.stdout.write(f"{default['image']}@{digest}{' (moved)' if moved else ''}\n")
    sys.exit(1 if check and moved else 0)


if __name__ == "__main__":
    main()
