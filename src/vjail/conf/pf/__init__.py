"""pf.conf(5): a file is read into the rulesets, tables and options of `rules.py`, `printer.py` writes rules as
pfctl(8) prints them, `optimize.py` does to a filter ruleset what pfctl does before it loads one.
"""
