"""What will go wrong with a host's files, found without any kernel: rules over the text, and runs on the model.

    Lab ──subject──> Subject (each host's files read as FreeBSD reads them; each exec.* line as commands with places)
    Subject ──rules/──> Finding (what, why, the mend, the edits of a certain one)
    Finding ──report, fix──> text, JSON, SARIF; the files mended in place

`find` does the first two lines. Nothing here runs a program, reads a file that is not the lab's, or imports a kernel.
"""

from vjail.check.find import find
from vjail.check.finding import Concern, Edit, Finding, Rule, Severity
from vjail.check.subject import Subject, read

__all__ = ["Concern", "Edit", "Finding", "Rule", "Severity", "Subject", "find", "read"]
