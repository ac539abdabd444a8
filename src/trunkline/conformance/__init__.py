"""A wall of faults between the sandbox and whatever asks it: one verdict a fault.

`rows` and `wall` say what is true of each fault, `reading` what a client got, `judge` whether that was
right: pure, all three. `asking`, `upstream`, `gateway` and `sdk` do the I/O.
"""
