"""The program between the plane and a container: it isolates itself as its spec says, then becomes the container.

Run as ``python -I -S enter.py SPEC.json``; standard library only, no import of ours. It dies with its parent
(PR_SET_PDEATHSIG), so that a killed plane leaves no process. Two shapes:

- ``namespaces``: new mount, process, IPC and host-name namespaces (and a user namespace when not root); an overlay of
  the image's layers becomes the root, the model is bound read-only, and the entrypoint is process 1. This process
  stays outside as its guard and passes SIGTERM on, which unshare(1) --fork does not.
- ``command``: the overlay is mounted in a private mount namespace if one is asked for, then ``argv`` is executed.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 24, 38
# What Docker leaves to a container: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
# net_bind_service, mknod is left out, audit_write, setfcap.
_KEPT_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 29, 31}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _die_with_parent(spec["parent"], spec["dies_by"])
    if spec["shape"] == "namespaces":
        return _guard(spec)
    if spec.get("lower"):
        _check(_libc.unshare(_NEWNS), "unshare")
        _mount(None, "/", None, _REC | _PRIVATE)
        _overlay(spec)
    _execute(spec["argv"], spec["environment"])
    return 127


def _guard(spec: dict[str, Any]) -> int:
    user, group = os.getuid(), os.getgid()
    flags = _NEWNS | _NEWPID | _NEWIPC | _NEWUTS | (_NEWUSER if user else 0)
    _check(_libc.unshare(flags | (_NEWNET if spec.get("isolate_network") else 0)), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    if spec.get("isolate_network"):
        _bring_loopback_up()
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        _become(spec, guard)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: os.kill(child, caught))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def _become(spec: dict[str, Any], guard: int) -> None:
    try:
        _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _mount(None, "/", None, _REC | _PRIVATE)
        root = _overlay(spec)
        _furnish(root, spec)
        os.chroot(root)
        os.chdir("/")
        os.chdir(spec.get("directory") or "/")
        _lower_rights(spec)
        _execute(spec["argv"], spec["environment"])
    except OSError as error:
        print(f"penstock: cannot set the container up: {error}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(125)


def _overlay(spec: dict[str, Any]) -> str:
    """Mounts the layers of ``lower`` (top first; short relative names, as the option text is limited to a page)."""
    os.chdir(spec["lower"])
    options = f"lowerdir={':'.join(spec['layers'])},upperdir=../upper,workdir=../work"
    if os.getuid() or spec.get("mapped"):
        options += ",userxattr"
    target = spec["root"]
    try:
        _mount("overlay", target, "overlay", 0, options)
    except OSError:  # the disk below cannot carry an upper layer (it is an overlay itself): memory can
        _mount("tmpfs", f"{spec['lower']}/../memory", "tmpfs", 0)
        for name in ("upper", "work"):
            Path(f"{spec['lower']}/../memory/{name}").mkdir()
        _mount("overlay", target, "overlay", 0, options.replace("../upper", "../memory/upper").replace(
            "../work", "../memory/work"))  # fmt: skip
    return str(target)


def _furnish(root: str, spec: dict[str, Any]) -> None:
    """What a container finds beside its image: proc, sys, dev, shm, tmp, names, and the model, read-only."""
    for name in ("proc", "sys", "dev", "tmp", "etc"):
        Path(root, name).mkdir(exist_ok=True)
    Path(root, "tmp").chmod(0o1777)
    _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _bind("/sys", f"{root}/sys", read_only=False)
    _mount("tmpfs", f"{root}/dev", "tmpfs", _NOSUID, "mode=755,size=65536k")
    for name in _DEVICES:
        _bind_file(f"/dev/{name}", f"{root}/dev/{name}")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        Path(root, "dev", name).symlink_to(f"/proc/self/fd{target}")
    Path(root, "dev", "shm").mkdir()
    _mount("tmpfs", f"{root}/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777")
    for name in ("resolv.conf", "hosts"):
        if Path("/etc", name).exists():
            _bind_file(str(Path("/etc", name).resolve()), f"{root}/etc/{name}")
    for source, target in spec.get("read_only", {}).items():
        Path(root + target).mkdir(parents=True, exist_ok=True)
        _bind(source, root + target, read_only=True)
    name = spec.get("hostname", "localhost").encode()
    _libc.sethostname(name, len(name))


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = b"lo".ljust(16, b"\0")
        fcntl.ioctl(control, 0x8914, name + (1 | 64).to_bytes(2, sys.byteorder) + bytes(14))  # SIOCSIFFLAGS


def _bind_file(source: str, target: str) -> None:
    if Path(target).is_symlink():
        Path(target).unlink()
    Path(target).touch()
    _mount(source, target, None, _BIND)


def _bind(source: str, target: str, *, read_only: bool) -> None:
    _mount(source, target, None, _BIND | _REC)
    if read_only:
        found = os.statvfs(target).f_flag  # a user namespace may not drop the flags a mount came with
        kept = found & (_NOSUID | _NODEV | _NOEXEC | 1024 | 2048)
        relative = (1 << 21) if found & 4096 else 0
        _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | kept | relative)


def _lower_rights(spec: dict[str, Any]) -> None:
    _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        if capability not in _KEPT_CAPABILITIES:
            _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    if spec.get("user") and not spec.get("mapped"):
        os.setgroups([])
        os.setgid(spec["user"][1])
        os.setuid(spec["user"][0])


def _execute(argv: list[str], environment: dict[str, str]) -> None:
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        print(f"penstock: cannot execute {argv[0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(126 if isinstance(error, PermissionError) or error.errno == 8 else 127)


def _die_with_parent(parent: int, dies_by: str) -> None:
    _libc.prctl(_PDEATHSIG, signal.Signals[f"SIG{dies_by}"], 0, 0, 0)
    if os.getppid() != parent:
        os._exit(124)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if part is None else os.fsencode(part) for part in (source, target, kind, options)]
    _check(_libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
