"""A debugger that suspends the program, and has a breakpoint in a method that zaudit hooks.

It speaks JDWP, the Java Debug Wire Protocol, and only what it needs of it. Invariant: the program
is never left suspended; if the connection ends, the JVM resumes it.
"""

import contextlib
import select
import socket
import struct
import time

HANDSHAKE = b"JDWP-Handshake"
# Sets of commands, and the commands.
CLASSES_BY_SIGNATURE, ALL_THREADS, SUSPEND, RESUME = (1, 2), (1, 4), (1, 8), (1, 9)
METHODS = (2, 5)
SET_EVENT, CLEAR_EVENT = (15, 1), (15, 2)
BREAKPOINT, NO_SUSPENSION, LOCATION_ONLY, OF_CLASS = 2, 0, 7, 1
REPLY = 0x80


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Debugger:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.buffer, self.number = b"", 0
        self.socket.sendall(HANDSHAKE)
        if self.take(len(HANDSHAKE)) != HANDSHAKE:
            raise OSError("no JDWP")

    def bother(self, chance, is_over):
        """Counts how often the program was suspended, until it is over."""
        suspended = 0
        with contextlib.suppress(OSError):
            while not is_over():
                self.pause(chance.uniform(0.1, 1))
                if chance.random() < 0.7:
                    self.ask(SUSPEND)
                    self.ask(ALL_THREADS)
                    self.pause(chance.uniform(0, 0.05))
                    self.ask(RESUME)
                    suspended += 1
                else:
                    # An error has no data.
                    with contextlib.suppress(struct.error):
                        self.break_at("Ljava/util/zip/Inflater;", "end", chance.uniform(0, 0.2))
        return suspended

    def break_at(self, signature, method, seconds):
        """Has a breakpoint at the beginning of a method for so long."""
        found = self.ask(CLASSES_BY_SIGNATURE, text(signature))
        count, _, class_id = struct.unpack_from(">IBQ", found)
        for method_id, name in methods(self.ask(METHODS, struct.pack(">Q", class_id))):
            if name == method:
                location = struct.pack(">BQQQ", OF_CLASS, class_id, method_id, 0)
                request = self.ask(SET_EVENT, struct.pack(
                    ">BBIB", BREAKPOINT, NO_SUSPENSION, count, LOCATION_ONLY) + location)
                self.pause(seconds)
                self.ask(CLEAR_EVENT, struct.pack(">B", BREAKPOINT) + request)

    def ask(self, command, data=b""):
        """The data of the reply; empty after an error: classes change, and the heap may be full."""
        self.number += 1
        self.socket.sendall(struct.pack(">IIBBB", 11 + len(data), self.number, 0, *command) + data)
        while True:
            number, flags, reply = self.packet()
            if flags == REPLY and number == self.number:
                return reply

    def packet(self):
        length, number, flags, _ = struct.unpack(">IIBH", self.take(11))
        return number, flags, self.take(length - 11)

    def take(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise OSError("the JVM has closed the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def pause(self, seconds):
        """Lets events come in meanwhile: the program would wait for a full socket."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self.packet()


def text(string):
    return struct.pack(">I", len(string)) + string.encode()


def methods(reply):
    """Each with its id and name."""
    count, at = struct.unpack_from(">I", reply)[0], 4
    for _ in range(count):
        method_id, length = struct.unpack_from(">QI", reply, at)
        name = reply[at + 12:at + 12 + length].decode()
        signature_at = at + 12 + length
        at = signature_at + 4 + struct.unpack_from(">I", reply, signature_at)[0] + 4
        yield method_id, name
