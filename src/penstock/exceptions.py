"""``mlflow.exceptions`` for notebooks that catch its one exception: everything that Penstock raises is one."""

from __future__ import annotations

from penstock.ground.errors import PenstockError

MlflowException = PenstockError
