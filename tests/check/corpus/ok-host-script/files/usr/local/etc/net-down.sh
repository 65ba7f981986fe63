#!/bin/sh
ifconfig bridge0 deletem epair${1}a
ifconfig epair${1}a destroy
