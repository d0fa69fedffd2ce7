#!/bin/sh
# Installs packages of the distribution: apt.sh NAME…
# The lists and the packages live in a cache of the engine, so a build that adds one package fetches one package.
set -eu
# shellcheck source=/dev/null
. /run/r2d/network/network.sh

export DEBIAN_FRONTEND=noninteractive
cache=/run/r2d/cache/apt
mkdir -p "$cache/lists/partial" "$cache/archives/partial"

# In a folder of another name, because the images of a distribution empty their own after every install.
apt() {
    apt-get -o "Dir::State::Lists=$cache/lists" -o "Dir::Cache=$cache" -o APT::Keep-Downloaded-Packages=true \
        -o APT::Cmd::Pattern-Only=true -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        ${SSL_CERT_FILE:+-o "Acquire::https::CAInfo=$SSL_CERT_FILE"} \
        ${sources:+-o "Dir::Etc::SourceList=$sources" -o Dir::Etc::SourceParts=-} "$@"
}

sources=
if [ -n "${R2D_DISTRIBUTION_MIRROR:-}" ]; then
    # Only this step looks elsewhere: the image's own sources stay as they are.
    sources=$(mktemp)
    trap 'rm -f "$sources"' EXIT
    # shellcheck source=/dev/null
    . /etc/os-release
    mirror=${R2D_DISTRIBUTION_MIRROR%/}
    case $ID in
    ubuntu) components="main universe restricted multiverse" security=$mirror ;;
    *) components=main security=$mirror-security ;;
    esac
    for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-updates"; do
        echo "deb $mirror $suite $components"
    done >"$sources"
    echo "deb $security $VERSION_CODENAME-security $components" >>"$sources"
fi

if ! apt update -qq; then
    [ -n "$sources" ] || exit 1
    # Not every mirror has them; where it is the mirror itself that fails, it fails again.
    echo "apt.sh: going on without the security updates of $VERSION_CODENAME" >&2
    sed -i '$d' "$sources"
    apt update -qq
fi
apt install -qq --yes --no-install-recommends -- "$@"
rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
