"""A plane as a process of its own: started in the background, found again, stopped; and its clients' environment."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from penstock.ground.errors import Conflict, TimedOut, ToolFailed
from penstock.ground.files import ensure_directory
from penstock.rehearsal.options import ACCESS_KEY, SECRET_KEY, PlaneInfo
from penstock.rehearsal.runner.container import started_at

INFO = "plane.json"
LOG = "plane.log"
START_SECONDS = 30.0
STOP_SECONDS = 45.0
_POLL_SECONDS = 0.02


def start_plane(
    state_dir: Path,
    *,
    port: int = 0,
    cache_dir: Path | None = None,
    time_scale: float | None = None,
    runner: str | None = None,
    region: str | None = None,
    check_signatures: bool = False,
    detached: bool = True,
) -> PlaneInfo:
    """The plane of ``state_dir`` once it answers; one that runs already is given back as it is.

    ``detached`` False ties it to this process: it ends when this process does. Raises ToolFailed with the log's last
    line when it does not come up, TimedOut when it does not within 30 s.
    """
    running = find_plane(state_dir)
    if running is not None:
        return running
    log = ensure_directory(state_dir) / LOG
    options = {"--port": port or None, "--cache-dir": cache_dir, "--time-scale": time_scale, "--runner": runner}
    command = [sys.executable, "-m", "penstock.rehearsal", "--state-dir", str(state_dir)]
    for name, value in {**options, "--region": region}.items():
        command += [name, str(value)] if value is not None else []
    command += ["--check-signatures"] if check_signatures else []
    command += [] if detached else ["--die-with-parent"]
    return _wait_until_ready(state_dir, _spawn(command, log), log)


def _own_environment() -> dict[str, str]:
    """The plane's environment: nothing that tells an AWS client where AWS is, for the plane is where it ends."""
    return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}


def find_plane(state_dir: Path) -> PlaneInfo | None:
    """The plane that runs on ``state_dir``, or None; a file left by a killed plane does not count."""
    try:
        info = msgspec.json.decode((state_dir / INFO).read_bytes(), type=PlaneInfo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return info if started_at(info.pid) == info.started and _answers(info) else None


def stop_plane(state_dir: Path) -> bool:
    """Stops the plane and all it started; False when none was running. Raises TimedOut."""
    info = find_plane(state_dir)
    if info is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(info.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_running(info):
        if time.monotonic() > deadline:
            raise TimedOut(f"The plane (process {info.pid}) has not ended.", fix=f"End it with kill -9 {info.pid}.")
        time.sleep(_POLL_SECONDS)
    return True


def plane_environment(info: PlaneInfo) -> dict[str, str]:
    """The variables that send every AWS client here and nowhere else: one endpoint, false keys, no real profile."""
    return {
        "AWS_ENDPOINT_URL": info.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": info.region,
        "AWS_DEFAULT_REGION": info.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def real_credentials(environment: Mapping[str, str]) -> str | None:
    """Where real AWS credentials seem to be in reach, or None: worth a warning before a rehearsal."""
    key = environment.get("AWS_ACCESS_KEY_ID", "")
    if key and key != ACCESS_KEY:
        return "the environment variable AWS_ACCESS_KEY_ID"
    given = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(given) if given else Path(environment.get("HOME", "/")) / ".aws" / "credentials"
    return str(path) if path.is_file() and path.stat().st_size else None


def _spawn(command: list[str], log: Path) -> int:
    """Starts the command in a session of its own, saying what it says in ``log``; its process id.

    Not through subprocess, whose objects may not be dropped while their process runs.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, _own_environment(), file_actions=actions, setsid=True)


def _wait_until_ready(state_dir: Path, pid: int, log: Path) -> PlaneInfo:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _has_ended(pid):
            lines = log.read_text(errors="replace").strip().splitlines()
            raise ToolFailed(
                f"The plane ended at once: {lines[-1] if lines else 'it said nothing'}.", fix=f"See {log}."
            )
        info = find_plane(state_dir)
        if info is not None:
            if info.pid != pid:
                os.kill(pid, signal.SIGTERM)
                raise Conflict(f"Another plane has just been started on {state_dir}.", fix="Use that one.")
            return info
        time.sleep(_POLL_SECONDS)
    os.kill(pid, signal.SIGTERM)
    raise TimedOut(f"The plane is not ready after {START_SECONDS:.0f} s.", fix=f"See {log}.")


def _has_ended(pid: int) -> bool:
    """Whether a child of ours has ended; it is reaped then."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists()


def _answers(info: PlaneInfo) -> bool:
    """Whether this very plane answers there; another may have taken its port."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{info.url}/_penstock/health", timeout=5) as answer:
            return bool(msgspec.json.decode(answer.read())["pid"] == info.pid)
    except (urllib.error.URLError, OSError, msgspec.DecodeError, KeyError):
        return False


def _is_running(info: PlaneInfo) -> bool:
    return not _has_ended(info.pid) and started_at(info.pid) == info.started
