"""jail.conf(5): read as each FreeBSD release reads it, and written back.

How data goes through this package:

    Source ──lexer──> tokens ──parser──> File (syntax.py: what stands in the file, with spans)
    File(s) ──sections, merge, variables──> Jail (jail.py: what jail(8) makes of it)
    Jail ──typed──> Checked (parameters by type, when a jail is about to be operated on)
    File, Jail ──printer, show──> text

`parse` does the first line, `load` the first two, with `.include`. What is wrong with a file is never an exception: it
is a `Message` with jail(8)'s own words, its place, and a hint. The exceptions there are stand in errors.py. Which
release does what is in rules.py and parameters.py. Further files are read by the `Reader` one passes in.
"""

from vjail.conf.jailconf.addresses import Family, InterfaceAddress
from vjail.conf.jailconf.arguments import command_line
from vjail.conf.jailconf.errors import JailConfError, Unprintable
from vjail.conf.jailconf.jail import Jail, JailParameter, JailValue
from vjail.conf.jailconf.libjail import Jailsys, KernelParameter
from vjail.conf.jailconf.load import Configuration, load
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.parameters import Known, known_parameters, lookup, suggest
from vjail.conf.jailconf.parser import ParseResult, parse
from vjail.conf.jailconf.printer import (
    format_file,
    format_jail,
    format_jails,
    format_name,
    format_parameter,
    format_statements,
    format_text,
    format_value,
    list_jail,
    list_jails,
    list_value,
)
from vjail.conf.jailconf.pseudo import PseudoParameters
from vjail.conf.jailconf.reader import FileSystem, NoFiles, Reader
from vjail.conf.jailconf.show import show_json, show_text
from vjail.conf.jailconf.syntax import (
    Block,
    File,
    Name,
    Operator,
    Parameter,
    Piece,
    Quote,
    Quoted,
    Statement,
    Text,
    Value,
    Variable,
    Word,
)
from vjail.conf.jailconf.typed import Checked, Operation, World, check_types

__all__ = [
    "Block",
    "Checked",
    "Configuration",
    "Family",
    "File",
    "FileSystem",
    "Hint",
    "InterfaceAddress",
    "Jail",
    "JailConfError",
    "JailParameter",
    "JailValue",
    "Jailsys",
    "KernelParameter",
    "Kind",
    "Known",
    "Message",
    "Name",
    "NoFiles",
    "Operation",
    "Operator",
    "Parameter",
    "ParseResult",
    "Piece",
    "PseudoParameters",
    "Quote",
    "Quoted",
    "Reader",
    "Statement",
    "Text",
    "Unprintable",
    "Value",
    "Variable",
    "Word",
    "World",
    "check_types",
    "command_line",
    "format_file",
    "format_jail",
    "format_jails",
    "format_name",
    "format_parameter",
    "format_statements",
    "format_text",
    "format_value",
    "known_parameters",
    "list_jail",
    "list_jails",
    "list_value",
    "load",
    "lookup",
    "parse",
    "show_json",
    "show_text",
    "suggest",
]
