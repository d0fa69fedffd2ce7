#!/bin/sh
# What every image needs before anything else: image.sh USER UID HOME REPO_DIR
# A login user that is not root, an English UTF-8 locale, the folders that user owns.
set -eu
# shellcheck source=/dev/null
. /run/r2d/network/network.sh

user=$1 uid=$2 home=$3 repo_dir=$4

# --- packages: only what this base lacks, for an apt-get update costs more than all the rest here
missing=
needs() { # needs PACKAGE FILE…: the package is missing unless one of the files is there
    package=$1
    shift
    for file in "$@"; do
        [ -e "$file" ] && return
    done
    missing="$missing $package"
}
needs ca-certificates /etc/ssl/certs/ca-certificates.crt
needs gettext-base /usr/bin/envsubst
needs less /usr/bin/less /bin/less
needs locales /usr/sbin/locale-gen
needs unzip /usr/bin/unzip
if [ -e /usr/bin/python3 ]; then
    # Packages without a wheel are compiled against the headers of the Python they are for.
    needs python3-dev /usr/include/python3.*/Python.h
fi
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # the names are ours and meant as words
    sh /run/r2d/apt.sh $missing
fi

if ! locale -a 2>/dev/null | grep -qix 'en_US\.utf-\?8'; then
    localedef -i en_US -c -f UTF-8 en_US.UTF-8
fi

# --- the user
# Ubuntu images come with a person's account under uid 1000: it is renamed. An account of the system keeps its
# name: ours shares the number with it.
first_personal=1000
account=$(getent passwd "$uid" | cut -d: -f1)
group=$(getent group "$uid" | cut -d: -f1)
if [ -z "$group" ]; then
    groupadd --gid "$uid" "$user"
elif [ "$group" != "$user" ] && [ "$uid" -ge "$first_personal" ]; then
    groupmod --new-name "$user" "$group"
fi
if [ -z "$account" ]; then
    useradd --uid "$uid" --gid "$uid" --shell /bin/bash --home-dir "$home" --no-log-init --no-create-home "$user"
elif [ "$account" != "$user" ] && [ "$uid" -ge "$first_personal" ]; then
    usermod --login "$user" --home "$home" --shell /bin/bash "$account"
    [ -d "/home/$account" ] && [ ! -e "$home" ] && mv "/home/$account" "$home"
elif [ "$account" != "$user" ]; then
    useradd --non-unique --uid "$uid" --gid "$uid" --shell /bin/bash --home-dir "$home" --no-log-init \
        --no-create-home "$user"
fi
if [ ! -e "$home" ]; then
    cp -r /etc/skel "$home"
fi
chown -R "$uid:$uid" "$home"

# --- folders this user owns
for folder in /srv/conda /srv/npm "$repo_dir"; do
    mkdir -p "$folder"
    chown "$uid:$uid" "$folder"
done
echo "prefix = /srv/npm" >/srv/npm/npmrc
