"""FreeBSD's kernel on Linux: vnets as network namespaces, jails as sets of namespaces, nullfs as bind mounts.

In come the calls of the core's drivers (core/driver.py, jail_driver.py, mount_driver.py); out go system calls: netlink
(netlink.py, links.py), the mount API (mounts.py), and programs of system calls that the native agent runs in processes
of their own (program.py, conversation.py). No FreeBSD rule is decided here.
"""
