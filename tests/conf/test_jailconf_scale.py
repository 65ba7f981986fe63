"""Large and hostile files: twice the size takes about twice the time, and nothing takes all memory."""

from __future__ import annotations

import time

import pytest

from vjail.conf.jailconf import Kind, NoFiles, load
from vjail.conf.position import Source
from vjail.release import Release

_JAIL = """
jail_{0} {{
    $id = "{0}";
    vnet.interface = "epair${{id}}b";
    exec.prestart = "ifconfig epair${{id}} create up", "ifconfig bridge1 addm epair${{id}}a";
    exec.start += "ifconfig epair${{id}}b inet 10.0.0.1/24 up";
    exec.poststop = "ifconfig epair${{id}}a destroy";
    securelevel = 2;
}}
"""


def _jails(count: int) -> str:
    return "path = /j/$name; exec.start = /etc/rc;\n" + "".join(_JAIL.format(index) for index in range(count))


def _chain(count: int) -> str:
    return "foo {" + "".join(f"$v{index} = $v{index + 1};" for index in range(count)) + f"$v{count} = 1; }}"


FILES = {
    "jails": _jails,
    "wildcards": lambda count: "".join(f'"w{index}.*" {{ a; }} w{index}.x {{ }}\n' for index in range(count)),
    "appended": lambda count: "foo {" + "a += 1;" * count + "}",
    "chain of variables": _chain,
    "loop of variables": lambda count: "$v0 = $v1;" + _chain(count).replace(" = 1;", " = $v0;"),
    "variables in one string": lambda count: '$x = 1; foo { a = "' + "$x y" * count + '"; }',
    "unknown variables": lambda count: "foo {" + "".join(f"a{index} = $n{index};" for index in range(count)) + "}",
    "syntax errors": lambda count: "# c\na b# c\nc;\n" * count,
    "open variables": lambda count: 'a = "' + "${" * count + '";',
    "open strings": lambda count: '"\\\n' * count,
    "escaped quotes": lambda count: 'a = "' + '\\"' * count + ";",
    "open braces": lambda count: "a {" * count,
    "odd strings": lambda count: '"${\\"' * count,
}


def _seconds(text: str) -> float:
    source = Source.of_text("f", text)
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        load(source, Release.V15, NoFiles())
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("name", FILES)
def test_time_grows_with_the_size(name: str) -> None:
    write = FILES[name]
    small, large = _seconds(write(100)), _seconds(write(800))
    # Eight times the size; a quadratic step would make it 64 times the time.
    assert large < 30 * max(small, 0.002)


def test_text_that_doubles_in_each_line_is_cut_off() -> None:
    doubling = "".join(f'$a{index + 1} = "$a{index}$a{index}";' for index in range(100))
    text = f"$a0 = x; {doubling} foo {{ b = $a100; c = 1; }}"
    configuration = load(Source.of_text("f", text), Release.V13, NoFiles())
    (jail,) = configuration.jails
    assert jail.failed
    assert jail.texts("b") == ("",)
    assert jail.texts("c") == ("1",)
    assert [message.kind for message in configuration.messages] == [Kind.TOO_LARGE]


def test_lists_that_double_in_each_line_are_cut_off() -> None:
    doubling = "".join(f"$a{index + 1} = $a{index}, $a{index};" for index in range(100))
    text = f"$a0 = x; {doubling} foo {{ b = $a100; }}"
    configuration = load(Source.of_text("f", text), Release.V13, NoFiles())
    assert configuration.jails[0].failed
    assert Kind.TOO_LARGE in {message.kind for message in configuration.messages}
