"""What git's last words mean: a failure that may pass, or one that somebody has to do something about."""

import re

from r2d.errors import R2DError, SourceFailed, SourceNotFound, SourceRefused, TemporaryFailure, UnsafeContent

_TEMPORARY = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Name or service not known"
    r"|Connection (?:refused|timed out|reset|closed)|Couldn't connect|Failed to connect|Operation timed out"
    r"|Operation too slow|timed? ?out|early EOF|unexpected disconnect|RPC failed|Empty reply from server"
    r"|(?:error|status code|status|HTTP)[: ]+(?:5\d\d|429)|hung up unexpectedly|TLS connection was non-properly"
    r"|handshake\(\) failed|invalid index-pack output|index-pack failed|kex_exchange_identification"
    r"|Network is unreachable|No route to host|Recv failure|Send failure|(?:^|\W)EOF(?:$|\n)|transfer closed",
    re.IGNORECASE | re.MULTILINE,
)
_FORGED = re.compile(
    r"SSL certificate|certificate verification failed|certificate verify|unable to get local issuer|x509:",
    re.IGNORECASE,
)
_UNKNOWN_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")
_REFUSED = re.compile(
    r"could not read (?:Username|Password)|Authentication failed|Permission denied|Access denied"
    r"|returned error: 40[13]|terminal prompts disabled|Authentication required|Authorization error"
    r"|(?:status code|status|HTTP)[: ]+40[13]|Invalid username",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"Repository not found|repository '.*' not found|does not appear to be a git repos|returned error: (?:404|410)"
    r"|project you were looking for could not be found|does not exist|valid repository name|No such file or directory"
    r"|not a git repository",
    re.IGNORECASE,
)
_FORBIDDEN_PROTOCOL = re.compile(r"transport '(?P<name>[^']*)' not allowed")
_UNADVERTISED = re.compile(
    r"unadvertised object|not our ref|no such remote ref|couldn't find remote ref|does not support shallow"
    r"|did not send all necessary objects|remote error: upload-pack: not our ref|want .* not valid",
    re.IGNORECASE,
)
_FULL_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_FOREIGN_OWNER = re.compile(r"dubious ownership")


def is_temporary(said: str) -> bool:
    """Whether the same request may succeed later."""
    lasting = (_FORGED, _UNKNOWN_HOST_KEY, _REFUSED, _FORBIDDEN_PROTOCOL, _FULL_DISK, _FOREIGN_OWNER)
    return bool(_TEMPORARY.search(said)) and not any(pattern.search(said) for pattern in lasting)


def is_unadvertised(said: str) -> bool:
    """Whether the server gives out only what its refs point at."""
    return bool(_UNADVERTISED.search(said))


def explain(said: str, name: str) -> R2DError:
    """The error, with its remedy, for what git said of the repository called `name`."""
    if is_temporary(said):
        return TemporaryFailure(
            f"The server did not answer as it should: {last_words(said)}",
            where=name,
            fix="Try again later; check the address and the network if it goes on.",
        )
    if match := _FORBIDDEN_PROTOCOL.search(said):
        return UnsafeContent(
            f"An address asks for the transport {match['name']!r}, which is not allowed here.", where=name
        )
    return _refused(said, name) or _other(said, name)


def _refused(said: str, name: str) -> R2DError | None:
    if _FORGED.search(said):
        return SourceRefused(
            "The server's certificate is not signed by anybody this machine trusts.",
            where=name,
            fix="Name the CA bundle of your network (ca_bundle under [origins], or SSL_CERT_FILE).",
        )
    if _UNKNOWN_HOST_KEY.search(said):
        return SourceRefused(
            "The server's ssh key is not known here, or not the one that is known.",
            where=name,
            fix="Connect once with ssh to check the key and add it to known_hosts.",
        )
    if _FOREIGN_OWNER.search(said):
        return SourceRefused(
            "The repository's folder belongs to another user, and git does not trust it.",
            where=name,
            fix="If you do: git config --global --add safe.directory FOLDER",
        )
    if _REFUSED.search(said):
        return SourceRefused(
            "The repository does not exist, or is private and the credentials are missing or wrong.",
            where=name,
            fix="Check the address; for a private one set up a git credential helper, an ssh key in the agent, "
            "or GIT_CREDENTIAL_ENV.",
        )
    return None


def _other(said: str, name: str) -> R2DError:
    if _FULL_DISK.search(said):
        return SourceFailed(
            "There is no room left for the repository's files.",
            where=name,
            fix="Free some, or point TMPDIR to a larger disk.",
        )
    if _ABSENT.search(said):
        return SourceNotFound(
            "There is no git repository at this address.",
            where=name,
            fix="Check the address. Some servers say the same of a private repository.",
        )
    return SourceFailed(f"Git could not fetch it: {last_words(said)}", where=name)


def last_words(said: str) -> str:
    """The line of git's that says most."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote:", "ssh:"))]
    chosen = next((line for line in telling if line.startswith("fatal:")), None)
    return (chosen or (telling or lines or ["no reason was given"])[-1])[:400]
