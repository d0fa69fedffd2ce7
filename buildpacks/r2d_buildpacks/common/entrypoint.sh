#!/bin/bash
# The first process of the container: runs the given command for as long as that lives.
#
# Signals go to the command; its exit code is ours; both of its streams are passed on and kept in
# .jupyter-server-log.txt, for people who see only Jupyter.

# Before anything else: the kernel drops a signal that the first process of a container has no answer to, and
# whoever stops the container right after its start would wait for nothing.
child=
passed_on=
# shellcheck disable=SC2329  # called by the traps below
pass_on() {
    passed_on=$1
    if [ -n "$child" ]; then
        kill -s "$1" "$child" 2>/dev/null
    else
        case $1 in HUP | INT | QUIT | TERM) exit $((128 + $(kill -l "$1"))) ;; esac
    fi
}
for signal in HUP INT QUIT USR1 USR2 TERM CONT WINCH; do
    # shellcheck disable=SC2064  # the name is meant to be that of now
    trap "pass_on $signal" "$signal"
done

# What a login shell reads: what the image puts in /etc/profile.d counts, and what people put in their home.
# shellcheck source=/dev/null
for profile in /etc/profile ~/.bash_profile ~/.bash_login ~/.profile; do
    if [ -r "$profile" ]; then
        . "$profile"
        [ "$profile" = /etc/profile ] || break
    fi
done
set +eu

command=("$@")
if [ -n "${R2D_ENTRYPOINT:-}" ]; then
    if [ -e "$R2D_ENTRYPOINT" ]; then
        command=(/usr/local/bin/r2d-script "$R2D_ENTRYPOINT" "$@")
    else
        echo "r2d: $R2D_ENTRYPOINT is not there (is it hidden by a volume?): starting without it." >&2
    fi
fi

# A person at a terminal wants that terminal, not a copy of what is printed.
if [ -t 0 ] && [ -t 1 ]; then
    exec "${command[@]}"
fi

log=/dev/null
for folder in "${REPO_DIR:-.}" . "${TMPDIR:-/tmp}"; do
    if [ -d "$folder" ] && touch "$folder/.jupyter-server-log.txt" 2>/dev/null; then
        log=$folder/.jupyter-server-log.txt
        break
    fi
done

# A copy ends by itself when the last writer is gone; a signal meant for the command must not end it first. A full
# disk costs the log, never the output.
copy() {
    trap '' HUP INT QUIT TERM USR1 USR2
    exec tee --append --output-error=warn "$log" 2>/dev/null
}
exec 3> >(copy)
copy_of_output=$!
exec 4> >(copy >&2)
copy_of_errors=$!

# With job control, because without it a shell starts background commands deaf to Ctrl-C.
set -m
"${command[@]}" <&0 >&3 2>&4 3>&- 4>&- &
child=$!
set +m
exec 3>&- 4>&-

# A signal that is passed on ends `wait` early; only an undisturbed one has the command's exit code.
status=
while :; do
    passed_on=
    wait "$child"
    code=$?
    [ -n "$status" ] && [ "$code" -eq 127 ] && break
    status=$code
    [ -z "$passed_on" ] && break
done

# What is still on its way is written before we end; a process the command left behind may hold it up for ever.
for _ in {1..20}; do
    kill -0 "$copy_of_output" 2>/dev/null || kill -0 "$copy_of_errors" 2>/dev/null || break
    sleep 0.05
done
exit "$status"
