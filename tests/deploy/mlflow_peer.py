"""The real mlflow, in its own virtual environment, with Penstock beside it as pip would have installed it."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import penstock

_METADATA = "Metadata-Version: 2.1\nName: penstock\nVersion: 0.1.0\n"
_ENTRY_POINTS = "[mlflow.deployments]\npenstock = penstock.api.mlflow_plugin\n"


class MlflowPeer:
    """Runs mlflow's own interpreter. What Penstock needs and mlflow's environment lacks comes last on the path."""

    def __init__(self, python: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self._python = python
        site = directory / "site"
        (site / "penstock-0.1.0.dist-info").mkdir(parents=True)
        (site / "penstock-0.1.0.dist-info" / "METADATA").write_text(_METADATA)
        (site / "penstock-0.1.0.dist-info" / "entry_points.txt").write_text(_ENTRY_POINTS)
        (site / "penstock").symlink_to(Path(penstock.__file__).parent)
        (site / "sitecustomize.py").write_text(f"import sys\nsys.path.append({sysconfig.get_path('purelib')!r})\n")
        self._environment = {
            "PYTHONPATH": str(site),
            "MLFLOW_TRACKING_URI": f"sqlite:///{directory}/mlflow.db",
            **environment,
        }

    def mlflow(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """``mlflow ARGUMENTS``."""
        return self.python("-m", "mlflow", *arguments, timeout_s=timeout_s)

    def python(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Its interpreter with these arguments."""
        return subprocess.run(
            [str(self._python), "-W", "ignore", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
