"""Builds that are killed or run out of disk leave a cache that the next build can trust."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from images.places import SmallWorld
from penstock.ground.files import remove_tree
from penstock.images.build import BuildOptions, build_image
from penstock.oci.cache import BlobCache

BUILD = """
import resource, sys
from pathlib import Path
from penstock.ground.errors import PenstockError
from penstock.ground.files import remove_tree
from penstock.images.build import BuildOptions, build_image
from penstock.models.folder import read_model_folder
model, sources, cache, limit = sys.argv[1:]
folder, options = read_model_folder(Path(model)), BuildOptions(apt_sources=sources)
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
print("ready", flush=True)
try:
    print(build_image(folder, options=options, cache_dir=Path(cache)).image.digest())
except PenstockError as error:
    print(type(error).__name__, error)
"""


def start(world: SmallWorld, model: Path, cache: Path, *, limit_bytes: int = 0) -> subprocess.Popen[str]:
    """A build in a process of its own, at the moment when it begins."""
    command = [sys.executable, "-c", BUILD, str(model), world.apt_sources, str(cache), str(limit_bytes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def is_sound(cache: Path) -> bool:
    """Whether every blob is what its name says, and every layer that is known is there."""
    blobs = (cache / "oci" / "blobs" / "sha256").glob("*")
    return all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in blobs)


def test_a_build_killed_at_any_moment_is_followed_by_a_good_one(small_world: SmallWorld, tmp_path: Path):
    folder = small_world.model(tmp_path / "model")
    options = BuildOptions(apt_sources=small_world.apt_sources)
    began = time.monotonic()
    wanted = build_image(folder, options=options, cache_dir=tmp_path / "clean").image.digest()
    whole_s = time.monotonic() - began
    chance = random.Random(7)
    for _ in range(6):
        process = start(small_world, folder.path, tmp_path / "cache")
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0, whole_s * 0.8))
        process.kill()
        process.communicate()
        assert is_sound(tmp_path / "cache")
    assert build_image(folder, options=options, cache_dir=tmp_path / "cache").image.digest() == wanted
    BlobCache(tmp_path / "cache" / "oci")
    assert not list((tmp_path / "cache" / "oci" / "partial").iterdir())


@pytest.mark.parametrize("limit_bytes", [100, 5_000, 60_000])
def test_a_full_disk_is_said_and_leaves_nothing_half_made(small_world: SmallWorld, tmp_path: Path, limit_bytes: int):
    folder = small_world.model(tmp_path / "model")
    options = BuildOptions(apt_sources=small_world.apt_sources)
    build_image(folder, options=options, cache_dir=tmp_path / "cache")
    for made in ("oci", "wheels", "debian", "sboms"):  # the lock stays: uv would be the first to meet the limit
        remove_tree(tmp_path / "cache" / made)
    output, _ = start(small_world, folder.path, tmp_path / "cache", limit_bytes=limit_bytes).communicate(timeout=60)
    assert output.startswith("StorageFailed"), output
    assert is_sound(tmp_path / "cache")
    assert not list(tmp_path.glob("cache/**/*.partial"))
    assert build_image(folder, options=options, cache_dir=tmp_path / "cache").image.layers
