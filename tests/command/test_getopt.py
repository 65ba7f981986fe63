import pytest

from vjail.command.getopt import BadOption, Getopt, Option

ILLEGAL = "illegal option -- "
MISSING = "option requires an argument -- "


@pytest.mark.parametrize(
    ("words", "expected", "operands"),
    [
        ([], [], []),
        (["x"], [], ["x"]),
        (["-a", "-b", "1", "x", "-a"], [Option("a"), Option("b", "1")], ["x", "-a"]),
        (["-ab1", "x"], [Option("a"), Option("b", "1")], ["x"]),
        (["-b", "-a"], [Option("b", "-a")], []),
        (["-a", "--", "-a"], [Option("a")], ["-a"]),
        (["-", "-a"], [], ["-", "-a"]),
        (["-c", "x"], [Option("c")], ["x"]),
        (["-acx"], [Option("a"), Option("c", "x")], []),
        (["-az", "x"], [Option("a"), BadOption(ILLEGAL + "z")], ["x"]),
        (["-zb", "x"], [BadOption(ILLEGAL + "z"), Option("b", "x")], []),
        (["-a:"], [Option("a"), BadOption(ILLEGAL + ":")], []),
        (["--a"], [BadOption(ILLEGAL + "-"), Option("a")], []),
        (["-ab"], [Option("a"), BadOption(MISSING + "b")], []),
    ],
)
def test_getopt(words: list[str], expected: list[Option | BadOption], operands: list[str]) -> None:
    walk = Getopt(words, "ab:c::")
    assert list(walk) == expected
    assert list(walk.operands) == operands
