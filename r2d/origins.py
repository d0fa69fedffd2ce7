"""Every outside address r2d or its images use, replaceable in one place; the CA bundle and proxies with them.

Nothing here is an address by itself: what is not replaced is the tool's own default (uv's index, apt's sources,
uv's standalone Pythons, the registry in an image's name). Values may hold credentials, so they reach a build only
as a mounted file, never as an argument, a variable of the image or a label.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from r2d.errors import InvalidConfiguration
from r2d.plan import ContextFile, Env, Place, Plan, Stage, steps

# Where a step of the build finds these files: `r2d.dockerfile` mounts the folder there.
IN_BUILD = "/run/r2d/network"
_CA_IN_IMAGE = "/etc/ssl/certs/r2d-ca.pem"
_CREDENTIALS = re.compile(r"://[^/\s]*@")

# Each tool has its own name for the file it trusts instead of its built-in list.
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)


@dataclass(frozen=True)
class Origins:
    """Where things come from, where that differs from the tools' defaults."""

    package_index: str | None = None
    extra_package_indexes: tuple[str, ...] = ()
    distribution_mirror: str | None = None
    standalone_pythons: str | None = None
    registries: Mapping[str, str] = field(default_factory=dict)  # "docker.io" → "mirror.example/hub"
    ca_bundle: Path | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    in_image: bool = False  # let the CA, the proxies and the index stay in the image

    def image(self, reference: str) -> str:
        """The name under which an image is pulled."""
        first, slash, rest = reference.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            registry = first
        else:
            # A short name means the registry that Docker started with.
            registry, rest = "docker.io", reference if slash else f"library/{reference}"
        mirror = self.registries.get(registry)
        return f"{mirror.rstrip('/')}/{rest}" if mirror else reference

    def variables(self) -> tuple[tuple[str, str], ...]:
        """What a step of the build is told of the network."""
        found: dict[str, str] = {}
        if self.ca_bundle:
            found |= dict.fromkeys(_CA_VARIABLES, f"{IN_BUILD}/ca.pem")
        if self.package_index:
            found |= {"UV_DEFAULT_INDEX": self.package_index, "PIP_INDEX_URL": self.package_index}
        if self.extra_package_indexes:
            extra = " ".join(self.extra_package_indexes)
            found |= {"UV_INDEX": extra, "PIP_EXTRA_INDEX_URL": extra}
        if self.distribution_mirror:
            found["R2D_DISTRIBUTION_MIRROR"] = self.distribution_mirror
        if self.standalone_pythons:
            found["UV_PYTHON_INSTALL_MIRROR"] = self.standalone_pythons
        for name in ("http_proxy", "https_proxy", "no_proxy"):
            if value := getattr(self, name):
                found |= {name: value, name.upper(): value}
        return tuple(sorted(found.items()))

    def files(self) -> tuple[ContextFile, ...]:
        """The folder that every step with a network reads first; always there, often empty."""
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.variables())
        script = ContextFile("network.sh", lines.encode())
        return (script, ContextFile("ca.pem", self._trusted(self.ca_bundle))) if self.ca_bundle else (script,)

    @property
    def hold_credentials(self) -> bool:
        """Whether what a build is told of the network includes a password."""
        return any(_CREDENTIALS.search(value) for _, value in self.variables())

    def kept(self) -> Plan:
        """What of this stays in the image: nothing, unless it is asked for."""
        if not self.in_image:
            return Plan()
        told = {
            name: value for name, value in self.variables() if not name.startswith(("R2D_", "UV_PYTHON_"))
        }
        if any(_CREDENTIALS.search(value) for value in told.values()):
            raise InvalidConfiguration(
                "in_image would leave a password in the image, where whoever has the image can read it.",
                where="[origins] in_image",
                fix="Leave in_image out, or name the index and the proxies without user and password.",
            )
        if not self.ca_bundle:
            return steps(Stage.AFTER, Env(tuple(told.items()))) if told else Plan()
        told |= dict.fromkeys(_CA_VARIABLES, _CA_IN_IMAGE)
        bundle = ContextFile("ca.pem", self._trusted(self.ca_bundle))
        return steps(Stage.AFTER, Place(bundle, _CA_IN_IMAGE), Env(tuple(told.items())))

    def _trusted(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise InvalidConfiguration(
                f"The CA bundle cannot be read: {error.strerror}.",
                where=str(file),
                fix="Name a file of PEM certificates: ca_bundle under [origins], or SSL_CERT_FILE.",
            ) from error
