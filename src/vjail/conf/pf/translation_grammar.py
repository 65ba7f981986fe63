"""nat, rdr and binat of pf.conf(5), read, checked and expanded.

Sources: natrule, binatrule, redirpool and pool_opts of sbin/pfctl/parse.y, 13.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vjail.conf.pf.expand import Lists
from vjail.conf.pf.fields import Fields
from vjail.conf.pf.hosts import Host
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.parts import FromTo
from vjail.conf.pf.rules import (
    NAT_PORTS,
    Action,
    Family,
    InterfaceAddress,
    NetAddress,
    Pool,
    PoolType,
    Rule,
    TableAddress,
)
from vjail.conf.pf.tokens import Tokens


@dataclass(slots=True)
class _Redirection:
    hosts: list[Host] = field(default_factory=list)
    ports: tuple[int, int, bool] = (0, 0, False)


class TranslationGrammar:
    """Reads one rule at a time; the first word is known to be next."""

    def __init__(self, tokens: Tokens, fields: Fields, expand: Callable[[Rule, Lists], list[Rule]]) -> None:
        self.tokens = tokens
        self.fields = fields
        self.expand = expand

    def rules(self, *, no: bool) -> list[Rule]:
        """A nat, rdr or binat rule; `no` was taken."""
        tokens = self.tokens
        word = tokens.expect("nat", "rdr", "binat")
        passes = tokens.accept("pass") is not None
        log = self.fields.log()
        if no and passes:
            tokens.fail('"pass" not valid with "no"')
        rule = Rule(Action(f"no {word}" if no else word), translation_pass=passes, log=log)
        return [self._binat(rule)] if word == "binat" else self._nat(rule)

    def _nat(self, rule: Rule) -> list[Rule]:
        tokens, fields = self.tokens, self.fields
        interfaces = fields.interfaces()
        family = fields.family()
        protocols = fields.protocols()
        sides = fields.from_to()
        fields.reached(sides.source.hosts, sides.destination.hosts)
        tag = self.fields.tag_name() if tokens.accept("tag") else ""
        tagged, tagged_not = self.fields.tagged()
        self.fields.rtable()
        redirection = self._redirection(several=True)
        kind, key, static, sticky = self._pool_options()
        for side in (sides.source, sides.destination):
            if family is None and side.hosts and not side.hosts[0].zone:
                family = side.hosts[0].family
        rule = replace(rule, family=family, tag=tag, tagged=tagged, tagged_not=tagged_not)
        if rule.action in (Action.NO_NAT, Action.NO_RDR):
            if redirection is not None:
                tokens.fail("translation rule with 'no' does not need '->'")
        else:
            if redirection is None:
                tokens.fail("translation rule requires '-> address'")
            rule = self._with_pool(rule, redirection, sides, Pool((), kind, key=key, sticky=sticky))
        return self.expand(self._static(rule, static), Lists(interfaces, protocols, None, sides))

    def _with_pool(self, rule: Rule, to: _Redirection, sides: FromTo, options: Pool) -> Rule:
        tokens, kind = self.tokens, options.type
        family = rule.family or (to.hosts[0].family if not to.hosts[0].zone else None)
        chosen = self._of_family(to.hosts, family)
        several = len(chosen) > 1 or any(map(_is_many, chosen))
        if kind is PoolType.NONE and several:
            kind = PoolType.ROUND_ROBIN
        if kind is not PoolType.ROUND_ROBIN:
            for host in chosen:
                if isinstance(host.address, TableAddress):
                    tokens.fail("tables are only supported in round-robin redirection pools")
                if _is_many(host) and isinstance(host.address, InterfaceAddress):
                    name = host.address.interface
                    tokens.fail(f"interface ({name}) is only supported in round-robin redirection pools")
            if len(chosen) > 1:
                tokens.fail("only round-robin valid for multiple redirection addresses")
        addresses, ports = tuple(host.address for host in chosen), self._pool_ports(rule, to, sides)
        pool = replace(options, addresses=addresses, type=kind, ports=ports)
        return replace(rule, family=family or chosen[0].family, pool=pool)

    def _of_family(self, found: list[Host], family: Family | None) -> list[Host]:
        chosen = [host for host in found if family is None or host.family in (None, family)]
        if not chosen:
            self.tokens.fail("no translation address with matching address family found.")
        return chosen

    def _pool_ports(self, rule: Rule, to: _Redirection, sides: FromTo) -> tuple[int, int]:
        first, last, is_range = to.ports
        if rule.action is Action.RDR:
            ports = sides.destination.ports
            if is_range and not last and ports:
                return first, first + (ports[0].second - ports[0].first)
            return first, last
        if not first and not last:
            return NAT_PORTS
        return first, last or first

    def _static(self, rule: Rule, static: bool) -> Rule:
        if not static:
            return rule
        if rule.action is not Action.NAT or rule.pool is None:
            self.tokens.fail("the 'static-port' option is only valid with nat rules")
        if rule.pool.ports[0] != NAT_PORTS[0] and rule.pool.ports[1] != NAT_PORTS[1]:
            # pfctl minds a range only that begins and ends elsewhere: `port 1024:65535 static-port` is taken.
            self.tokens.fail("the 'static-port' option can't be used when specifying a port range")
        return replace(rule, pool=replace(rule.pool, ports=(0, 0)))

    def _redirection(self, *, several: bool) -> _Redirection | None:
        tokens, fields = self.tokens, self.fields
        if not tokens.accept("->"):
            return None
        found = [host for each in fields.list_of(fields.host) for host in each] if several else fields.host()
        ports = fields.port_range(star=True) if tokens.accept("port") else (0, 0, False)
        return _Redirection(found, ports)

    def _pool_options(self) -> tuple[PoolType, str, bool, bool]:
        """How one of several addresses is chosen, the key of a hash, `static-port`, `sticky-address`."""
        tokens = self.tokens
        kind, key, static, sticky = PoolType.NONE, "", False, False
        while word := tokens.accept("bitmask", "random", "source-hash", "round-robin", "static-port", "sticky-address"):
            if word == "sticky-address":
                if sticky:
                    tokens.fail("sticky-address cannot be redefined")
                sticky = True
                continue
            if word == "static-port":
                if static:
                    tokens.fail("static-port cannot be redefined")
                static = True
                continue
            if kind is not PoolType.NONE:
                tokens.fail("pool type cannot be redefined")
            kind = PoolType(word)
            if kind is PoolType.SOURCE_HASH:
                key = self._hash_key()
        return kind, key, static, sticky

    def _hash_key(self) -> str:
        tokens = self.tokens
        if not tokens.at_kind(Kind.STRING):
            return f"0x{hashlib.md5(b'vjail').hexdigest()}"
        word = tokens.strings()
        if not word.startswith("0x"):
            return f"0x{hashlib.md5(word.encode()).hexdigest()}"
        if len(word) != 34:
            tokens.fail("hex key must be 128 bits (32 hex digits) long")
        return word

    def _binat(self, rule: Rule) -> Rule:
        tokens, fields = self.tokens, self.fields
        interfaces = fields.interfaces()
        family = fields.family()
        protocols = fields.protocols()
        tokens.expect("from")
        source = fields.host()
        destination = fields.host_list() if tokens.accept("to") else None
        fields.reached(destination)
        tag = self.fields.tag_name() if tokens.accept("tag") else ""
        tagged, tagged_not = self.fields.tagged()
        self.fields.rtable()
        redirection = self._redirection(several=False)
        for found in (source, destination, redirection.hosts if redirection else None):
            if family is None and found:
                family = found[0].family
        if family is None:
            tokens.fail("address family (inet/inet6) undefined")
        if redirection is not None and redirection.ports[0]:
            tokens.unsupported("a port in binat")
        self._check_binat_side(source, "source")
        if redirection is not None:
            self._check_binat_side(redirection.hosts, "redirect")
        for found in (source, destination):
            if found and len(found) > 1:
                tokens.fail("multiple binat ip addresses")
            if found and found[0].family not in (None, family):
                tokens.fail("binat ip versions must match")
        rule = replace(
            rule,
            family=family,
            interface=interfaces[0].name if interfaces else "",
            interface_not=interfaces[0].negated if interfaces else False,
            proto=protocols[0] if protocols else None,
            source=replace(rule.source, address=source[0].address),
            tag=tag,
            tagged=tagged,
            tagged_not=tagged_not,
        )
        if destination:
            peer = replace(rule.destination, address=destination[0].address, negated=destination[0].negated)
            rule = replace(rule, destination=peer)
        if rule.action is Action.NO_BINAT:
            if redirection is not None:
                tokens.fail("'no binat' rule does not need '->'")
            return rule
        if redirection is None:
            tokens.fail("'binat' rule requires '-> address'")
        chosen = self._of_family(redirection.hosts, family)
        if len(chosen) > 1:
            tokens.fail("binat rule must redirect to a single address")
        if _mask(source[0]) != _mask(chosen[0]):
            tokens.fail("'binat' source mask and redirect mask must be the same")
        return replace(rule, pool=Pool((chosen[0].address,)))

    def _check_binat_side(self, found: list[Host], side: str) -> None:
        """Neither a table nor an interface with all its addresses can be one side of a binat."""
        for host in found:
            if isinstance(host.address, TableAddress):
                name = host.address.table
                self.tokens.fail(f"invalid use of table <{name}> as the {side} address of a binat rule")
            if isinstance(host.address, InterfaceAddress) and _is_many(host):
                name = host.address.interface
                self.tokens.fail(f"invalid use of interface ({name}) as the {side} address of a binat rule")


def _is_many(host: Host) -> bool:
    """Whether it stands for several addresses: a table, or an interface without `:0` or a group."""
    match host.address:
        case TableAddress():
            return True
        case InterfaceAddress(name, _, first_only, _):
            return not (first_only and name[-1:].isdigit())
        case _:
            return False


def _mask(host: Host) -> int:
    match host.address:
        case NetAddress(network):
            return network.max_prefixlen - network.prefixlen
        case _:
            return 0
