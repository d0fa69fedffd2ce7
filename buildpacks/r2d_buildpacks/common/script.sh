#!/bin/bash
# Runs a script as its author meant it: r2d-script FILE ARGUMENT…
# Half of the postBuild and start scripts out there are not executable, lack their first line, or came from Windows.
file=$1
shift

IFS= read -r first <"$file"
first=${first%$'\r'}
case $first in
'#!'*) read -r interpreter argument <<<"${first#'#!'}" ;;
*) interpreter=/bin/bash argument= ;;
esac

if grep -q $'\r$' "$file"; then
    mended=$(mktemp)
    sed 's/\r$//' "$file" >"$mended"
    file=$mended
fi

exec "$interpreter" ${argument:+"$argument"} "$file" "$@"
