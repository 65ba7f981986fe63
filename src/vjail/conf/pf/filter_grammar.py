"""pass, block, scrub and antispoof of pf.conf(5), read, checked and expanded.

Sources: pfrule, scrubrule, antispoof and filter_opts of sbin/pfctl/parse.y, 13.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vjail.conf.pf.expand import Lists, expand
from vjail.conf.pf.fields import Fields
from vjail.conf.pf.hosts import Host, Surroundings, interface_hosts
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.parts import FromTo, IcmpItem, Interface, PeerList
from vjail.conf.pf.rules import (
    Action,
    Answer,
    Detour,
    Direction,
    Family,
    InterfaceAddress,
    Keep,
    NetAddress,
    Part,
    Rule,
    StateOptions,
    TcpFlags,
    Turn,
)
from vjail.conf.pf.state_grammar import StateGrammar
from vjail.conf.pf.tokens import Tokens
from vjail.conf.pf.words import TCP, icmp_code

_SYN, _SYN_ACK = 0x02, 0x12
_UNREACH, _UNREACH6 = 3, 1


@dataclass(slots=True)
class FilterOptions:
    """What may follow `from … to …` in a filter or anchor rule."""

    flags_given: bool = False
    flags: TcpFlags | None = None
    icmp: list[IcmpItem] | None = None
    tos: int | None = None
    keep: Keep | None = None
    state_options: StateOptions = StateOptions()
    allow_opts: bool = False
    label: str = ""
    tag: str = ""
    tagged: str = ""
    tagged_not: bool = False
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class _Turned:
    """Another way as it is written: what `gateways` are, the family of the rule decides."""

    turn: Turn
    interface: str
    gateways: list[Host]


class FilterGrammar:
    """Reads one rule at a time; the first word is known to be next."""

    def __init__(self, tokens: Tokens, fields: Fields, around: Surroundings) -> None:
        self.tokens = tokens
        self.fields = fields
        self.around = around
        self.block_policy = Answer.DROP

    def expand(self, rule: Rule, lists: Lists) -> list[Rule]:
        """The rules that a rule with lists stands for."""
        names = {number: name for name, number in self.around.protocols.items()}
        return expand(rule, lists, self.tokens.complain, lambda number: names.get(number, str(number)))

    # --- pass, block ---

    def filter(self) -> list[Rule]:
        """A pass or block rule."""
        tokens, fields = self.tokens, self.fields
        action = Action(tokens.expect("pass", "block"))
        rule = Rule(action)
        if action is Action.BLOCK:
            rule = self._block(rule)
        rule = replace(rule, direction=fields.direction())
        log, quick = self.fields.log_quick()
        interfaces = fields.interfaces()
        turned = self._detour(rule)
        family = fields.family()
        protocols = fields.protocols()
        sides = fields.from_to()
        if rule.direction is Direction.OUT:
            fields.reached(sides.source.hosts)
        options = self.filter_options()
        self.check_flags(options, protocols)
        keep = options.keep if options.keep is not None else Keep.STATE if action is Action.PASS else Keep.NO
        if turned is not None and keep is Keep.NO:
            tokens.unsupported(f"{turned.turn.value} without a state")
        flags = options.flags
        if action is Action.PASS and keep is not Keep.NO and not options.flags_given:
            flags = TcpFlags(_SYN, _SYN_ACK)
        family = decided(decided(family, sides.source.hosts), sides.destination.hosts)
        if turned is not None:
            family = decided(family, turned.gateways)
            rule = replace(rule, detour=self._chosen(turned, family))
        rule = replace(
            self.with_options(rule, options),
            quick=quick,
            log=log,
            family=family,
            tcp_flags=flags,
            keep=keep,
            state_options=options.state_options,
            allow_opts=options.allow_opts,
        )
        return self.expand(rule, Lists(interfaces, protocols, options.icmp, sides))

    def _detour(self, rule: Rule) -> _Turned | None:
        """`route-to (INTERFACE GATEWAY)`, `reply-to …`, or nothing."""
        tokens, fields = self.tokens, self.fields
        if tokens.at("dup-to", "fastroute"):
            tokens.unsupported(tokens.take().text)
        word = tokens.accept("route-to", "reply-to")
        if word is None:
            return None
        if not tokens.accept("("):
            tokens.unsupported(f"{word} without a gateway, or with several,")
        interface = fields.interface().name
        gateways = fields.host()
        tokens.expect(")")
        if tokens.at("round-robin", "random", "source-hash", "bitmask", "sticky-address"):
            tokens.unsupported(f"{word} with {tokens.take().text}")
        if rule.direction is None:
            tokens.fail("direction must be explicit with rules that specify routing")
        if rule.direction is Direction.OUT or rule.action is not Action.PASS:
            tokens.unsupported(f"{word} in a rule other than `pass in`")
        return _Turned(Turn(word), interface, gateways)

    def _chosen(self, turned: _Turned, family: Family | None) -> Detour:
        """The way by the one gateway that is of the rule's family."""
        tokens, word = self.tokens, turned.turn.value
        found = [each for each in turned.gateways if family is None or each.family in (None, family)]
        if not found:
            tokens.fail("no routing address with matching address family found.")
        if len(found) > 1:
            tokens.unsupported(f"{word} with several gateways")
        address = found[0].address
        if not isinstance(address, NetAddress) or address.network.num_addresses > 1:
            tokens.unsupported(f"{word} with a gateway that is not an address")
        return Detour(turned.turn, turned.interface, address.network.network_address)

    def _block(self, rule: Rule) -> Rule:
        tokens = self.tokens
        match tokens.accept("drop", "return", "return-rst", "return-icmp", "return-icmp6"):
            case None:
                return replace(rule, answer=self.block_policy)
            case "return-rst":
                if tokens.at("("):
                    tokens.unsupported("return-rst(ttl …)")
                return replace(rule, answer=Answer.RETURN_RST)
            case "return-icmp" | "return-icmp6" as word:
                return self._return_icmp(replace(rule, answer=Answer.RETURN_ICMP), word)
            case word:
                return replace(rule, answer=Answer(word))

    def _return_icmp(self, rule: Rule, word: str) -> Rule:
        tokens = self.tokens
        if not tokens.accept("("):
            return rule
        if word == "return-icmp6":
            rule = replace(rule, return_icmp6=self._unreachable(Family.INET6))
        else:
            rule = replace(rule, return_icmp=self._unreachable(Family.INET))
            tokens.accept(",")
            if not tokens.at(")"):
                rule = replace(rule, return_icmp6=self._unreachable(Family.INET6))
        tokens.expect(")")
        return rule

    def _unreachable(self, family: Family) -> int:
        tokens = self.tokens
        if tokens.at_kind(Kind.NUMBER):
            number = tokens.number()
            if not 0 <= number <= 255:
                tokens.fail(f"invalid icmp code {number}")
            return number
        word = tokens.string()
        code = icmp_code(word, _UNREACH6 if family is Family.INET6 else _UNREACH, family)
        if code is None:
            tokens.fail(f"unknown icmp code {word}")
        return code

    def filter_options(self) -> FilterOptions:
        """Options in any order."""
        options = FilterOptions()
        while self._filter_option(options):
            pass
        return options

    def _filter_option(self, options: FilterOptions) -> bool:
        tokens, fields = self.tokens, self.fields
        if not tokens.at_kind(Kind.KEYWORD, Kind.MARK):
            return False
        match tokens.peek.text:
            case "flags":
                tokens.take()
                if options.flags_given:
                    tokens.fail("flags cannot be redefined")
                options.flags_given, options.flags = True, fields.tcp_flags()
            case "icmp-type" | "icmp6-type" as word:
                tokens.take()
                if options.icmp is not None:
                    tokens.fail("icmp-type cannot be redefined")
                options.icmp = fields.icmp_items(Family.INET6 if word == "icmp6-type" else Family.INET)
            case "tos":
                tokens.take()
                options.tos = fields.tos()
            case "no" | "keep" | "modulate" | "synproxy":
                self._keep(options)
            case "allow-opts":
                tokens.take()
                options.allow_opts = True
            case "label":
                tokens.take()
                if options.label:
                    tokens.fail("label cannot be redefined")
                options.label = tokens.string()
                if len(options.label) > 63:
                    tokens.fail("rule label too long (max 63 chars)")
            case "tag":
                tokens.take()
                options.tag = self.fields.tag_name()
            case "!" | "tagged":
                options.tagged, options.tagged_not = self.fields.tagged()
            case "probability":
                tokens.take()
                options.probability = self._probability()
            case "rtable":
                self.fields.rtable()
            case "user" | "group" | "fragment" | "queue" | "divert-to" | "divert-reply" | "prio" | "set" as word:
                tokens.unsupported(word)
            case _:
                return False
        return True

    def _keep(self, options: FilterOptions) -> None:
        tokens = self.tokens
        word = tokens.take().text
        tokens.expect("state")
        if options.keep is not None:
            tokens.fail("modulate or keep cannot be redefined")
        if word == "synproxy":
            tokens.unsupported("synproxy state")
        options.keep = {"no": Keep.NO, "keep": Keep.STATE, "modulate": Keep.MODULATE}[word]
        if word != "no" and tokens.accept("("):
            options.state_options = StateGrammar(tokens).read()

    def _probability(self) -> float:
        tokens = self.tokens
        if not tokens.at_kind(Kind.NUMBER, Kind.STRING):
            tokens.syntax_error()
        word = tokens.take().text
        try:
            value = float(word.removesuffix("%")) * (0.01 if word.endswith("%") else 1)
        except ValueError:
            tokens.fail(f"invalid probability: {word}")
        if not 0 <= value <= 1:
            tokens.fail(f"invalid probability: {value * 0xFFFFFFFF:f}")
        return max(value, 1 / 0xFFFFFFFF)

    def with_options(self, rule: Rule, options: FilterOptions) -> Rule:
        """The rule with what filter and anchor rules have in common."""
        return replace(
            rule,
            tos=options.tos,
            label=options.label,
            tag=options.tag,
            tagged=options.tagged,
            tagged_not=options.tagged_not,
            probability=options.probability,
        )

    def check_flags(self, options: FilterOptions, protocols: list[int] | None) -> None:
        """Flags must be able to match, and belong to TCP."""
        if options.flags is None:
            return
        if options.flags.set & ~options.flags.of:
            self.tokens.fail("flags always false")
        if protocols is not None and TCP not in protocols:
            self.tokens.fail("flags only apply to tcp")

    # --- scrub, antispoof ---

    def scrub(self, *, no: bool) -> list[Rule]:
        """A scrub rule; `no` was taken. What of its options is not there is an error."""
        tokens, fields = self.tokens, self.fields
        tokens.expect("scrub")
        direction = fields.direction()
        log, quick = self.fields.log_quick()
        interfaces = fields.interfaces()
        family = fields.family()
        protocols = fields.protocols()
        sides = fields.from_to()
        fields.reached(sides.source.hosts, sides.destination.hosts)
        rule = Rule(Action.NO_SCRUB if no else Action.SCRUB, direction, log=log, family=family)
        while True:
            match tokens.accept("no-df", "min-ttl", "max-mss", "set-tos", "fragment", "reassemble", "random-id"):
                case None:
                    break
                case "fragment":
                    tokens.expect("reassemble")
                case "no-df":
                    rule = replace(rule, no_df=True)
                case "random-id":
                    rule = replace(rule, random_id=True)
                case "min-ttl":
                    rule = replace(rule, min_ttl=self._scrub_number("min-ttl", 255))
                case "max-mss":
                    rule = replace(rule, max_mss=self._scrub_number("max-mss", 65535))
                case word:
                    tokens.unsupported(f"scrub's {word}")
        self.fields.rtable()
        tagged, tagged_not = self.fields.tagged()
        if quick:
            tokens.fail("scrub rules do not support 'quick'")
        rule = replace(rule, tagged=tagged, tagged_not=tagged_not)
        return self.expand(rule, Lists(interfaces, protocols, None, sides))

    def _scrub_number(self, what: str, most: int) -> int:
        number = self.tokens.number()
        if not 0 <= number <= most:
            self.tokens.fail(f"illegal {what} value {number}")
        return number

    def antispoof(self) -> list[Rule]:
        """`antispoof for …`: what comes in elsewhere from an interface's network, and what claims its own address."""
        tokens, fields = self.tokens, self.fields
        tokens.expect("antispoof")
        log, quick = self.fields.log_quick()
        tokens.expect("for")
        chosen = fields.list_of(self._antispoof_interface)
        family = fields.family()
        label = tokens.string() if tokens.accept("label") else ""
        self.fields.rtable()
        made: list[Rule] = []
        for name, dynamic in chosen:
            base = Rule(Action.BLOCK, Direction.IN, quick=quick, log=log, family=family, label=label)
            network, own = InterfaceAddress(name, Part.NETWORK), InterfaceAddress(name)
            elsewhere = [Interface(name, negated=True)]
            networks = [Host(network)] if dynamic else interface_hosts(network, self.around)
            if networks:
                made += self.expand(base, Lists(elsewhere, None, None, FromTo(PeerList(networks))))
            if not any(each.name == name and each.loopback for each in self.around.interfaces):
                addresses = [Host(own)] if dynamic else interface_hosts(own, self.around)
                if addresses:
                    made += self.expand(base, Lists(None, None, None, FromTo(PeerList(addresses))))
        return made

    def _antispoof_interface(self) -> tuple[str, bool]:
        if self.tokens.accept("("):
            name = self.fields.interface().name
            self.tokens.expect(")")
            return name, True
        return self.fields.interface().name, False


def decided(family: Family | None, found: list[Host] | None) -> Family | None:
    """A family, or where there is none that of all hosts in a list."""
    if family is not None or not found:
        return family
    families = {host.family for host in found}
    return next(iter(families)) if len(families) == 1 else None
