"""Connections kept open past the death of the worker that was answering them, so that they get an answer.

A worker sends a duplicate of each accepted socket to its supervisor, and marks in shared memory which of them owe an
answer. When the worker dies, the supervisor answers those with an error and closes them all.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import struct
from contextlib import suppress

import msgspec

from penstock.serving.http.connection import Connection
from penstock.serving.http.server import ErrorRenderer, HttpServer
from penstock.serving.http.types import Application

MOST_CONNECTIONS = 4096
_MESSAGE = struct.Struct("=cI")
_BODY = msgspec.json.encode(
    {"error_code": "PENSTOCK-E0710", "message": "The worker that was answering ended. It is being replaced; ask again."}
)
ANSWER = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Keeper:
    """The supervisor's end: one worker's open connections."""

    def __init__(self) -> None:
        self.mine, self.workers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.mine.setblocking(False)
        self.marks = mmap.mmap(-1, MOST_CONNECTIONS)
        self._kept: dict[int, int] = {}

    def receive(self) -> bool:
        """Takes in what the worker says; False when it is gone."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.mine, _MESSAGE.size, 1)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            if not data:
                return False
            kind, slot = _MESSAGE.unpack(data)
            if kind == b"+" and descriptors:
                self._kept[slot] = descriptors[0]
            elif kind == b"-" and slot in self._kept:
                os.close(self._kept.pop(slot))

    def answer_owed(self) -> int:
        """Answers what the dead worker owed, closes all it had open, and gives how many were owed."""
        owed = 0
        for slot, descriptor in self._kept.items():
            with socket.socket(fileno=descriptor) as connection, suppress(OSError):
                if self.marks[slot]:
                    owed += 1
                    connection.setblocking(False)
                    connection.send(ANSWER)
        self._kept.clear()
        return owed

    def close(self) -> None:
        self.mine.close()


class KeptServer(HttpServer):
    """A worker's server, which tells the keeper of each connection."""

    def __init__(self, application: Application, *, keeper: Keeper, render_error: ErrorRenderer) -> None:
        super().__init__(application, render_error=render_error, max_connections=MOST_CONNECTIONS - 1)
        self._pair = keeper.workers
        self._pair.setblocking(False)
        self.marks = keeper.marks
        self._free = list(range(MOST_CONNECTIONS - 1, 0, -1))  # slot 0 is for those that are not kept

    def end_with_supervisor(self) -> None:
        """Drains and ends when the supervisor is gone: it never writes, so its end is only ever read as closed."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self._pair)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(self._pair, gone)

    def opened(self, connection: Connection) -> None:
        super().opened(connection)
        if not self._free:
            return
        slot = self._free.pop()
        self.marks[slot] = 0
        try:
            socket.send_fds(self._pair, [_MESSAGE.pack(b"+", slot)], [connection.fileno()])
        except OSError:  # the supervisor is behind: this connection goes without
            self._free.append(slot)
        else:
            connection.slot = slot

    def closed(self, connection: Connection) -> None:
        super().closed(connection)
        slot, connection.slot = connection.slot, 0
        if slot:
            self._pair.setblocking(True)  # a lost goodbye would keep the client's connection open
            with suppress(OSError):
                self._pair.send(_MESSAGE.pack(b"-", slot))
            self._pair.setblocking(False)
            self._free.append(slot)
