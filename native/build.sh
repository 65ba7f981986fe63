#!/bin/sh
# Builds the native programs for the machines whose compilers are here, into the package. Maintainers only: what it
# makes is committed, since the machines vjail is installed on need not have a compiler.
#
# Each program has the SHA-256 of what it was built from in it: this file, the headers, its own source, in that order.
set -eu
cd "$(dirname "$0")"
out=${1:-../src/vjail/kernel/linux/native}
mkdir -p "$out"
for machine in x86_64 aarch64; do
    cc=${machine}-linux-gnu-gcc
    command -v "$cc" >/dev/null || { echo "no $cc: $machine not built" >&2; continue; }
    for program in agent syslogd cron; do
        sources=$(cat build.sh sys.h daemon.h "$program.c" | sha256sum | cut -d' ' -f1)
        "$cc" -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
            -fno-pic -fno-builtin -static -nostdlib -nostartfiles -Wl,--build-id=none -Wl,-z,noexecstack \
            -Wl,-z,norelro -Wl,-z,noseparate-code -s -DSOURCES="\"$sources\"" -o "$out/$program-$machine" "$program.c"
    done
done
