"""Scripts as vjail's shell runs them, beside what this machine's sh (an Almquist shell, as FreeBSD's) makes of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjail.command.sh import NotModelled, Shell, Streams
from vjail.command.sh.world import Captured
from vjail.kernel.linux.files import RootedFiles
from vjail.session import Files

ASH = shutil.which("dash")


class World:
    """Files below a folder, and one program, `args`, which shows its words and a variable."""

    def __init__(self, root: Path) -> None:
        self._fd = os.open(root, os.O_PATH)
        self._files = RootedFiles(self._fd)

    @property
    def files(self) -> Files:
        return self._files

    async def run(self, argv: Sequence[str], environ: Mapping[str, str], cwd: str, streams: Streams) -> int | None:
        if argv[0] != "args":
            return None
        streams.out("".join(f"<{word}>" for word in argv[1:]) + f"{environ.get('SEEN', '')}\n")
        return 0

    def close(self) -> None:
        os.close(self._fd)


def ours(root: Path, script: str, *positional: str) -> tuple[str, int]:
    """Standard output and exit code."""
    out = Captured()
    world = World(root)
    try:
        shell = Shell(world, {"PATH": "/bin", "HOME": "/root"}, positional=positional)
        code = asyncio.run(shell.run(script, Streams(out.take, lambda _: None)))
    finally:
        world.close()
    return out.text, code


_ARGS = """args() { for _w in "$@"; do printf '<%s>' "$_w"; done; sh -c 'printf "%s\\n" "$SEEN"'; }
"""


def theirs(root: Path, script: str, *positional: str) -> tuple[str, int]:
    """The same of this machine's ash."""
    assert ASH is not None
    done = subprocess.run(
        [ASH, "-c", _ARGS + script, "sh", *positional],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": "/root"},
        capture_output=True,
        text=True,
    )
    return done.stdout, done.returncode


