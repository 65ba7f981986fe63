#!/bin/sh
# The main job: two VIMAGE jails on one wire, from the jail.conf a FreeBSD server would use.
set -u
cd "$(dirname "$0")/.."
vjail=.venv/bin/vjail
lab=examples/A1-two-jails

run() {
    printf '\n$ vjail %s\n' "$*"
    "$vjail" "$@"
}

trap '"$vjail" down --now "$lab"; exit 130' INT TERM

if ! reason=$(.venv/bin/python tools/able.py); then
    echo "No lab can be brought up here: $reason."
    echo "IN MEMORY ONLY: the same jails on vjail's model of FreeBSD; nothing of them is on this machine."
    .venv/bin/python tools/demo_in_memory.py "$lab"
    exit
fi
run up "$lab" || exit 1
run ls "$lab" && run exec -p "$lab" jail_01 ping -c 4 10.0.0.2
code=$?
run down "$lab" || code=1
if [ "$code" -eq 0 ]; then
    cat <<'END'

Both jails had a network stack of their own, and nothing of them is left. To go on:
  . .venv/bin/activate              so that `vjail` is found
  vjail up examples/A1-two-jails    bring it up again, then
  cd examples/A1-two-jails          (the lab of this folder is meant from here on)
  vjail shell                       FreeBSD's commands on the lab's host: jls, ifconfig, jexec …
  vjail exec jail_02 ifconfig       a command in a jail
  vjail down
  vjail show jail.conf              what FreeBSD's parser makes of the file
END
else
    echo "the demonstration failed" >&2
fi
exit "$code"
