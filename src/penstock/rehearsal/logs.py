"""CloudWatch Logs of containers: each container's file is read on and its new lines become log events."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from penstock.ground.clock import Clock
from penstock.rehearsal.neighbours import Neighbours

_MOST_BYTES = 1 << 20


class Stream(msgspec.Struct, kw_only=True):
    """A container's log file and how far it has been read."""

    path: Path
    region: str
    group: str
    name: str
    offset: int = 0


def endpoint_group(endpoint: str) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def component_group(component: str) -> str:
    return f"/aws/sagemaker/InferenceComponents/{component}"


class Logs:
    """Follows log files into moto's Logs; ``sync`` before anything reads, and once a second for the times' sake."""

    def __init__(self, neighbours: Neighbours, *, clock: Clock) -> None:
        self._neighbours = neighbours
        self._clock = clock
        self._lock = threading.Lock()
        self._streams: dict[Path, Stream] = {}

    def follow(self, path: Path, *, region: str, group: str, name: str) -> None:
        with self._lock:
            self._streams[path] = Stream(path=path, region=region, group=group, name=name)

    def leave(self, path: Path) -> None:
        """Reads the file's last lines and forgets it."""
        with self._lock:
            stream = self._streams.pop(path, None)
            if stream is not None:
                self._read_on(stream)

    def sync(self) -> None:
        """Takes over every line written since the last time."""
        with self._lock:
            for stream in self._streams.values():
                self._read_on(stream)

    def _read_on(self, stream: Stream) -> None:
        lines = _new_lines(stream)
        if not lines:
            return
        backend = self._neighbours.backend("logs", stream.region)
        if stream.group not in backend.groups:
            backend.create_log_group(stream.group, {})
        backend.ensure_log_stream(stream.group, stream.name)
        now_ms = self._clock.now_ms()
        events = [{"timestamp": now_ms, "message": line} for line in lines]
        backend.put_log_events(stream.group, stream.name, events)


def _new_lines(stream: Stream) -> list[str]:
    """The whole lines that the file has gained; a line still being written waits."""
    try:
        with stream.path.open("rb") as file:
            file.seek(stream.offset)
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return []
    end = content.rfind(b"\n") + 1
    if end == 0 and len(content) < _MOST_BYTES:
        return []
    stream.offset += end or len(content)
    text = content[: end or len(content)].decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def last_line(path: Path) -> str:
    """The last line of a log that says anything: of a traceback, the exception; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16_384))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else ""
