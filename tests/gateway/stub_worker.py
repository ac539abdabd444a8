"""A worker that serves nothing and writes down what it is told; `STUB_MODE` says how it behaves."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

from trunkline.gateway.control import Accept, Channel, Drain, Hurry, Ready, Reload, place_of

place = place_of(sys.argv[-1])
mode = os.environ["STUB_MODE"]
signal.signal(signal.SIGTERM, signal.SIG_IGN)


def note(*words: object) -> None:
    with open(os.environ["STUB_LOG"], "a") as log:
        log.write(" ".join(map(str, (place.slot, *words))) + "\n")


note("starts", "sole" if place.sole else "beside")
if mode == "stillborn" or (mode == "no second" and place.slot == 1):
    sys.exit(7)
channel = Channel(socket.socket(fileno=place.control))
channel.send(Ready(f"boot{os.getpid()}", None, 0, 0))
while True:
    select.select([channel], [], [])
    for message in channel.read():
        if isinstance(message, Accept):
            note("accepts", *message.slots)
            if mode == "dies" and place.slot == 1 and not place.sole:
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)
        elif isinstance(message, Drain):
            note("drains", "handed on" if message.handed_on else "for good")
            if mode not in ("deaf", "slow"):
                sys.exit(0)
        elif isinstance(message, Hurry):
            note("hurries")
            if mode == "slow":
                sys.exit(0)
        elif isinstance(message, Reload):
            note("reloads")
    if channel.closed:
        note("alone")
        sys.exit(0)
