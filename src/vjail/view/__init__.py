"""What a lab looks like, for people: text now; drawings belong here too. Knows no kernel, only what was seen of it."""
