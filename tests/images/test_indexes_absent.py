"""A folder of wheels that pip's settings name and that is not there is passed over, as pip does."""

from __future__ import annotations

from pathlib import Path

from penstock.images.wheels.indexes import index_environment


def test_absent_folders_are_passed_over(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PIP_FIND_LINKS": f"{tmp_path} {tmp_path}/absent"}
    assert index_environment(environment)["UV_FIND_LINKS"] == str(tmp_path)
    absent = index_environment({"HOME": str(tmp_path), "PIP_EXTRA_INDEX_URL": f"file://{tmp_path}/absent"})
    assert "UV_INDEX" not in absent
