#!/bin/sh
# The Jupyter server's own environment: jupyter.sh PREFIX MINOR base|standalone
# Exactly what the lock beside this script lists, byte-compiled: whoever starts it later may not write here.
set -eu
# shellcheck source=/dev/null
. /run/r2d/network/network.sh

prefix=$1 minor=$2 origin=$3
export UV_CACHE_DIR=/run/r2d/cache/uv UV_PYTHON_CACHE_DIR=/run/r2d/cache/uv/pythons
export UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_NO_CONFIG=1
uv=/run/r2d/bin/uv

case $origin in
base)
    python=$(command -v python3)
    found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$found" != "$minor" ]; then
        echo "This base image has Python $found, and Python $minor was expected of it." >&2
        exit 1
    fi
    ;;
standalone)
    export UV_PYTHON_DOWNLOADS_JSON_URL=file:///run/r2d/pythons.json
    UV_PYTHON_INSTALL_DIR=$(dirname "$(dirname "$prefix")")/pythons
    export UV_PYTHON_INSTALL_DIR
    "$uv" python install --no-bin "$minor"
    python=$("$uv" python find --managed-python --no-project "$minor")
    ;;
esac

"$uv" venv --quiet --python "$python" "$prefix"
# From whichever index has the very file: the hashes say which one that is.
"$uv" pip install --python "$prefix/bin/python" --require-hashes --no-deps --compile-bytecode \
    --index-strategy unsafe-best-match \
    --build-constraints /run/r2d/build.txt -r /run/r2d/server.txt
