"""The ladder of isolation levels, the most faithful first, and the choice among those that really work here."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.files import ensure_directory, remove_tree
from penstock.rehearsal.runner import container
from penstock.rehearsal.runner.bubblewrap import Bubblewrap
from penstock.rehearsal.runner.namespaces import Namespaces
from penstock.rehearsal.runner.podman import Podman
from penstock.rehearsal.runner.process import PlainProcess
from penstock.rehearsal.runner.spec import ContainerSpec, Level

LADDER: tuple[type[Podman | Namespaces | Bubblewrap | PlainProcess], ...] = (
    Podman,
    Namespaces,
    Bubblewrap,
    PlainProcess,
)
_PROBE_SECONDS = 20.0
# exit(0) in the machine's own code: mov edi,0 / mov eax,60 / syscall, and its like on arm64.
_EXIT_CODE = {
    "x86_64": (62, bytes.fromhex("bf00000000b83c0000000f05")),
    "aarch64": (183, bytes.fromhex("000080d2a80b80d2010000d4")),
}


def choose_level(wanted: str = "auto", *, scratch: Path | None = None) -> tuple[Level, dict[str, str]]:
    """The best level that a probe found working, and why each better one was passed over.

    Raises EnvironmentMismatch when ``wanted`` names a level that does not work here, or no level does.
    """
    refused: dict[str, str] = {}
    for kind in LADDER:
        level: Level = kind()
        if wanted not in ("auto", level.name):
            continue
        reason = level.why_not() or probe(level, scratch=scratch)
        if reason is None:
            return level, refused
        refused[level.name] = reason
    raise EnvironmentMismatch(
        f"No runner works here: {'; '.join(f'{name}: {why}' for name, why in refused.items()) or wanted}.",
        fix="Choose another with --runner, or 'auto'.",
    )


def probe(level: Level, *, scratch: Path | None = None) -> str | None:
    """Runs a program that only exits, in a root file system that holds nothing else; why it did not work, or None."""
    image = tiny_program()
    if image is None:
        return None if level.name == "process" else f"no probe for {platform.machine()}"
    home = Path(tempfile.mkdtemp(prefix="probe-", dir=ensure_directory(scratch) if scratch else None))
    try:
        return _run_probe(level, home, image)
    finally:
        remove_tree(home)


def _run_probe(level: Level, home: Path, image: bytes) -> str | None:
    layer = ensure_directory(home / "layer")
    (layer / "exit").write_bytes(image)
    (layer / "exit").chmod(0o755)
    spec = ContainerSpec(
        name=f"penstock-{home.name.replace('_', '-')}", home=home / "run", layers=(layer,), argv=("/exit", "serve"),
        environment={"PATH": "/"}, port=0,
    )  # fmt: skip
    running = container.spawn(spec, level, container.prepare(spec, level))
    try:
        code = running.process.wait(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"did not end within {_PROBE_SECONDS:.0f} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, 9)
        running.level.forget(spec.name)
        running.process.wait()
    lines = running.log.read_text(errors="replace").strip().splitlines()
    return None if code == 0 else (lines[-1] if lines else f"exit code {code}")


def tiny_program() -> bytes | None:
    """A static ELF program that exits with 0 on this machine's processor; None where the machine is not known."""
    known = _EXIT_CODE.get(platform.machine())
    if known is None:
        return None
    machine, code = known
    base, start = 0x400000, 64 + 56
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = start + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code
