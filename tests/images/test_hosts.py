"""An image is for Linux, whatever its builder's machine is: uv is made to believe that it runs on another."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from images.host import HOSTS, interpreter_of
from images.making import make_wheel
from penstock.images.target import build_target
from penstock.images.wheels.resolve import resolve

MARKERS = tuple(f"on_{system}; sys_platform == '{system}'" for system in ("linux", "darwin", "win32"))


@pytest.mark.parametrize("host", HOSTS)
def test_linux_markers_and_wheels_are_taken_on_any_host(
    tmp_path: Path, index_only: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "top", requires=(*MARKERS, "fast"))
    for system in ("linux", "darwin", "win32"):
        make_wheel(wheels, f"on_{system}")
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_11_0_arm64", "win_amd64"):
        make_wheel(wheels, "fast", tag=f"cp311-cp311-{platform}")
    found_first = interpreter_of(host, tmp_path / "bin").parent
    environment = index_only(wheels)
    environment["PATH"] = f"{found_first}:{environment['PATH']}"
    monkeypatch.chdir(tmp_path)  # away from this project's own virtual environment
    ours = f"on-{HOSTS[host]['platform']}=="
    (tmp_path / "requirements.in").write_text("top\n")
    native = [find_uv_bin(), "pip", "compile", "--no-index", "--python-version=3.11", str(tmp_path / "requirements.in")]
    told = subprocess.run(native, env=environment, capture_output=True, text=True, check=True).stdout
    assert ours in told, "uv is not on that host: the test would prove nothing"
    for architecture, tag in (("amd64", "x86_64"), ("arm64", "aarch64")):
        target = build_target("3.11", platform=f"linux/{architecture}")
        found = resolve(["top"], target, cache_dir=tmp_path / architecture, environment=environment)
        assert [wheel.name for wheel in found.wheels] == ["fast", "on-linux", "top"]
        assert found.wheels[0].filename.endswith(f"manylinux_2_28_{tag}.whl")
