"""Drivers that keep in memory what a machine would have: FreeBSD's rules, no privileges, runs anywhere."""
