"""Into an isolated container: sockets made inside its network namespace, which has nothing but a loopback of its own.

A socket belongs for good to the namespace that its thread was in when it was made, so the plane enters the container's
for the length of one system call. Both ways need root.
"""

from __future__ import annotations

import ctypes
import os
import socket

from penstock.ground.errors import EnvironmentMismatch

_NEWNET = 0x40000000


def socket_inside(pid: int) -> socket.socket:
    """A TCP socket that lives in the network namespace of process ``pid``. Raises OSError."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        away = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(away)
            try:
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                _enter(home)
        finally:
            os.close(away)
    finally:
        os.close(home)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def require_root() -> None:
    """Raises EnvironmentMismatch where isolated containers could not be reached."""
    if os.getuid() != 0:
        raise EnvironmentMismatch(
            "EnableNetworkIsolation can be kept only by a plane that runs as root.",
            fix="Start the plane as root, or rehearse without EnableNetworkIsolation.",
        )


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
