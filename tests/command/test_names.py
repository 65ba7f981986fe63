import socket
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.command.names import Family, Resolved, inet_aton, inet_pton, name_of, numeric, resolve
from vjail.kernel.errno import Errno, KernelError
from vjail.session import Files

HOSTS = b"""\
# as FreeBSD ships it
::1\t\t\tlocalhost localhost.my.domain
127.0.0.1\t\tlocalhost localhost.my.domain
10.0.0.1\tweb.example web   # the first jail
10.0.0.2\tweb.example
fe80::1%lo0 link
bad-line
not.an.address name
010.1 octal
"""


class OneFile:
    """Files with /etc/hosts alone, or nothing."""

    def __init__(self, hosts: bytes | None) -> None:
        self._hosts = hosts

    def read(self, path: str) -> bytes:
        if path != "/etc/hosts" or self._hosts is None:
            raise KernelError(Errno.ENOENT)
        return self._hosts


FILES = cast(Files, OneFile(HOSTS))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("10.258", "10.0.1.2"),
        ("1.2.259", "1.2.1.3"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0x7F000001", "127.0.0.1"),
        ("010.0.0.010", "8.0.0.8"),
        ("0", "0.0.0.0"),
        ("1.2.3.256", None),
        ("1.2.65536", None),
        ("4294967296", None),
        ("1.2.3.4.5", None),
        ("256.1", None),
        ("1..2", None),
        ("08.1.1.1", None),
        ("1.2.3.4 ", None),
        ("0x", None),
        ("", None),
        ("a.b", None),
    ],
)
def test_inet_aton(text: str, address: str | None) -> None:
    assert inet_aton(text) == (None if address is None else IPv4Address(address))


@given(st.lists(st.integers(0, 300).map(str), min_size=1, max_size=5).map(".".join))
def test_inet_aton_is_libcs_for_decimal_parts(text: str) -> None:
    try:
        expected = IPv4Address(socket.inet_aton(text))
    except OSError:
        expected = None
    assert inet_aton(text) == expected


@given(st.ip_addresses())
def test_every_address_is_numeric(address: IPv4Address | IPv6Address) -> None:
    assert inet_pton(str(address)) == address
    assert numeric(str(address)) == Resolved(address, None, str(address))


@pytest.mark.parametrize("text", ["127.1", "1.2.3", "010.0.0.1", "::1%lo0", "host", "", "1.2.3.4.5"])
def test_inet_pton_takes_the_plain_form_only(text: str) -> None:
    assert inet_pton(text) is None


def test_numeric_with_a_zone() -> None:
    assert numeric("fe80::1%em0") == Resolved(IPv6Address("fe80::1"), "em0", "fe80::1%em0")
    assert numeric("fe80::1%") is None
    assert numeric("10.0.0.1%em0") is None


@pytest.mark.parametrize(
    ("name", "family", "found"),
    [
        ("localhost", None, [("::1", None, "localhost"), ("127.0.0.1", None, "localhost")]),
        ("localhost", Family.INET, [("127.0.0.1", None, "localhost")]),
        ("LocalHost.My.Domain.", Family.INET6, [("::1", None, "localhost")]),
        ("web", None, [("10.0.0.1", None, "web.example")]),
        ("web.example", None, [("10.0.0.1", None, "web.example"), ("10.0.0.2", None, "web.example")]),
        ("link", None, [("fe80::1", "lo0", "link")]),
        ("octal", None, [("8.0.0.1", None, "octal")]),
        ("the", None, []),
        ("bad-line", None, []),
        ("name", None, []),
        ("nowhere", None, []),
        ("10.1", None, [("10.0.0.1", None, "10.1")]),
        ("10.1", Family.INET6, []),
        ("::2", Family.INET, []),
    ],
)
def test_resolve(name: str, family: Family | None, found: list[tuple[str, str | None, str]]) -> None:
    assert [(str(each.address), each.zone, each.canonical) for each in resolve(FILES, name, family)] == found


def test_without_a_hosts_file_only_numbers_resolve() -> None:
    files = cast(Files, OneFile(None))
    assert resolve(files, "localhost") == []
    assert [each.canonical for each in resolve(files, "127.0.0.1")] == ["127.0.0.1"]
    assert name_of(files, IPv4Address("127.0.0.1")) is None


def test_name_of_an_address_is_the_first_of_its_line() -> None:
    assert name_of(FILES, IPv4Address("10.0.0.1")) == "web.example"
    assert name_of(FILES, IPv6Address("::1")) == "localhost"
    assert name_of(FILES, IPv4Address("10.0.0.3")) is None
