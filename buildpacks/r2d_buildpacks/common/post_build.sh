#!/bin/sh
# Runs the repository's postBuild in the finished environment: post_build.sh FILE
# What installers keep for the next time goes to a cache of the engine, so that it is not part of the image.
# shellcheck source=/dev/null
. /run/r2d/network/network.sh
export UV_CACHE_DIR=/run/r2d/cache/post-build/uv
export PIP_CACHE_DIR=/run/r2d/cache/post-build/pip
export npm_config_cache=/run/r2d/cache/post-build/npm
export PIP_DISABLE_PIP_VERSION_CHECK=1

chmod +x "$1" 2>/dev/null
/usr/local/bin/r2d-script "./$1"
code=$?
if [ "$code" -ne 0 ]; then
    echo "$1 ended with exit code $code." >&2
fi
exit "$code"
