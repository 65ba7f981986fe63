"""What comes of a lab's jails when they run: every order of starting and stopping, every phase failing, on the model.

    Subject ──stage──> a rehearsal of its hosts, booted, with what is taken for granted
    jails   ──groups──> those that share nothing go apart
    a group ──orders──> starts and stops in every order (few jails) or in each pair's two orders (many)
            ──failures──> each step of a start failing once, then a start anew
    what was seen ──explain──> findings

Pure but for the model's memory: nothing is run, nothing of this machine is read.
"""

from vjail.check.run.explore import explore

__all__ = ["explore"]
