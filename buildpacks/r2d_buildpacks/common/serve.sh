#!/bin/sh
# The image's own command. Under a hub that only starts the image it becomes the hub's server.
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec jupyterhub-singleuser "$@"
fi
exec jupyter lab --ip=0.0.0.0 --port=8888 "$@"
