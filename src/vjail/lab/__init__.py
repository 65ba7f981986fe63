"""Labs: what a folder or a lab file describes (folder.py, schema.py), where its files come from (userland/), and where
a running one is found (runtime.py).

Paths come in; out goes a `Lab`: hosts with their NICs and files, and the wires that join them.
"""
