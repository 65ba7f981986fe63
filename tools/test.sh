#!/bin/sh
# All tests. Installs what they need that is missing: Debian packages (as root, where apt is), Python tools into .venv.
set -eu
cd "$(dirname "$0")/.."

part() {
    name=$1
    shift
    began=$(date +%s)
    echo "== $name"
    "$@"
    echo "== $name: $(($(date +%s) - began)) s"
}

packages() {
    missing=
    for need in ip:iproute2 nsenter:util-linux setpriv:util-linux newuidmap:uidmap gcc:gcc python3:python3 make:make \
        ps:procps logger:bsdutils nft:nftables qemu-aarch64-static:qemu-user-static $(emulator) bird:bird2 \
        nginx:nginx; do
        command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need#*:}"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "missing for some of the tests:$missing" >&2
        return 0
    fi
    apt-get update -qq && without_starting $missing
}

# What emulates a whole machine for tests/guest, where Debian has it.
emulator() {
    [ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || echo qemu-system-x86_64:qemu-system-x86
}

# Daemons are for labs: on the machine itself they neither start now nor when it boots.
without_starting() {
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=$policy; }
    code=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || code=$?
    [ -z "${made:-}" ] || rm -f "$made"
    for package; do
        case $package in
        bird2 | nginx) systemctl disable --quiet "${package%2}.service" 2>/dev/null || : ;;
        esac
    done
    return $code
}

# The tests without a kernel, and beside them a guest, which is a machine of its own.
without_kernel() {
    .venv/bin/pytest -m guest tests/guest >"$said/guest" 2>&1 &
    guest=$!
    .venv/bin/pytest -m "not real and not guest" -n 2 --dist loadscope --durations=5
}

# Each test has namespaces of its own and waits much, so some run at once; those of one file one after the other.
real() {
    code=0
    .venv/bin/pytest -m real -n 3 --dist loadscope --durations=5 || code=$?
    wait $guest || code=$?
    echo "in a guest:"
    cat "$said/guest"
    return $code
}

said=$(mktemp -d)
guest=
trap 'kill $guest 2>/dev/null || :; rm -rf "$said"' EXIT

part packages packages
part "guest's kernel" tools/guest_kernel.sh
part setup "${PYTHON:-python3}" tools/setup.py dev
part lint .venv/bin/ruff check .
part format .venv/bin/ruff format --check .
part types .venv/bin/mypy
part "tests without a kernel" without_kernel
part "tests on this kernel" real
