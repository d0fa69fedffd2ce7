"""What a source is: something a user can point at that becomes a folder of files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from r2d.events import Emit


@dataclass(frozen=True)
class Network:
    """What fetching may use of the outside; handed in, so that nothing here reads the environment."""

    environment: dict[str, str] = field(default_factory=dict)  # for child programs: proxies, ssh-agent, CA
    ca_bundle: Path | None = None
    git_credentials: str | None = None  # GIT_CREDENTIAL_ENV, as it was given
    software_heritage_token: str | None = None
    timeout: float = 30.0
    endpoints: Mapping[str, str] = field(default_factory=dict)  # "https://zenodo.org" → where to ask instead


@dataclass(frozen=True)
class Checkout:
    """The files of a source, in a folder."""

    folder: Path
    source: str  # what to call it in labels and names; never holds a credential
    content: str | None  # names the exact content: a full commit, a record's version; None: whatever is there
    ref: str | None = None  # what was asked for
    subdir: str = ""  # the part of the source that `folder` is; "" is the whole
    temporary: bool = False  # ours to remove
    open_at: str | None = None  # the page a launch link wants to see, URL-quoted: "lab/tree/index.ipynb"


class Source(Protocol):
    """Something recognised, not yet fetched."""

    @property
    def name(self) -> str:
        """What to call it to the user; never holds a credential."""

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """Bring the files. `into` is a new, empty, private folder; a source that is used in place leaves it so."""
