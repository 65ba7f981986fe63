"""`.include`: which files are read, what becomes of their contents, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.conf.jailconf import Configuration, FileSystem, Kind, load
from vjail.conf.position import Source
from vjail.release import Release


class _Files:
    """A reader of a few files; remembers what was read."""

    def __init__(self, **files: str) -> None:
        self.files = {name.replace("__", "/").replace("_conf", ".conf"): text for name, text in files.items()}
        self.was_read: list[str] = []

    def read(self, path: str) -> bytes:
        self.was_read.append(path)
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path].encode()

    def glob(self, pattern: str) -> list[str]:
        if pattern.startswith("/bad"):
            raise PermissionError(13, "Permission denied")
        head, _, tail = pattern.partition("*")
        return sorted(name for name in self.files if name.startswith(head) and name.endswith(tail))


def _shown(configuration: Configuration) -> list[str]:
    return [
        f"{jail.block}: " + " ".join(f"{parameter.name}={','.join(parameter.texts)}" for parameter in jail.parameters)
        for jail in configuration.jails
    ]


def _said(configuration: Configuration) -> list[str]:
    return [message.line for message in configuration.messages]


@pytest.mark.parametrize("release", [Release.V12, Release.V13])
def test_it_is_a_plain_parameter_before_14(release: Release) -> None:
    files = _Files()
    configuration = load(Source("f", b'.include "x"; foo { }'), release, files)
    assert _shown(configuration) == ["foo: name=foo .include=x"]
    assert not files.was_read


@pytest.mark.parametrize("release", [Release.V14, Release.V15, Release.V16])
@pytest.mark.parametrize("statement", [".include = 'x'", ".include += 'x'", ".include", "${.include} 'x'"])
def test_only_the_form_without_operator_includes(release: Release, statement: str) -> None:
    files = _Files()
    load(Source.of_text("f", f"{statement}; foo {{ }}"), release, files)
    assert not files.was_read


def test_paths_are_relative_to_the_including_file() -> None:
    files = _Files(etc__a_conf='.include "d/b.conf"; .include "/x.conf";', etc__d__b_conf=".include 'c.conf';")
    files.files |= {"etc/d/c.conf": "c { }", "/x.conf": "x { }", "etc/a.conf": files.files["etc/a.conf"]}
    configuration = load("etc/a.conf", Release.V14, files)
    assert files.was_read == ["etc/a.conf", "etc/d/b.conf", "etc/d/c.conf", "/x.conf"]
    assert [jail.block for jail in configuration.jails] == ["c", "x"]
    assert [file.source.name for file in configuration.files] == files.was_read


def test_a_pattern_may_match_nothing_and_is_sorted() -> None:
    files = _Files(d__b_conf="b { }", d__a_conf="a { }")
    configuration = load(Source("f", b'.include "d/*.conf", "e/*.conf";'), Release.V15, files)
    assert [jail.block for jail in configuration.jails] == ["a", "b"]
    assert not configuration.messages


def test_inside_a_block_everything_belongs_to_the_block() -> None:
    files = _Files(x_conf="p = $name; sub { q = 1; } * { w = 2; }")
    configuration = load(Source("f", b'foo { .include "x.conf"; r = 3; }'), Release.V15, files)
    assert _shown(configuration) == ["foo: name=foo p=foo r=3", "foo.sub: name=foo.sub q=1 w=2"]


def test_globals_of_all_files_are_one_section_in_15_and_in_place_in_14() -> None:
    files = _Files(x_conf="a = 1; x { } a = 2;")
    source = Source("f", b'.include "x.conf"; y { a = 3; } a = 4;')
    assert _shown(load(source, Release.V15, files)) == ["x: name=x a=4", "y: name=y a=3"]
    assert _shown(load(source, Release.V14, files)) == ["x: name=x a=4", "y: name=y a=4"]


def test_messages_come_in_the_order_of_reading() -> None:
    files = _Files(x_conf="")
    source = Source("f", b'a b c; .include "x.conf"; .include "no.conf"; d e f;')
    configuration = load(source, Release.V15, files)
    assert _said(configuration) == ["jail: f line 1: c: syntax error", "jail: no.conf: No such file or directory"]
    assert configuration.exit_status == 1
    assert not configuration.jails


def test_an_error_in_an_included_file_ends_the_reading() -> None:
    files = _Files(x_conf="a b c;\nd = ;", y_conf="")
    configuration = load(Source("f", b'.include "x.conf"; .include "y.conf"; e f g;'), Release.V15, files)
    assert _said(configuration) == ["jail: x.conf line 1: c: syntax error", "jail: x.conf line 2: ;: syntax error"]
    assert files.was_read == ["x.conf"]


def test_an_included_file_must_be_complete() -> None:
    files = _Files(x_conf="a { b = 1;")
    configuration = load(Source("f", b'.include "x.conf"; }'), Release.V15, files)
    assert _said(configuration) == ["jail: x.conf: unexpected EOF"]


def test_variables_in_the_name_are_an_error_but_reading_goes_on() -> None:
    files = _Files(x_conf="x { }")
    configuration = load(Source("f", b'.include\n "a$b", "x.conf"; y z w;'), Release.V15, files)
    assert _said(configuration) == [
        "jail: f line 2: variables not permitted in '.include' filename",
        "jail: f line 2: w: syntax error",
    ]
    assert files.was_read == ["x.conf"]


def test_variables_in_the_name_in_an_included_file_end_the_reading_behind_it() -> None:
    files = _Files(x_conf='.include "a$b"; y { } z', y_conf="")
    configuration = load(Source("f", b'.include "x.conf"; .include "y.conf";'), Release.V15, files)
    assert _said(configuration) == [
        "jail: x.conf line 1: variables not permitted in '.include' filename",
        "jail: x.conf: unexpected EOF",
    ]
    assert files.was_read == ["x.conf"]
    files = _Files(x_conf='.include "a$b"; y { }', y_conf="")
    configuration = load(Source("f", b'.include "x.conf"; .include "y.conf";'), Release.V15, files)
    assert files.was_read == ["x.conf"]


def test_files_that_include_each_other_many_times_are_cut_off() -> None:
    files = _Files()
    files.files = {f"{index}": f".include '{index + 1}', '{index + 1}';" for index in range(20)} | {"20": ""}
    configuration = load("0", Release.V15, files)
    assert configuration.exit_status == 1
    assert [message.kind for message in configuration.messages] == [Kind.TOO_LARGE]


def test_a_file_that_includes_itself() -> None:
    files = _Files(x_conf='.include "x.conf";')
    configuration = load("x.conf", Release.V15, files)
    assert _said(configuration) == ["jail: maximum include depth exceeded"]
    assert len(files.was_read) == 33
    assert configuration.messages[0].kind is Kind.INCLUDE_DEPTH


def test_a_pattern_that_cannot_be_looked_up() -> None:
    configuration = load(Source("f", b'.include "/bad/*";'), Release.V15, _Files())
    assert _said(configuration) == ["jail: /bad/*: filename glob failed"]


@pytest.mark.parametrize(
    ("name", "is_pattern"),
    [("a*", True), ("a?", True), ("a[b]", True), ("a[!b]c", True), ("a[b", False), ("a[]b", False), (r"a\*", False)],
)
def test_what_is_a_pattern(name: str, is_pattern: bool) -> None:
    files = _Files()
    load(Source.of_text("f", f".include '{name.replace(chr(92), chr(92) * 2)}';"), Release.V15, files)
    assert bool(files.was_read) is not is_pattern


def test_a_file_that_cannot_be_read() -> None:
    configuration = load("/no/such/jail.conf", Release.V13, FileSystem())
    assert _said(configuration) == ["jail: /no/such/jail.conf: No such file or directory"]
    assert configuration.exit_status == 1
    assert not configuration.files


def test_real_files(tmp_path: Path) -> None:
    (tmp_path / "jail.conf.d").mkdir()
    (tmp_path / "jail.conf").write_text('.include "jail.conf.d/*.conf";\n')
    for name in ("b", "a"):
        (tmp_path / "jail.conf.d" / f"{name}.conf").write_text(f"{name} {{ }}\n")
    configuration = load(str(tmp_path / "jail.conf"), Release.V14, FileSystem())
    assert [jail.block for jail in configuration.jails] == ["a", "b"]
    assert len(configuration.files) == 3
