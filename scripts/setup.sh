# shellcheck shell=bash
# What both commands of the README begin with: a virtual environment with r2d in it, whatever was missing installed.
# Sourced; expects `assume_yes` to be set and leaves `r2d` and `python` as paths.

: "${assume_yes:?is set by the script that sources this one}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${R2D_VENV:-$root/.venv}

say() { printf '\n== %s\n' "$*" >&2; }

agree() { # agree QUESTION
    [ "$assume_yes" = yes ] && return
    [ -t 0 ] || { echo "$1 Run again with --yes to agree." >&2; return 1; }
    local answer
    read -r -p "$1 [y/N] " answer
    [ "$answer" = y ] || [ "$answer" = Y ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() { # install_packages PACKAGE…: those of the distribution that are not there yet
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || { echo "Install these with your system's package manager: ${missing[*]}" >&2; return 1; }
    agree "Install the system packages ${missing[*]}?" || return 1
    say "Installing ${missing[*]}"
    as_root apt-get update -qq
    # --no-remove: a package that conflicts with one that is there is refused, never put in its place.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends --no-remove \
        "${missing[@]}" >&2
}

new_enough() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

if ! [ -x "$venv/bin/python" ]; then
    if ! host_python=$(find_python); then
        install_packages python3 python3-venv
        host_python=$(find_python) || { echo "r2d needs Python 3.11 or newer." >&2; exit 1; }
    fi
    say "Making a virtual environment in $venv"
    "$host_python" -m venv "$venv"
fi
# Used by whoever sources this file.
# shellcheck disable=SC2034
python=$venv/bin/python r2d=$venv/bin/r2d
