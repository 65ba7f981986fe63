"""The lab file: networks, jails, links, hosts and wires in one YAML file, compiled to the files FreeBSD reads.

    YAML ──nodes──> a tree with places ──schema──> LabFile (description.py: what is written, each value with its place)
    LabFile ──address──> every jail's addresses, interfaces, MACs     (addressing.py, naming.py; kept in vjail.lock)
    ──compile/──> jail.conf, rc.conf, devfs.rules, pf.conf, hosts for each host

Mistakes are gathered, each with its place and what was expected, and raised at the end of a step. The schema is data:
the JSON Schema for editors and the page docs/lab-file.md are made from it.
"""
