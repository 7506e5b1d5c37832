"""The real program, started as a person starts it, and what it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PENSTOCK = Path(sys.executable).with_name("penstock")


class Program:
    """``penstock`` with a state directory of its own; the cache is shared, as it is between a person's runs."""

    def __init__(self, state_dir: Path, *, through: Sequence[str] = (), extra: Mapping[str, str] | None = None) -> None:
        self.state_dir = state_dir
        self.through = [*through]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PENSTOCK_", "MLFLOW_"))}
        cache = os.environ.get("PENSTOCK_CACHE_DIR")
        self.environment = kept | {"PENSTOCK_STATE_DIR": str(state_dir)} | (extra or {})
        if cache and "PENSTOCK_CACHE_DIR" not in self.environment:
            self.environment["PENSTOCK_CACHE_DIR"] = cache

    def run(self, *arguments: str, code: int = 0, timeout: float = 170) -> subprocess.CompletedProcess[str]:
        """What one command printed; the test fails unless it ends with ``code``."""
        done = subprocess.run(
            [*self.through, str(PENSTOCK), *arguments],
            env=self.environment, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done

    def document(self, *arguments: str, code: int = 0) -> Any:
        """The one JSON document that a command printed."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def stopped_at(self, phase: str, number: signal.Signals, *arguments: str) -> tuple[int, str]:
        """Sends ``number`` as soon as ``phase`` has been said to be over; the exit code and all of stderr."""
        with subprocess.Popen(
            [*self.through, str(PENSTOCK), *arguments],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if phase in line:
                    process.send_signal(number)
                    break
            said += process.stderr.read()
            return process.wait(timeout=120), said

    def processes(self) -> list[str]:
        """The command lines of processes that belong to this state directory."""
        own = str(self.state_dir).encode()
        lines = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if own in line and entry.name != str(os.getpid()):
                lines.append(line.replace(b"\0", b" ").decode(errors="replace"))
        return lines

    def planes(self) -> list[str]:
        """What is left of planes: every file below them but the lock."""
        root = self.state_dir / "planes"
        return [str(path) for path in root.rglob("*") if path.name != "quickstart.lock"]
