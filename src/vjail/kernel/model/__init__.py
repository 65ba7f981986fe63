"""Drivers that keep in memory what a machine would have: FreeBSD's rules, no privileges, runs anywhere.

`network.MemoryDriver` is what the core's network is given; `fib` is FreeBSD's routing table, which answers where a
packet goes.
"""
