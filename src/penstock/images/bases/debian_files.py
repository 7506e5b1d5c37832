"""Debian packages -> a small root file system: what is left out, what is put in by hand, with merged /usr."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from penstock.images.bases.deb import Deb
from penstock.images.bytecode import Interpreter, compile_ahead, pyc_name
from penstock.oci.layer import LayerEntry

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LEFT_OUT = re.compile(
    r"usr/share/(man|info|locale|lintian|doc-base|bug|menu|readline|pixmaps|bash-completion|applications|gdb|gcc)(/|$)"
    r"|usr/share/doc/(?!.*/copyright$)"  # the licences stay: the packages' terms ask for it
    r"|usr/share/zoneinfo/(right|posix)(/|$)"
    r"|usr/lib/[^/]+/(gconv|pkgconfig|audit)(/|$)"
    r"|usr/lib/python3[^/]*/(idlelib|ensurepip|pydoc_data|lib2to3|turtledemo|tkinter|test|config-[^/]*)(/|$)"
    r"|usr/lib/python3[^/]*/lib-dynload/_?(xx|test)[^/]*$"
    r"|usr/lib/[^/]+\.sh$|etc/(cron[^/]*|init\.d|kernel|apparmor\.d|logrotate\.d|update-motd\.d)(/|$)"
    r"|usr/share/(binfmts|python3)(/|$)|var/lib/dpkg/"
    # Programs: Python, and two that the C library's own functions may ask for. No shell, no tools.
    r"|usr/s?bin/(?!(python3[^/]*|getent|ldconfig)$)"
)
_PASSWD = b"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
_GROUP = b"root:x:0:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\n"
_NSSWITCH = b"passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n"


def root_files(debs: Iterable[Deb], python: str, interpreter: Interpreter | None) -> Iterator[LayerEntry]:
    """The entries of the base layer; the standard library's bytecode is among them where ``interpreter`` is given."""
    kept: dict[str, LayerEntry] = {}
    status: dict[str, LayerEntry] = {}
    for deb in debs:
        for entry in deb.entries:
            merged = _merged(entry)
            if not _LEFT_OUT.match(merged.name) and merged.name not in _MERGED:
                kept[merged.name] = merged
        record = _status(deb)
        status[record.name] = record
    by_hand = {entry.name: entry for entry in (*_by_hand(python, kept), *_links(kept))}
    kept = kept | status | by_hand
    if interpreter is not None:
        kept |= {entry.name: entry for entry in _bytecode(kept, python, interpreter)}
    yield from kept.values()


def _merged(entry: LayerEntry) -> LayerEntry:
    """The entry below /usr where a merged system has it: ("lib/x/libc.so.6") is ("usr/lib/x/libc.so.6")."""
    name, target = _below_usr(entry.name), entry.link_target
    target = _below_usr(target) if entry.kind == "hardlink" else target
    return msgspec.structs.replace(entry, name=name, link_target=target)


def _below_usr(name: str) -> str:
    top, slash, _ = name.partition("/")
    return f"usr/{name}" if slash and top in _MERGED else name


def _status(deb: Deb) -> LayerEntry:
    """The package's record where scanners of shell-less images look for it."""
    match = re.search(r"^Package: (\S+)$", deb.control, re.MULTILINE)
    name = match[1] if match else "unknown"
    return LayerEntry(name=f"var/lib/dpkg/status.d/{name}", content=deb.control.encode())


def _links(kept: dict[str, LayerEntry]) -> Iterator[LayerEntry]:
    for name in _MERGED:
        if any(path.startswith(f"usr/{name}/") for path in kept) or name in ("bin", "lib", "sbin"):
            yield LayerEntry(name=f"usr/{name}", kind="directory")
            yield LayerEntry(name=name, kind="symlink", link_target=f"usr/{name}")


def _by_hand(python: str, kept: dict[str, LayerEntry]) -> Iterator[LayerEntry]:
    """What the packages' install scripts would have made; they do not run here."""
    yield LayerEntry(name="etc/passwd", content=_PASSWD)
    yield LayerEntry(name="etc/group", content=_GROUP)
    yield LayerEntry(name="etc/nsswitch.conf", content=_NSSWITCH)
    yield LayerEntry(name="etc/ssl/certs/ca-certificates.crt", content=_certificates(kept))
    yield LayerEntry(name="usr/lib/ssl/cert.pem", kind="symlink", link_target="/etc/ssl/certs/ca-certificates.crt")
    yield LayerEntry(name="usr/lib/ssl/certs", kind="symlink", link_target="/etc/ssl/certs")
    yield LayerEntry(name="usr/bin/python3", kind="symlink", link_target=f"python{python}")
    for name in ("tmp", "var/tmp"):
        yield LayerEntry(name=name, kind="directory", mode=0o1777)
    for name in ("dev", "proc", "sys", "run", "root", "home", "opt", "mnt"):
        yield LayerEntry(name=name, kind="directory")


def _certificates(kept: dict[str, LayerEntry]) -> bytes:
    names = sorted(name for name in kept if re.match(r"usr/share/ca-certificates/.*\.crt$", name))
    contents = (kept[name].content for name in names)
    return b"".join(content for content in contents if isinstance(content, bytes))


def _bytecode(kept: dict[str, LayerEntry], python: str, interpreter: Interpreter) -> Iterator[LayerEntry]:
    names = sorted(name for name, entry in kept.items() if _is_library(name, entry))
    sources = ((f"/{name}", bytes_of(kept[name])) for name in names)
    with tempfile.TemporaryDirectory(prefix="penstock-") as directory:
        for name, pyc in zip(names, compile_ahead(sources, interpreter, Path(directory)), strict=True):
            if pyc is not None:
                yield LayerEntry(name=pyc_name(name, python), content=pyc.open().read())


def _is_library(name: str, entry: LayerEntry) -> bool:
    return name.startswith("usr/lib/python3") and name.endswith(".py") and entry.kind == "file"


def bytes_of(entry: LayerEntry) -> bytes:
    """The content of an entry that is kept in memory."""
    return entry.content if isinstance(entry.content, bytes) else b""
