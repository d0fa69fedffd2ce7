#!/bin/sh
# Runs Podman's service for as long as somebody holds the other end of our stdin, however that somebody ends:
#   podman_service.sh FOLDER PROGRAM ARGUMENT…
# FOLDER holds the socket and goes with the service.
folder=$1
shift
"$@" </dev/null &
service=$!

end() {
    kill -TERM "$service" 2>/dev/null
    (sleep 10 && kill -KILL "$service") 2>/dev/null &
    last_resort=$!
    wait "$service"
    kill -TERM "$last_resort" 2>/dev/null
    rm -rf "$folder"
    exit 0
}
trap end TERM INT HUP

cat >/dev/null
end