SCRIPTS = [
    "echo a b; echo 'a  b' \"c  d\"",
    "x=5; echo $x ${x} \"$x\" '$x'",
    "e=epair0a; args ifconfig ${e%a}b vnet j; args ${e#epair} ${e%%a*} ${e##*r}",
    "e=$(echo epair3a); args ${e%a}b",
    "e=`echo epair3a`; args ${e}",
    "false && echo no || echo yes; true && echo both; false || false; echo $?",
    "! false; echo $?; ! true; echo $?",
    "for i in 1 2 3; do echo $i; done",
    "for i in 1 2 3 4; do [ $i -eq 2 ] && continue; [ $i -eq 4 ] && break; echo $i; done; echo $?",
    "i=0; while [ $i -lt 3 ]; do echo $i; i=$((i + 1)); done",
    "i=0; until [ $i -ge 2 ]; do i=$((i+1)); done; echo $i",
    "if [ -d etc ]; then echo dir; elif [ -f etc ]; then echo file; else echo none; fi",
    "if false; then :; fi; echo $?",
    "case em0.100 in em*.*) echo vlan;; em*) echo em;; *) echo other;; esac",
    "case x in a|x) echo ax;; esac; case 'a*b' in 'a*b') echo quoted;; esac; case aXb in 'a*b') echo no;; esac",
    "f() { echo $# $1 \"$@\"; return 3; }; f a 'b c'; echo $?",
    "f() { local v=in; echo $v; }; v=out; f; echo $v",
    "x='a b  c'; args $x; args \"$x\"; args pre$x",
    'x=; args $x; args "$x"; args a${x}b',
    'args ${u:-default} ${u-d e} "${u:-q r}" ${u:+no}; u=v; args ${u:+yes} ${u+set}',
    "args ${n:=5}; args $n",
    "args ${#x}; x=hello; args ${#x}",
    "echo $((2 + 3 * 4)) $((7 / 2)) $((-7 / 2)) $((7 % 3)) $(((1 << 4) | 1)) $((3 > 2)) $((1 ? 5 : 6))",
    "x=3; echo $((x * x)) $(( $x + 1 )); echo $((y = 4)); echo $y; echo $((0x10)) $((010))",
    "echo one > f; echo two >> f; cat f; cat < f | wc -l | tr -d ' '",
    "echo err 1>&2; echo out 2>/dev/null; { echo grouped; echo more; } > g; cat g",
    "cat <<X\na $HOME\nX\ncat <<'Y'\na $HOME\nY",
    "cat <<-X\n\ta\n\t\tb\n\tX",
    "(cd etc; pwd > /dev/null; x=1); echo ${x-unset}",
    "echo a b c | while read x y; do echo $y $x; done",
    "printf '%s-%s\\n' a b c; printf '%03d|%x|%%\\n' 7 255",
    "set -- a b c; echo $# $2; shift; echo $1 $#; for i; do echo $i; done",
    "set -e; false || true; echo on; false; echo never",
    "set -e; if false; then :; fi; ! true; echo on; (exit 3); echo never",
    "echo a; exit 4; echo b",
    "(exit 7); echo $?",
    "true & echo $?; wait",
    "echo etc/*; echo 'etc/*' \"etc/*\"; echo nothing*; x='et*'; echo $x \"$x\"",
    "eval 'x=1; echo $x'; eval echo '\"a  b\"'",
    "SEEN=1 args a; args b; SEEN=2; args c; export SEEN; args d",
    "echo 'a:b:c' | cut -d: -f2; echo a b c | awk '{print $2}'; echo abc | sed 's/b/X/'; echo a/b | sed 's,/,.,'",
    "printf 'b\\na\\n' | sort; printf '1\\n2\\n3\\n' | head -n 2 | tail -1; printf 'x\\ny\\n' | grep -c y",
    "printf 'em0\\nem1\\n' | grep -q em1 && echo found; printf 'a\\n' | grep b || echo none",
    'IFS=:; x=a:b:c; args $x; IFS=,; set -- 1 2; echo "$*"',
    "[ a = a -a b = b ]; echo $?; [ a = b -o b = b ]; echo $?; [ ! -e x ]; echo $?; test -z ''; echo $?",
    '[ 1 -lt 2 ] && [ 2 -ge 2 ] && [ 3 -ne 4 ]; echo $?; [ "" ]; echo $?; [ x ]; echo $?',
    "basename /a/b.c .c; dirname /a/b/c; expr 3 + 4; expr 5 - 5; seq 1 3",
    "mkdir -p d/e; [ -d d/e ] && echo made; touch d/f; rm d/f; [ -f d/f ] || echo gone",
    "printf '%s\\n' \"a\\\"b\\$c\\\\d\\e\"; echo a\\ b; echo 'it'\\''s'",
    "echo ${HOME}/x ~/y; x=~; echo $x",
    'x=$(echo a; echo b); echo "$x"; echo $x; echo "$(echo \'q  r\')"',
    "f() { if [ $1 -gt 0 ]; then echo $1; f $(($1 - 1)); fi; }; f 3",
    "echo a |\n cat &&\n echo b # comment\necho c",
    "{ echo x; } 2>&1 | cat; if true; then echo y; fi | cat",
    "x=1; { x=2; }; echo $x; (x=3); echo $x; echo 4 | read x; echo $x",
    ". ./lib; hello",
    "sh -c 'echo $0 $1' name arg; sh -c 'exit 5'; echo $?",
    "command -v nothing || echo none; x='*'; case $x in '*') echo star;; esac",
    "unset x; echo ${x-gone}; readonly r=1; echo $r",
    'for f in etc/*; do [ -e "$f" ] || continue; echo ${f##*/}; done',
    "tail -n +2 lib; sed -n 1p lib; cat lib | tr a-z A-Z",
    'a=\'x y\'; b=$a; echo "$b"; c=pre"$a"post; echo "$c"',
    'x=abc; echo ${x%?} ${x#?} ${x%%[bc]*} ${x%"c"}',
    'echo "${x:-"in quotes"}" ${x:-\'single  kept\'}',
    "while :; do break; done; echo $?; for x in; do echo no; done; echo $?",
    'echo $1 $2 "$*"; set --; echo $#; args "$@"; args x"$@"y',
    'if ! [ -e nothing ]; then echo absent; fi; [ -n "$(cat lib)" ] && echo text',
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    return tmp_path


def fill(folder: Path) -> None:
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "one").write_text("1\n")
    (folder / "etc" / "two").write_text("2\n")
    (folder / "lib").write_text("hello() { echo hi; }\nx=1\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_as_ash_runs_it(script: str, root: Path) -> None:
    if ASH is None:
        pytest.skip("needs dash, an Almquist shell to compare with")
    expected = theirs(root / "b", script, "p1", "p2")
    assert ours(root / "a", script, "p1", "p2") == expected


WORDS = st.sampled_from(
    ["$x", '"$x"', "${x%b*}", "${x#*b}", "${y:-d e}", '"${y:-d e}"', "lit", "'q q'", '"$@"', "$*", "a$x", "$x$x", '""',
     "${x:+p q}", "$(echo o p)", '"$(echo o  p)"', "$((1 + 2))", "\\$x", "et*", '"et*"']
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), st.sampled_from(["", "b", "a b c", " lead", "trail ", "a  b"]))
def test_random_words_as_ash_expands_them(tmp_path_factory: pytest.TempPathFactory, words: list[str], x: str) -> None:
    if ASH is None:
        pytest.skip("needs dash, an Almquist shell to compare with")
    root = tmp_path_factory.mktemp("root")
    fill(root)
    # dash cuts "$@"$x otherwise than IEEE 1003.1 and other shells where x holds two blanks in a row.
    joined = "".join(word for word in words if "@" not in word)
    script = f"x='{x}'; args {' '.join(words)}; args {joined}"
    assert ours(root, script, "1 2", "3") == theirs(root, script, "1 2", "3")


@pytest.mark.parametrize(
    ("script", "what", "offset"),
    [
        ("echo a; frobnicate x", "the program frobnicate", 8),
        ("echo $$", "$$: a process number", 0),
        ("x=$(echo a; date)", "the program date", 12),
        ("while true; do :; done", "a loop that does not end here", 0),
        ("a=1; awk 'BEGIN { x }'", "awk BEGIN { x }", 5),
        ("sed -i s/a/b/ f", "sed -i", 0),
        ("kill -9 1", "the shell's kill", 0),
    ],
)
def test_what_is_not_known_is_said_with_its_place(script: str, what: str, offset: int, root: Path) -> None:
    with pytest.raises(NotModelled) as caught:
        ours(root / "a", script)
    assert (caught.value.what, caught.value.offset) == (what, offset)


@pytest.mark.parametrize("script", ["if x", "echo 'a", "a ;; b", "( x", "for 1 in a; do :; done", "x | | y", "}"])
def test_no_script_at_all(script: str, root: Path) -> None:
    assert ours(root / "a", script) == ("", 2)
