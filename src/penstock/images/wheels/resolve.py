"""Requirements -> Lock, through the uv executable that the package ``uv`` ships."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from uv import find_uv_bin

from penstock.ground.errors import (
    EnvironmentMismatch,
    PenstockError,
    StorageFailed,
    ToolFailed,
    Unauthenticated,
    Unavailable,
)
from penstock.ground.files import ensure_directory, write_atomically
from penstock.images.target import Target
from penstock.images.wheels.indexes import NO_INDEX, index_environment
from penstock.images.wheels.lock import Lock, read_pylock

# xgboost asks for NCCL, a third of a gigabyte, and opens it only to train on several GPUs. What a library is linked
# with, such as torch of PyPI with CUDA, is not in this list: without it the library does not load at all.
_OPTIONAL_ON_A_CPU = ("nvidia-nccl-cu12", "nvidia-nccl-cu13")
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
_WANTS_WHEELS = re.compile(r"Wheels are required for `([^`]+)`")
_NO_WHEELS = re.compile(
    r"([\w.-]+?)(?:[=<>!~][^ ]*)? has no (?:usable )?wheels|all versions of ([\w.-]+) have no (?:usable )?wheels"
)
_ABSENT = re.compile(
    r"Because (?:there are no versions of )?([\w.-]+)(?:[=<>!~][^ ]*)? (?:was not found in|and you require)"
)
_UNREACHABLE = ("error sending request", "Failed to fetch", "Connection refused", "dns error", "timed out",
                "network was disabled", "Could not connect")  # fmt: skip


def resolve(
    requirements: Iterable[str],
    target: Target,
    *,
    cache_dir: Path,
    environment: Mapping[str, str] | None = None,
    refresh: bool = False,
) -> Lock:
    """The wheels that meet ``requirements`` on ``target``, as the configured package indexes offer them now.

    A resolution is kept in ``cache_dir`` and used again for the same requirements and target, so that a rebuild gives
    the same image; ``refresh`` asks the indexes anew. Raises EnvironmentMismatch when nothing fits (naming what is in
    the way), Unavailable when no index can be reached, Unauthenticated when one wants a password.
    """
    wanted = wanted_lines(requirements)
    kept = ensure_directory(cache_dir / "locks") / f"{_key(wanted, target)}.toml"
    if refresh or not kept.is_file():
        write_atomically(kept, _compile(wanted, target, index_environment(environment)).encode())
    return read_pylock(kept.read_text(encoding="utf-8"), requirements=wanted, target=target)


def resolve_pins(
    pins: tuple[str, ...], target: Target, *, cache_dir: Path, environment: Mapping[str, str] | None = None
) -> Lock:
    """The wheels that ``pins`` (lines of a lock, with hashes) name, and where the indexes have them."""
    kept = ensure_directory(cache_dir / "locks") / f"{_key(pins, target)}.toml"
    if not kept.is_file():
        found = _compile(pins, target, index_environment(environment), "--no-deps")
        write_atomically(kept, found.encode())
    hashes = frozenset(pin.rpartition("sha256:")[2] for pin in pins)
    return read_pylock(kept.read_text(encoding="utf-8"), requirements=pins, target=target, among=hashes)


def resolve_now(requirements: Iterable[str], target: Target, *, environment: Mapping[str, str] | None = None) -> Lock:
    """As ``resolve``, asking the indexes and keeping nothing."""
    wanted = wanted_lines(requirements)
    return read_pylock(_compile(wanted, target, index_environment(environment)), requirements=wanted, target=target)


def wanted_lines(requirements: Iterable[str]) -> tuple[str, ...]:
    """The requirements, each once, in order."""
    return tuple(sorted({line.strip() for line in requirements if line.strip()}))


def _key(requirements: tuple[str, ...], target: Target) -> str:
    text = "\n".join(("2 gpu" if target.gpu else "2", target.python, target.uv_platform, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()


def _compile(requirements: tuple[str, ...], target: Target, environment: Mapping[str, str], *options: str) -> str:
    with tempfile.TemporaryDirectory(prefix="penstock-") as directory:
        wanted = Path(directory) / "requirements.in"
        wanted.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        command = [
            find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--color=never", "--format=pylock.toml",
            "--generate-hashes", "--only-binary=:all:", "--no-python-downloads",
            f"--python-platform={target.uv_platform}", f"--python-version={target.python}", str(wanted),
        ]  # fmt: skip
        if environment.get(NO_INDEX):
            command.append("--no-index")
        if not target.gpu:
            left_out = Path(directory) / "overrides.txt"
            left_out.write_text("".join(f"{name} ; python_version < '3'\n" for name in _OPTIONAL_ON_A_CPU))
            command.append(f"--override={left_out}")
        command += options
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise ToolFailed(f"uv was ended by signal {-done.returncode}.", fix="Try again.")
    if done.returncode:
        raise explained(done.stderr, target)
    return done.stdout


def explained(complaint: str, target: Target) -> PenstockError:
    """uv's complaint as the error that says what the caller can do; passwords in URLs are cut out."""
    text = _SECRET.sub("", complaint).strip()
    where = f"Python {target.python} on {target.platform}"
    story = _story(text)
    if "No space left on device" in text:
        return StorageFailed(f"uv has no room: {story}", fix="Free some disk space, or set UV_CACHE_DIR elsewhere.")
    if re.search(r"\b401\b|\b403\b|Unauthorized|Forbidden|authentication", text):
        return Unauthenticated(
            f"A package index refused: {story}", fix="Give its user and password in its URL or in netrc."
        )
    if any(sign in text for sign in _UNREACHABLE):
        return Unavailable(f"No package index could be reached: {story}", fix="Check the network, proxy and index URL.")
    missing = sorted(
        {name for found in _NO_WHEELS.findall(text) for name in found if name} | set(_WANTS_WHEELS.findall(text))
    )
    if missing:
        return EnvironmentMismatch(
            f"No wheel for {where}: {', '.join(missing)}. {story}",
            fix="Require a version that has one, put a wheel that you built on your index, or choose another Python.",
        )
    absent = _ABSENT.search(text)
    if absent and "was not found" in text:
        return EnvironmentMismatch(
            f"No configured package index knows {absent[1]}. {story}", fix="Check its spelling and the index settings."
        )
    if "No solution found" in text:
        return EnvironmentMismatch(
            f"The requirements cannot be met together for {where}: {story}", fix="Relax one of them."
        )
    return ToolFailed(f"uv could not resolve the requirements: {story}", fix="Correct what it names.")


def _story(text: str) -> str:
    """uv's lines as one sentence run, without its headings and hints."""
    lines = (re.sub(r"^\s*(error|cause|hint):\s*", "", line).strip() for line in text.splitlines())
    kept = [line for line in lines if line and not line.startswith(("No solution found", "Wheels are required"))]
    return " ".join(kept)[:2000] or "it gave no reason."
