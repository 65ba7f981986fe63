"""Running nft(8) in a vnet, and telling why it did not do what it was asked.

nft is the only program of the machine that vjail needs, and only for pf.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.vnets import VnetSpaces

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
_PATIENCE = 60
"""Seconds."""
MISSING = "nft is not on this machine, and pf needs it: apt install nftables"

_FEATURES = (
    ("nf_tables (CONFIG_NF_TABLES_INET)", "", ""),
    ("nft_ct (CONFIG_NFT_CT)", "type filter hook prerouting priority 0", "ct mark 1"),
    ("nft_chain_nat (CONFIG_NFT_NAT)", "type nat hook postrouting priority 100", "snat ip to 192.0.2.1"),
    ("nft_reject_inet (CONFIG_NFT_REJECT)", "type filter hook forward priority 0", "reject with tcp reset"),
    ("nft_numgen (CONFIG_NFT_NUMGEN)", "type filter hook forward priority 0", "numgen random mod 2 < 1"),
    ("nft_hash (CONFIG_NFT_HASH)", "type filter hook forward priority 0", "jhash ip saddr mod 2 1"),
    ("nft_fib_inet (CONFIG_NFT_FIB_INET)", "type filter hook prerouting priority 0", "fib saddr oif missing"),
    (
        "labels of connections (CONFIG_NF_CONNTRACK_LABELS; for route-to, reply-to)",
        "type filter hook prerouting priority 0",
        "ct label set 1",
    ),
    (
        "nft_connlimit (CONFIG_NFT_CONNLIMIT; for max, max-src-nodes, max-src-states, max-src-conn)",
        "type filter hook prerouting priority 0",
        "ct count over 1",
    ),
    (
        "nft_limit (CONFIG_NFT_LIMIT; for max-src-conn-rate)",
        "type filter hook prerouting priority 0",
        "limit rate over 1/second",
    ),
    (
        "nft_log or nfnetlink_log (CONFIG_NFT_LOG, CONFIG_NETFILTER_NETLINK_LOG; for max-src-conn, max-src-conn-rate)",
        "type filter hook prerouting priority 0",
        "log group 1",
    ),
)
"""What pf may need of the kernel: its name, a hook, and a rule that needs it. Of what few need, what needs it too."""


class Nft:
    """nft(8), run in the vnets of a host."""

    def __init__(self, vnets: VnetSpaces) -> None:
        self._vnets = vnets

    def load(self, vnet: int, text: str) -> None:
        """Carry out a text in one transaction. Raises KernelError with a message where it cannot be."""
        self._succeed(vnet, text)

    def check(self, vnet: int, text: str) -> None:
        """Raise KernelError where `load` would."""
        self._succeed(vnet, text, "--check")

    def _succeed(self, vnet: int, text: str, *options: str) -> None:
        error = self._run(vnet, text, *options)
        if error is not None:
            raise KernelError(Errno.EOPNOTSUPP, self._reason(vnet, error))

    def _run(self, vnet: int, text: str, *options: str) -> str | None:
        """What nft says where it fails, None where all is well."""
        program = shutil.which("nft", path=_PATH)
        if program is None:
            raise KernelError(Errno.ENOENT, MISSING)
        try:
            done = self._vnets.run(vnet, [program, *options, "-f", "-"], text, _PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KernelError(Errno.EIO, f"nft: {error}") from None
        return None if done.returncode == 0 else done.stderr

    def _reason(self, vnet: int, error: str) -> str:
        """Which feature of the kernel is missing, or else what nft says."""
        missing = [name for name, hook, rule in _FEATURES if self._run(vnet, _trial(hook, rule), "--check") is not None]
        if missing:
            return f"this machine's kernel has no {', '.join(missing)}"
        said = next((text for text in error.splitlines() if "Error:" in text), error.strip())
        return f"nft: {re.sub(r'^[^ ]*: Error: ', '', said)}"


def _trial(hook: str, rule: str) -> str:
    chain = f"\tchain c {{\n\t\t{hook};\n\t\t{rule}\n\t}}\n" if hook else ""
    return f"table inet vjail_trial {{\n{chain}}}\n"
