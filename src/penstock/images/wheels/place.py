"""A wheel's files as layer entries below /opt/venv: what an installer would have put there."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from penstock.ground.errors import IntegrityError
from penstock.images.bytecode import Interpreter, Slice, compile_ahead, pyc_name
from penstock.images.target import Target
from penstock.images.wheels.wheel import Member, Wheel, record_row
from penstock.oci.layer import LayerEntry

VENV = "opt/venv"
_SHEBANG = f"#!/{VENV}/bin/python"
_COMMAND = """{shebang}
import sys
from {module} import {first}
sys.exit({function}())
"""


def wheel_entries(
    wheel: Wheel, target: Target, *, interpreter: Interpreter | None, scratch: Path
) -> Iterator[LayerEntry]:
    """The entries of one installed wheel; bytecode lies in ``scratch`` until they are written.

    Raises IntegrityError for a file that has no place or is not the promised one.
    """
    record = f"{wheel.dist_info}/RECORD"
    placed = {installed_path(member.name, wheel.dist_info, target): member for member in wheel.members}
    placed = {path: member for path, member in placed.items() if member.name != record}
    made = [LayerEntry(name=f"{target.site_packages}/{wheel.dist_info}/INSTALLER", content=b"penstock\n")]
    made += _commands(wheel)
    compiled = list(_compiled(wheel, placed, target, interpreter, scratch))
    yield from (_entry(path, member, wheel) for path, member in placed.items())
    yield from made
    yield from compiled
    rows = _rows(placed, made, compiled, target)
    yield LayerEntry(name=f"{target.site_packages}/{record}", content=_table([*rows, (record, "", "")]))


def installed_path(name: str, dist_info: str, target: Target) -> str:
    """Where a wheel's file goes: ("pkg/a.py") into site-packages, ("x.data/scripts/run") into bin, and so on."""
    data = dist_info.removesuffix(".dist-info") + ".data/"
    if not name.startswith(data):
        return f"{target.site_packages}/{name}"
    scheme, _, rest = name.removeprefix(data).partition("/")
    project = dist_info.partition("-")[0]
    places = {
        "purelib": target.site_packages,
        "platlib": target.site_packages,
        "scripts": f"{VENV}/bin",
        "headers": f"{VENV}/include/site/python{target.python}/{project}",
        "data": VENV,
    }
    if scheme not in places or not rest:
        raise IntegrityError(f"The wheel {dist_info} has a file with no place, {name}.", fix="Ask its maker.")
    return f"{places[scheme]}/{rest}"


def _entry(path: str, member: Member, wheel: Wheel) -> LayerEntry:
    if path.startswith(f"{VENV}/bin/"):
        return LayerEntry(name=path, mode=0o755, content=_with_shebang(wheel.read(member)))
    mode = 0o755 if member.executable else 0o644
    return LayerEntry(name=path, mode=mode, content=partial(wheel.open, member), size_bytes=member.size_bytes)


def _with_shebang(content: bytes) -> bytes:
    """A script whose first line is the placeholder ``#!python`` gets the image's Python there (PEP 427)."""
    first, newline, rest = content.partition(b"\n")
    return _SHEBANG.encode() + newline + rest if first.startswith(b"#!python") else content


def _commands(wheel: Wheel) -> Iterator[LayerEntry]:
    for name, place in sorted(wheel.scripts().items()):
        module, _, function = place.partition(":")
        text = _COMMAND.format(
            shebang=_SHEBANG, module=module.strip(), first=function.partition(".")[0].strip(), function=function.strip()
        )
        yield LayerEntry(name=f"{VENV}/bin/{name}", mode=0o755, content=text.encode())


def _compiled(
    wheel: Wheel, placed: dict[str, Member], target: Target, interpreter: Interpreter | None, scratch: Path
) -> Iterator[LayerEntry]:
    names = sorted(path for path in placed if path.startswith(target.site_packages) and _is_imported(path))
    if interpreter is None or not names:
        return
    sources = ((f"/{name}", wheel.read(placed[name])) for name in names)
    for name, pyc in zip(names, compile_ahead(sources, interpreter, scratch), strict=True):
        if isinstance(pyc, Slice):
            path = pyc_name(name, target.python)
            yield LayerEntry(name=path, content=pyc.open, size_bytes=pyc.size_bytes)


def _is_imported(path: str) -> bool:
    """Whether a server may import the file. Packages' own tests are two fifths of all their sources, and never are."""
    return path.endswith(".py") and "/tests/" not in path


def _rows(
    placed: dict[str, Member], made: Iterable[LayerEntry], compiled: Iterable[LayerEntry], target: Target
) -> Iterator[tuple[str, str, object]]:
    for path, member in placed.items():
        rewritten = path.startswith(f"{VENV}/bin/")
        yield _relative(path, target), "" if rewritten else _hash(member), "" if rewritten else member.size_bytes
    for entry in made:
        if isinstance(entry.content, bytes):
            yield record_row(_relative(entry.name, target), entry.content)
    for entry in compiled:
        yield _relative(entry.name, target), "", ""


def _hash(member: Member) -> str:
    if member.promised is None:
        return ""
    algorithm, digest = member.promised
    return f"{algorithm}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _relative(path: str, target: Target) -> str:
    """The path as RECORD writes it, from site-packages: ("opt/venv/bin/x") is ("../../../bin/x")."""
    site = PurePosixPath(target.site_packages)
    pure = PurePosixPath(path)
    return str(pure.relative_to(site)) if pure.is_relative_to(site) else f"../../../{pure.relative_to(VENV)}"


def _table(rows: list[tuple[str, str, object]]) -> bytes:
    text = io.StringIO()
    ordered = sorted(rows, key=lambda row: row[0])
    csv.writer(text, lineterminator="\n").writerows(ordered)
    return text.getvalue().encode()
