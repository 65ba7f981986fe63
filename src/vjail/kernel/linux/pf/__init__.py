"""pf(4) on Linux: rulesets compiled to one nftables table for each vnet, states kept in the connection tracking.

`compile.py` turns a PfSetup into what `nft.py` has nft(8) load in one transaction (`compiled.py`); `match.py`,
`limits.py` and `translation.py` are its parts; `conntrack.py` reads and deletes states, `exceeded.py` those that limits
end; `detours.py` has the routes of `route-to` and `reply-to`; `driver.py` is the PfDriver. How each part of pf is
carried out is told in docs/pf.md.
"""
