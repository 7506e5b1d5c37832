from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from images.making import make_sdist, make_wheel
from penstock.ground.errors import EnvironmentMismatch, IntegrityError, Unauthenticated, Unavailable
from penstock.images.target import build_target
from penstock.images.wheels.fetch import fetch, wheel_path
from penstock.images.wheels.resolve import explained, resolve

AMD64, ARM64 = build_target("3.11"), build_target("3.13", platform="linux/arm64")


def test_each_target_gets_its_own_wheels(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    wheels = tmp_path / "wheels"
    make_wheel(
        wheels, "top", requires=("fast", "only_linux; sys_platform == 'linux'", "only_mac; sys_platform == 'darwin'")
    )
    make_wheel(wheels, "fast", tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(wheels, "fast", tag="cp313-cp313-manylinux_2_28_aarch64")
    make_wheel(wheels, "only_linux")
    made = resolve(["top"], AMD64, cache_dir=tmp_path / "c", environment=index_only(wheels))
    assert [wheel.filename for wheel in made.wheels] == [
        "fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "only_linux-1.0-py3-none-any.whl",
        "top-1.0-py3-none-any.whl",
    ]
    other = resolve(["top"], ARM64, cache_dir=tmp_path / "c", environment=index_only(wheels))
    assert other.wheels[0].filename == "fast-1.0-cp313-cp313-manylinux_2_28_aarch64.whl"


def test_what_only_gpus_use_is_left_out_for_a_cpu(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "xgboost", requires=("nvidia-nccl-cu12; platform_system == 'Linux'",))
    make_wheel(wheels, "nvidia_nccl_cu12")
    environment = index_only(wheels)
    on_cpu = resolve(["xgboost"], AMD64, cache_dir=tmp_path / "c", environment=environment)
    on_gpu = resolve(["xgboost"], build_target("3.11", gpu=True), cache_dir=tmp_path / "c", environment=environment)
    assert [wheel.name for wheel in on_cpu.wheels] == ["xgboost"]
    assert [wheel.name for wheel in on_gpu.wheels] == ["nvidia-nccl-cu12", "xgboost"]


def test_a_resolution_is_kept_until_it_is_refreshed(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "top", "1.0")
    first = resolve(["top"], AMD64, cache_dir=tmp_path / "c", environment=index_only(wheels))
    make_wheel(wheels, "top", "2.0")
    again = resolve(["top"], AMD64, cache_dir=tmp_path / "c", environment=index_only(wheels))
    fresh = resolve(["top"], AMD64, cache_dir=tmp_path / "c", environment=index_only(wheels), refresh=True)
    assert first == again
    assert [wheel.version for wheel in (*first.wheels, *fresh.wheels)] == ["1.0", "2.0"]


def test_a_source_only_requirement_is_refused_by_name(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    make_sdist(tmp_path / "wheels", "compileme")
    with pytest.raises(EnvironmentMismatch, match=r"No wheel for Python 3.11 on linux/amd64: compileme\."):
        resolve(["compileme"], AMD64, cache_dir=tmp_path, environment=index_only(tmp_path / "wheels"))


def test_a_conflict_is_told(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "top", requires=("base<2",))
    make_wheel(wheels, "base", "1.0")
    make_wheel(wheels, "base", "2.0")
    with pytest.raises(EnvironmentMismatch, match=r"cannot be met together.*top.*base<2.*Relax one of them\."):
        resolve(["top", "base==2.0"], AMD64, cache_dir=tmp_path, environment=index_only(wheels))


def test_an_unknown_package_is_named(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    with pytest.raises(EnvironmentMismatch, match="index knows nobody-has-this"):
        resolve(["nobody-has-this"], AMD64, cache_dir=tmp_path, environment=index_only(tmp_path))


def test_without_a_network_nothing_is_half_made(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    away = {**index_only(tmp_path), "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    del away["UV_NO_INDEX"], away["UV_FIND_LINKS"]
    with pytest.raises(Unavailable, match="Check the network"):
        resolve(["anything"], AMD64, cache_dir=tmp_path / "c", environment=away)
    assert list((tmp_path / "c" / "locks").iterdir()) == []


def test_passwords_are_cut_out_of_complaints():
    told = explained(
        "error: Failed to fetch: `https://me:secret@index.example/simple/x/`\n cause: 401 Unauthorized", AMD64
    )
    assert isinstance(told, Unauthenticated)
    assert "secret" not in str(told)
    assert "https://index.example/simple/x/" in str(told)


def test_fetched_wheels_are_the_locked_ones(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]):
    made = make_wheel(tmp_path / "wheels", "top")
    lock = resolve(["top"], AMD64, cache_dir=tmp_path / "c", environment=index_only(tmp_path / "wheels"))
    assert fetch(lock, cache_dir=tmp_path / "c")["top"].read_bytes() == made.read_bytes()
    wheel_path(tmp_path / "c", lock.wheels[0]).unlink()
    made.write_bytes(made.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match="was promised"):
        fetch(lock, cache_dir=tmp_path / "c")
    assert not wheel_path(tmp_path / "c", lock.wheels[0]).exists()
