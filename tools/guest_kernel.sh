#!/bin/sh
# Debian's stock kernel for the guest that tests/guest runs, unpacked into .cache/guest-kernel; nothing is installed.
# Where there is none to be had the test says so.
set -eu
cd "$(dirname "$0")/.."
place=.cache/guest-kernel

newest() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || exit 0
package=$(newest)
if [ -z "$package" ] && [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq || :
    package=$(newest)
fi
[ "$(cat $place/package 2>/dev/null)" != "$package" ] || exit 0
rm -rf $place.new
mkdir -p $place.new/deb
if [ -n "$package" ] && (cd $place.new/deb && apt-get download -qq "$package" 2>/dev/null); then
    dpkg-deb -x $place.new/deb/*.deb $place.new
    rm -r $place.new/deb
    echo "$package" >$place.new/package
    rm -rf $place
    mv $place.new $place
else
    rm -rf $place.new
    echo "apt-get download ${package:-linux-image-cloud-amd64} failed: no new kernel for the guest" >&2
fi
