"""The lock that stays with a model: its next build, anywhere, is of the same packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from images.making import make_wheel
from images.places import SmallWorld
from penstock.ground.errors import EnvironmentMismatch, IntegrityError
from penstock.images.build import BuildOptions, build_image
from penstock.images.model import read_model_files
from penstock.images.target import build_target
from penstock.images.wheels.kept import keep_lock, lock_name, resolve_for_model
from penstock.images.wheels.lock import Lock

TARGET = build_target("3.11")
Resolve = Callable[..., Lock]


@pytest.fixture
def resolved(tmp_path: Path, index_only: Callable[[Path], dict[str, str]]) -> Resolve:
    """Resolves as on a machine of that name: each has a cache of its own, all see the index ``wheels``."""
    make_wheel(tmp_path / "wheels", "top", requires=("base",))
    make_wheel(tmp_path / "wheels", "base")

    def resolve(machine: str = "one", **options: object) -> Lock:
        where = {"cache_dir": tmp_path / machine, "environment": index_only(tmp_path / "wheels")}
        return resolve_for_model(tmp_path, ("top",), TARGET, **{**where, **options})  # type: ignore[arg-type]

    return resolve


def test_another_machine_builds_the_same_packages(tmp_path: Path, resolved: Resolve):
    first = resolved()
    keep_lock(tmp_path, first)
    make_wheel(tmp_path / "wheels", "base", "2.0")
    other = resolved("two")
    assert other.wheels == first.wheels
    assert (other.digest(), other.requirements) == (first.digest(), ("top",))
    assert [wheel.version for wheel in resolved("two", refresh=True).wheels] == ["2.0", "1.0"]


def test_a_wheel_that_fits_better_and_came_later_is_passed_over(tmp_path: Path, resolved: Resolve):
    first = resolved()
    keep_lock(tmp_path, first)
    make_wheel(tmp_path / "wheels", "base", tag="cp311-cp311-manylinux_2_28_x86_64")
    assert resolved("two").wheels == first.wheels


def test_other_requirements_make_another_lock(tmp_path: Path, resolved: Resolve):
    keep_lock(tmp_path, resolved())
    kept = tmp_path / lock_name(TARGET)
    kept.write_text(kept.read_text().replace("Made for: top", "Made for: top==0.9"))
    make_wheel(tmp_path / "wheels", "base", "2.0")
    assert resolved("two").wheels[0].version == "2.0"


def test_other_bytes_under_a_locked_version_are_refused(tmp_path: Path, resolved: Resolve):
    keep_lock(tmp_path, resolved())
    make_wheel(tmp_path / "wheels", "base", files={"base/__init__.py": b"import antigravity\n"})
    with pytest.raises((IntegrityError, EnvironmentMismatch)):
        resolved("two")


def test_a_locked_version_that_was_taken_away_is_named_with_the_way_out(tmp_path: Path, resolved: Resolve):
    keep_lock(tmp_path, resolved())
    (tmp_path / "wheels" / "base-1.0-py3-none-any.whl").unlink()
    make_wheel(tmp_path / "wheels", "base", "2.0")
    with pytest.raises(EnvironmentMismatch, match=r"requirements-linux-amd64\.lock.*base==1\.0.*--refresh"):
        resolved("two")


def test_it_is_no_part_of_the_model(small_world: SmallWorld, tmp_path: Path):
    folder = small_world.model(tmp_path / "model")
    options = BuildOptions(apt_sources=small_world.apt_sources)
    before = build_image(folder, options=options, cache_dir=tmp_path / "one")
    keep_lock(folder.path, before.lock)
    assert (folder.path / "requirements-linux-amd64.lock").is_file()
    assert "requirements-linux-amd64.lock" not in read_model_files(folder).files
    after = build_image(folder, options=options, cache_dir=tmp_path / "two")
    assert after.image.digest() == before.image.digest()


def test_a_folder_that_cannot_be_written_goes_without(resolved: Resolve):
    keep_lock(Path("/proc/self"), resolved())
