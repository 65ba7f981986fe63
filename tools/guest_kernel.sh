#!/bin/sh
# Debian's stock kernel for the guest that tests/guest runs, unpacked into .cache/guest-kernel; nothing is installed.
set -eu
cd "$(dirname "$0")/.."
place=.cache/guest-kernel
[ "$(dpkg --print-architecture)" = amd64 ] || exit 0
newest=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$newest" ] || { echo "no Debian package linux-image-cloud-amd64 known here" >&2; exit 1; }
[ "$(cat "$place/package" 2>/dev/null)" = "$newest" ] && exit 0
rm -rf "$place"
mkdir -p "$place/deb"
(cd "$place/deb" && apt-get download -q "$newest" 2>/dev/null)
dpkg-deb -x "$place"/deb/*.deb "$place"
rm -r "$place/deb"
echo "$newest" >"$place/package"
