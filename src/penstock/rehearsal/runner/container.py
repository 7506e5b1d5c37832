"""A running container: started under its guard, logged to a file, stopped by SIGTERM and then SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from penstock.ground.files import ensure_directory, remove_tree, write_atomically
from penstock.rehearsal.runner.spec import ContainerSpec, Level

_ENTER = Path(__file__).with_name("enter.py")
STOP_SECONDS = 30.0


class Container:
    """A started container. ``log`` is the file its stdout and stderr go to."""

    def __init__(self, spec: ContainerSpec, level: Level, process: subprocess.Popen[bytes]) -> None:
        self.spec = spec
        self.level = level
        self.process = process
        self.log = log_path(spec)

    @property
    def exit_code(self) -> int | None:
        """How it ended (128 + n for signal n); None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def terminate(self) -> None:
        """Asks it to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it and all it started."""
        self._signal(signal.SIGKILL)
        self.level.forget(self.spec.name)

    def remove(self) -> None:
        """Removes its home, log included, once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        remove_tree(self.spec.home)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if number is signal.SIGTERM:
                self.process.send_signal(number)
            else:
                os.killpg(self.process.pid, number)


def log_path(spec: ContainerSpec) -> Path:
    return spec.home / "container.log"


def prepare(spec: ContainerSpec, level: Level) -> Path:
    """Makes the container's home; the file that ``enter.py`` is to read."""
    ensure_directory(spec.home)
    launch = level.launch(spec)
    document = {**launch.document, "parent": os.getpid(), "dies_by": launch.dies_by}
    path = spec.home / "launch.json"
    write_atomically(path, msgspec.json.encode(document), mode=0o600)
    return path


def spawn(spec: ContainerSpec, level: Level, document: Path) -> Container:
    """Starts a prepared container. Call it from a thread that lives as long as the plane: its end ends it."""
    with log_path(spec).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_ENTER), str(document)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
    _write_pid(spec.home, process.pid)
    return Container(spec, level, process)


def started_at(pid: int) -> str | None:
    """The start time of a process, in the kernel's ticks, which with its pid names it for good.

    None if it has ended, though its parent may not have asked yet how.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def sweep(home: Path) -> bool:
    """Ends what an earlier plane's container under ``home`` left running; says whether anything was."""
    try:
        pid_text, ticks = (home / "pid").read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return False
    pid = int(pid_text)
    if started_at(pid) != ticks:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return True


def _write_pid(home: Path, pid: int) -> None:
    write_atomically(home / "pid", f"{pid} {started_at(pid) or '0'}".encode())
