"""A directory that a layer is unpacked into: every name resolved inside it, whatever links the layer makes.

Paths are strings here, not ``Path``: a layer has tens of thousands of entries.
"""

# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH118, PTH211

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from penstock.ground.errors import InvalidInput, StorageFailed
from penstock.ground.files import remove_tree
from penstock.oci.tar import DIRECTORY, FILE, HARDLINK, SYMLINK
from penstock.oci.tar_reader import Member, TarReader

Whiteouts = Literal["overlay", "merge"]
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."
_FILES = (FILE, b"\0", b"7")
_FIFO = b"6"
_DEVICES = (b"3", b"4")
_MAX_LINKS = 40
_MAX_DEPTH = 200
_LATEST_MTIME = 1 << 33


class Tree:
    """The directory being filled. ``devices`` counts the device entries that were left out."""

    def __init__(self, directory: Path, whiteouts: Whiteouts) -> None:
        self._root = str(directory.resolve())
        self._overlay = whiteouts == "overlay"
        self._owner = os.geteuid() == 0
        self._made: set[str] = set()
        self._hidden: set[str] = set()
        self._resolved: dict[tuple[str, ...], str] = {}
        self._directories: dict[str, Member] = {}
        self.devices = 0

    def add(self, member: Member, content: TarReader) -> None:
        parts = _parts(member.name)
        if not parts:
            self._directories[self._root] = member
            return
        parent = self._parent(parts[:-1])
        if parts[-1].startswith(_WHITEOUT):
            self._hide(parent, parts[-1])
        elif member.kind in _DEVICES:
            self.devices += 1
        else:
            self._make(member, os.path.join(parent, parts[-1]), content)

    def finish(self) -> None:
        """Gives directories their modes and times, innermost first, now that nothing is put into them any more."""
        for path in sorted(self._directories, reverse=True):
            member = self._directories[path]
            self._own(path, member)
            os.chmod(path, member.mode & 0o1777 | (0 if self._owner else 0o700))
            _set_time(path, member)

    def _make(self, member: Member, path: str, content: TarReader) -> None:
        self._clear(path, keep_directory=member.kind == DIRECTORY)
        if member.kind == DIRECTORY:
            self._make_directory(path, member)
        elif member.kind in _FILES:
            self._make_file(path, member, content)
        elif member.kind == SYMLINK:
            os.symlink(member.link, path)
            self._own(path, member)
        elif member.kind == HARDLINK:
            self._make_hardlink(path, member)
        elif member.kind == _FIFO:
            os.mkfifo(path, member.mode & 0o777)
        else:
            raise InvalidInput(f"The layer holds {member.name!r} of an unknown kind {member.kind!r}. Do not use it.")
        self._made.add(path)

    def _make_directory(self, path: str, member: Member) -> None:
        with suppress(FileExistsError):
            os.mkdir(path, 0o755)
        if path in self._hidden:
            self._set_opaque(path)
        self._directories[path] = member

    def _make_file(self, path: str, member: Member, content: TarReader) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in content.chunks():
                file.write(chunk)
            file.flush()
            self._own(path, member)
            os.fchmod(descriptor, member.mode & 0o777 | (0 if self._owner else 0o400))
        _set_time(path, member)

    def _make_hardlink(self, path: str, member: Member) -> None:
        parts = _parts(member.link)
        target = os.path.join(self._parent(parts[:-1]), parts[-1]) if parts else self._root
        try:
            linkable = not stat.S_ISDIR(os.lstat(target).st_mode)
        except FileNotFoundError:
            linkable = False
        if not linkable:
            raise InvalidInput(
                f"The layer links {member.name!r} to {member.link!r}, which it does not hold.", fix="Do not use it."
            )
        os.link(target, path, follow_symlinks=False)

    def _hide(self, parent: str, name: str) -> None:
        if name == _OPAQUE:
            self._hide_all_below(parent)
        elif not name.startswith(_AUFS):
            hidden = _parts(name.removeprefix(_WHITEOUT))
            if not hidden:
                raise InvalidInput(f"The layer holds a whiteout of nothing, {name!r}. Do not use it.")
            self._hide_one(os.path.join(parent, hidden[0]))

    def _hide_all_below(self, parent: str) -> None:
        if self._overlay:
            self._set_opaque(parent)
            return
        for entry in list(os.scandir(parent)):
            if not any(made == entry.path or made.startswith(f"{entry.path}/") for made in self._made):
                self._remove(entry.path)

    def _hide_one(self, path: str) -> None:
        """Hides what lower layers have at ``path``, not what this one does."""
        if not self._overlay:
            if path not in self._made:
                self._remove(path)
            return
        self._hidden.add(path)
        if path not in self._made:
            self._remove(path)
            os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
        elif stat.S_ISDIR(os.lstat(path).st_mode):
            self._set_opaque(path)

    def _set_opaque(self, path: str) -> None:
        """Marks the directory for both kinds of overlay mounts: with ``-o userxattr``, and root's own."""
        names = ("user.overlay.opaque", "trusted.overlay.opaque")
        if not sum(_set_attribute(path, name) for name in names):
            raise StorageFailed(
                f"The file system of {self._root} cannot hold an overlay's attributes.",
                fix="Point PENSTOCK_CACHE_DIR at another file system, such as ext4.",
            )

    def _clear(self, path: str, *, keep_directory: bool) -> None:
        """Makes way for an entry; a directory over a directory is the same directory."""
        with suppress(FileNotFoundError):
            if not (keep_directory and stat.S_ISDIR(os.lstat(path).st_mode)):
                self._remove(path)

    def _remove(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
            return
        remove_tree(Path(path))
        self._resolved.clear()
        gone = [known for known in self._directories if known == path or known.startswith(f"{path}/")]
        for known in gone:
            del self._directories[known]

    def _parent(self, parts: tuple[str, ...]) -> str:
        """The real directory that ``parts`` lead to inside the root, links followed as in a container."""
        known = self._resolved.get(parts)
        if known is None:
            known = self._resolved[parts] = self._walk(parts)
        return known

    def _walk(self, parts: tuple[str, ...]) -> str:
        real: list[str] = []
        pending, links = deque(parts), 0
        while pending:
            part = pending.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                del real[-1:]
                continue
            path = os.path.join(self._root, *real, part)
            mode = self._mode_or_mkdir(path)
            if stat.S_ISLNK(mode):
                links += 1
                if links > _MAX_LINKS:
                    raise InvalidInput(f"Links loop at {'/'.join(parts)!r} in the layer. Do not use it.")
                target = os.readlink(path)
                real = [] if target.startswith("/") else real
                pending.extendleft(reversed(target.split("/")))
            elif stat.S_ISDIR(mode):
                real.append(part)
                _check_depth(real)
            else:
                raise InvalidInput(f"The layer puts entries below {'/'.join(parts)!r}, a file. Do not use it.")
        return os.path.join(self._root, *real)

    def _mode_or_mkdir(self, path: str) -> int:
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            mode = 0
        if path in self._hidden and stat.S_ISCHR(mode):
            os.unlink(path)
            mode = 0
        if not mode:
            os.mkdir(path, 0o755)
            self._made.add(path)
            if path in self._hidden:
                self._set_opaque(path)
            mode = stat.S_IFDIR
        return mode

    def _own(self, path: str, member: Member) -> None:
        if self._owner and (member.uid or member.gid):
            try:
                os.chown(path, member.uid, member.gid, follow_symlinks=False)
            except (PermissionError, OverflowError):
                self._owner = False
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: an id that this user namespace does not map
                    raise
                self._owner = False


def _parts(name: str) -> tuple[str, ...]:
    """The parts of an entry's name below the root. Raises InvalidInput for one that climbs."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise InvalidInput(f"The layer holds {name[:300]!r}, which leads outside.", fix="Do not use this image.")
    _check_depth(parts)
    return parts


def _check_depth(parts: Sequence[str]) -> None:
    """Trees deeper than any honest one would break whoever walks them later, to remove them first of all."""
    if len(parts) > _MAX_DEPTH:
        raise InvalidInput(f"The layer holds directories {_MAX_DEPTH} deep and more.", fix="Do not use this image.")


def _set_time(path: str, member: Member) -> None:
    seconds = min(member.mtime, _LATEST_MTIME)
    os.utime(path, (seconds, seconds), follow_symlinks=False)


def _set_attribute(path: str, name: str) -> bool:
    try:
        os.setxattr(path, name, b"y", follow_symlinks=False)
    except OSError:
        return False
    return True
