#!/bin/sh
set -e
ifconfig epair$1 create
ifconfig bridge0 addm epair$1a
ifconfig epair${1}a up
