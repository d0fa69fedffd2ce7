#!/bin/sh
# Installs a requirements file on top of the Jupyter server's packages: requirements.sh PREFIX FILE OPTION…
# The user's packages win. Where they take away what the server needs, that is said here and now, and a server that
# cannot start any more fails the build instead of the launch.
set -eu
# shellcheck source=/dev/null
. /run/r2d/network/network.sh

prefix=$1 file=$2
shift 2
export UV_CACHE_DIR=/run/r2d/cache/uv UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_NO_CONFIG=1
uv=/run/r2d/bin/uv

set -- "$@" -r "$file"
[ -s /run/r2d/constraints.txt ] && set -- --constraints /run/r2d/constraints.txt "$@"

# As pip would: the best version any of the indexes has.
"$uv" pip install --python "$prefix/bin/python" --compile-bytecode --index-strategy unsafe-best-match "$@"

if ! "$uv" pip check --quiet --python "$prefix/bin/python" 2>/dev/null; then
    echo "These packages do not fit together:"
    "$uv" pip check --python "$prefix/bin/python" 2>&1 || true
    if ! "$prefix/bin/python" -c 'import jupyterlab, notebook.app, jupyterhub.singleuser, ipykernel.kernelapp'; then
        named=${file#/run/r2d/}
        echo "With the versions $named asks for, the Jupyter server cannot start." >&2
        echo "Ask for newer versions of the packages named above, or leave them out of $named." >&2
        exit 1
    fi
fi
