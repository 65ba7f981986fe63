"""`make bench`: how fast vjail is, beside what others do on the same machine in the same minutes.

The machine may be busy and is never the same twice, so no number stands alone: everything is done in turns with what it
is compared to, and what counts are ratios of neighbours. star.py brings stars of jails up and down beside mininet,
path.py sends packets beside a path made by hand, startup.py times the commands
themselves, vnet.py weighs a vnet and lets pairs of jails send. report.py prints it all.
"""
