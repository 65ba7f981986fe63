"""What becomes of a packet by the rule that won, and what the sender of a blocked one is told."""

from __future__ import annotations

from vjail.conf.pf.rules import Action, Answer, Keep, Rule
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.names import ANSWERED, hexadecimal

_UNREACHABLE = {
    0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable", 9: "net-prohibited",
    10: "host-prohibited", 13: "admin-prohibited",
}  # fmt: skip
_UNREACHABLE6 = {0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable"}


def effect(rule: Rule, limit: int = 0, detour: int = 0) -> str:
    """A word for what a rule does in the end; many rules do the same. Raises KernelError where Linux cannot do it.

    `limit` is the number of its limits, `detour` that of its way by route-to or reply-to, if it has some.
    """
    if rule.action is Action.PASS:
        options = "any" if rule.allow_opts else "plain"
        if rule.keep is Keep.NO:
            return f"pass_no_{options}"
        return f"pass_keep_{options}_{limit}_{detour}" if limit or detour else f"pass_keep_{options}"
    if rule.answer is Answer.DROP:
        return "drop"
    if rule.answer is Answer.RETURN_RST:
        return "reset"
    code, code6 = _UNREACHABLE.get(rule.return_icmp), _UNREACHABLE6.get(rule.return_icmp6)
    if code is None or code6 is None:
        raise KernelError(Errno.EOPNOTSUPP, "Linux does not send the ICMP code that a block rule asks for")
    word = "return" if rule.answer is Answer.RETURN else "icmp"
    return f"{word}_{rule.return_icmp}_{rule.return_icmp6}"


def answers(key: str) -> list[str]:
    """What the sender of a blocked packet is told. Nothing where it was an ICMP message, as in pf."""
    note = f"meta mark set meta mark | {hexadecimal(ANSWERED)}"
    match key.split("_"):
        case ["reset"]:
            return [f"meta l4proto 6 {note} reject with tcp reset"]
        case ["return" | "icmp" as word, code, code6]:
            reset = [f"meta l4proto 6 {note} reject with tcp reset"] if word == "return" else []
            return [
                *reset,
                f"meta nfproto ipv4 meta l4proto != 1 {note} reject with icmp type {_UNREACHABLE[int(code)]}",
                f"meta nfproto ipv6 meta l4proto != 58 {note} reject with icmpv6 type {_UNREACHABLE6[int(code6)]}",
            ]
        case _:
            return []
