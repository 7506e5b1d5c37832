"""Large artifacts through our server, up and down, in constant memory on both sides; 5 GiB in the full ring."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wire.peers import server_process

GROWTH_BYTES = 64 << 20

TRANSFER = """
import os, resource, sys
from pathlib import Path
import penstock
source, target = map(Path, sys.argv[1:])
(source.parent / "tiny").write_text("x")
run = penstock.start_run()
penstock.log_artifact(source.parent / "tiny")
penstock.MlflowClient().download_artifacts(run.info.run_id, "tiny", target)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
penstock.log_artifact(source)
penstock.MlflowClient().download_artifacts(run.info.run_id, source.name, target)
penstock.end_run()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def _peak_bytes(pid: int) -> int:
    """The most memory that the process has held (Linux: VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("size_bytes", [192 << 20, pytest.param(5 << 30, marks=pytest.mark.full)])
def test_memory_stays_while_a_large_artifact_passes(size_bytes: int, tmp_path: Path, state_dir: Path) -> None:
    source, target = tmp_path / "large.bin", tmp_path / "got"
    block = os.urandom(1 << 20)
    with source.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(block)
    with server_process(tmp_path / "server") as (url, process):
        before = _peak_bytes(process.pid)
        ended = subprocess.run(
            [sys.executable, "-c", TRANSFER, str(source), str(target)],
            env={**os.environ, "MLFLOW_TRACKING_URI": url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert int(ended.stdout) < GROWTH_BYTES
        assert _peak_bytes(process.pid) - before < GROWTH_BYTES
    with source.open("rb") as sent, (target / "large.bin").open("rb") as got:
        assert os.fstat(got.fileno()).st_size == size_bytes
        assert hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(got, "sha256").digest()
