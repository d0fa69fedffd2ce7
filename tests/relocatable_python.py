"""A small real CPython that runs from any folder, packed as a standalone build is, and a server to serve it.

Made from the distribution's own packages in seconds, so that tests prove what happens with a Python that the base
image does not have, where the real standalone builds cannot be reached.
"""

import functools
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Shared libraries that the standard library's modules load, by the beginning of their package's name. A package of a
# later release may have another suffix (libssl3t64), so they are looked up and not written out.
_LIBRARIES = (
    "libssl3",
    "libffi8",
    "libsqlite3-0",
    "liblzma5",
    "libbz2-1.0",
    "zlib1g",
    "libexpat1",
    "libreadline8",
    "libncursesw6",
    "libtinfo6",
    "libuuid1",
    "libcrypt1",
    "libdb5.3",
    "libzstd1",
)

# Debian's Python installs below local/ and looks for packages in dist-packages; a standalone build does neither.
_SITE = """\
import os, site, sys
site.addsitedir(os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
"""


def host_minor() -> str:
    """The minor of the python3 that this machine's distribution packages."""
    said = _output("apt-cache", "depends", "--important", "python3")
    found = re.search(r"python(3\.\d+)$", said, re.MULTILINE)
    if not found:
        raise LookupError("apt-cache does not say which Python this distribution has")
    return found[1]


def make_standalone(minor: str, into: Path) -> Path:
    """Pack a relocatable CPython of this minor; the tar.gz unpacks to `python/`, as standalone builds do.

    It runs on this machine's release and on newer ones. `minor` must be one that the package mirror has.
    """
    debs, root, tree = into / "debs", into / "root", into / "python"
    for folder in (debs, root, tree / "bin", tree / "lib"):
        folder.mkdir(parents=True)
    names = [
        f"python{minor}",
        f"python{minor}-minimal",
        f"libpython{minor}-minimal",
        f"libpython{minor}-stdlib",
    ]
    subprocess.run(["apt-get", "download", "-qq", *names, *_available(_LIBRARIES)], cwd=debs, check=True)
    for deb in sorted(debs.iterdir()):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
    library = tree / "lib" / f"python{minor}"
    shutil.copytree(
        root / "usr" / "lib" / f"python{minor}",
        library,
        symlinks=False,
        ignore_dangling_symlinks=True,
        ignore=shutil.ignore_patterns("test", "EXTERNALLY-MANAGED"),
    )
    (library / "site-packages").mkdir()
    (library / "sitecustomize.py").write_text(_SITE)
    scheme = library / "sysconfig" / "__init__.py"
    scheme = scheme if scheme.exists() else library / "sysconfig.py"
    scheme.write_text(scheme.read_text().replace("posix_local", "posix_prefix"))
    interpreter = tree / "bin" / f"python{minor}"
    shutil.copy2(root / "usr" / "bin" / f"python{minor}", interpreter)
    for name in ("python", "python3"):
        (tree / "bin" / name).symlink_to(interpreter.name)
    for found in root.glob("**/lib/*/lib*.so.*"):
        if found.exists():
            shutil.copy2(found.resolve(), tree / "lib" / found.name)
    _find_libraries_beside(interpreter, library)
    version = _output(str(interpreter), "-c", "import platform; print(platform.python_version())").strip()
    packed = into / f"cpython-{version}-install_only_stripped.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
        archive.add(tree, "python")
    for folder in (debs, root, tree):
        shutil.rmtree(folder)
    return packed


def _find_libraries_beside(interpreter: Path, library: Path) -> None:
    """Point the interpreter, its modules and the libraries at the libraries that came with them."""
    lib = library.parent
    patched = {interpreter: "$ORIGIN/../lib"}
    patched |= dict.fromkeys((library / "lib-dynload").glob("*.so"), "$ORIGIN/../..")
    patched |= dict.fromkeys(lib.glob("*.so.*"), "$ORIGIN")
    for file, path in patched.items():
        subprocess.run(["patchelf", "--set-rpath", path, str(file)], check=True)


def _available(beginnings: tuple[str, ...]) -> list[str]:
    names = set(_output("apt-cache", "pkgnames", "lib").split()) | set(
        _output("apt-cache", "pkgnames", "zlib").split()
    )
    found = [next((each for each in (name, f"{name}t64") if each in names), None) for name in beginnings]
    return [name for name in found if name]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on this machine while the block runs."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
        """Say nothing: a test's output is its own."""


def mirror_of(packed: Path, downloads: bytes, folder: Path, prefix: str) -> bytes:
    """Lay a packed Python where a mirror has the one that `downloads` names; `downloads` with its hash and version.

    What uv installs must be what it was told, so the entry gets the version of the Python that is really there.
    """
    ((key, entry),) = json.loads(downloads).items()
    version = packed.name.split("-")[1]
    path = entry["url"].removeprefix(prefix)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(packed, folder / _unquoted(path))
    major, minor, patch = (int(part) for part in version.split("."))
    entry |= {
        "major": major,
        "minor": minor,
        "patch": patch,
        "sha256": hashlib.sha256(packed.read_bytes()).hexdigest(),
    }
    _, *rest = key.split("-linux-")
    return json.dumps({f"cpython-{version}-linux-{rest[0]}": entry}).encode()


def _unquoted(path: str) -> str:
    return path.replace("%2B", "+")
