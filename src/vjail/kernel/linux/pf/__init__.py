"""pf(4) on Linux: rulesets compiled to one nftables table for each vnet, states kept in the connection tracking.

`compile.py` turns a PfSetup into the text that `nft.py` has nft(8) load in one transaction; `match.py`, `limits.py` and
`translation.py` are its parts; `conntrack.py` reads and deletes states, `exceeded.py` those that limits end;
`detours.py` is their routes for `route-to` and `reply-to`; `driver.py` is the PfDriver. How each part of
pf is carried out is told in docs/pf.md.
"""
