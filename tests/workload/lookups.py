# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""lookups.py CALL NAME...: looks up each name by getaddrinfo(), gethostbyname() or gethostbyname2().

No name server is asked: names are numbers, or may only be numbers. Prints the PID, then for each
lookup how many ns it took.
"""
import ctypes as ct
import os
import socket
import sys
import time

LIBC = ct.CDLL("libc.so.6")
for name in ("gethostbyname", "gethostbyname2"):
    getattr(LIBC, name).restype = ct.c_void_p


class Hints(ct.Structure):
    """The beginning of struct addrinfo; the rest is zero."""

    _fields_ = [("flags", ct.c_int), ("rest", ct.c_char * 64)]


def getaddrinfo(host):
    """The address of a number. No host means this one."""
    found = ct.c_void_p()
    hints = Hints(socket.AI_NUMERICHOST)
    if LIBC.getaddrinfo(host, b"80", ct.byref(hints), ct.byref(found)) == 0:
        LIBC.freeaddrinfo(found)


CALLS = {
    "getaddrinfo": getaddrinfo,
    "gethostbyname": LIBC.gethostbyname,
    "gethostbyname2": lambda host: LIBC.gethostbyname2(host, socket.AF_INET6),
    "nobody": lambda host: getaddrinfo(None),
}

words = sys.argv[1:]
times = []
for call, host in zip(words[::2], words[1::2]):
    begin = time.monotonic_ns()
    CALLS[call](os.fsencode(host))
    times.append(time.monotonic_ns() - begin)
print(os.getpid(), *times, sep="\n")
