"""What a jail is to jail(8): its phases as data, the order of many jails, and a runner that carries them out.

In come a configuration (conf/jailconf) and a Session, the process that jail(8) would be; out go command lines to that
Session, jail_set(2) and jail_remove(2) to its System, jail(8)'s words to its streams, and events to who wants them.
Nothing here knows which kernel is beneath.
"""
