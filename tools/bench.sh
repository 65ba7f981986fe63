#!/bin/sh
# What vjail is measured beside comes from Debian: mininet with what its Linux bridges need, iproute2, ping, iperf3.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "make bench: run it as root: mininet, and namespaces made by hand, need that" >&2
    exit 1
fi
missing=
for need in mn:mininet brctl:bridge-utils ip:iproute2 nsenter:util-linux ping:iputils-ping iperf3:iperf3; do
    command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need#*:}"
done
if [ -n "$missing" ]; then
    echo "installing:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
"${PYTHON:-python3}" tools/setup.py
PYTHONPATH=tools exec .venv/bin/python -m bench "$@"
