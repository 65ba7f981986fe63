"""From a lab file's topology to the files of each FreeBSD host: jail.conf, rc.conf, devfs.rules, pf.conf, hosts.

Nothing of vjail is needed to use them. jail.conf says everything explicitly, bears any order of starts and stops, and
takes up what a start that failed has left: the first jail makes what is shared, the last takes it away.
"""

from vjail.lab.compile.host import compile_host

__all__ = ["compile_host"]
