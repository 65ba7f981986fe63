"""The lab's server: the process in which FreeBSD's commands run, and vjail's own that concern a running lab.

Connections come in, from a native client in the lab (somebody typed `ifconfig`) or from `vjail` outside; each becomes a
`Session` (session.py) for a function of command/ or of requests.py; messages to the native half go out. Who a client in
the lab is, is asked of the kernel (peers.py). One server for a lab, in one event loop (main.py); what it must not
forget is in the lab's state.db (store.py), from which another server goes on if this one is killed.
"""
