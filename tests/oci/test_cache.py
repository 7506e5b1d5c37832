"""The cache: whole or absent, swept of the dead, resumed after a cut, sound when its writer is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from penstock.ground.files import sha256_of
from penstock.oci.cache import BlobCache, Partial
from penstock.oci.digests import digest_of
from penstock.oci.layer import LayerEntry, write_layer


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def cut_after(partial: Partial, content: bytes) -> None:
    partial.file.write(content)
    raise RuntimeError


def test_a_blob_appears_when_it_is_kept_and_not_before(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    digest = digest_of(b"abc")
    with cache.writing() as partial:
        partial.file.write(b"abc")
        assert cache.find_blob(digest) is None
        assert partial.keep(digest).read_bytes() == b"abc"
    assert cache.find_blob(digest, size_bytes=3) == cache.path(digest)
    assert cache.find_blob(digest, size_bytes=4) is None


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    with pytest.raises(RuntimeError), cache.writing() as partial:
        cut_after(partial, b"abc")
    assert files(tmp_path) == []


def test_a_cut_download_is_found_again_and_a_dead_write_is_swept(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    digest = digest_of(b"abcdef")
    with pytest.raises(RuntimeError), cache.downloading(digest) as partial:
        cut_after(partial, b"abc")
    (tmp_path / "partial" / "dead.partial").write_bytes(b"x")
    later = BlobCache(tmp_path)
    assert [path.suffix for path in files(tmp_path)] == [".download"]
    with later.downloading(digest) as partial:
        assert partial.file.read() == b"abc"
        partial.file.write(b"def")
        partial.keep(digest)
    assert later.path(digest).read_bytes() == b"abcdef"
    assert files(tmp_path / "partial") == []


def test_a_living_writer_is_not_swept(tmp_path: Path) -> None:
    with BlobCache(tmp_path).writing() as partial:
        BlobCache(tmp_path)
        partial.file.write(b"abc")
        assert partial.keep(digest_of(b"abc")).exists()


def test_a_record_without_its_whole_blob_is_not_found(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    layer = write_layer([LayerEntry(name="a", content=b"x" * 1000)], cache, key="k")
    os.truncate(layer.path, 10)
    assert cache.find("k") is None
    assert write_layer([LayerEntry(name="a", content=b"x" * 1000)], cache, key="k") == layer
    assert cache.find("k") == layer
    layer.path.unlink()
    assert cache.find("k") is None


WRITER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from penstock.oci.cache import BlobCache
    from penstock.oci.layer import LayerEntry, write_layer
    cache = BlobCache(Path(sys.argv[1]))
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        content = os.urandom(300_000)
        write_layer([LayerEntry(name=f"f{number}", content=content)], cache, key=f"{os.getpid()}-{number}")
    """
)


def test_a_kill_at_any_moment_leaves_the_cache_sound(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            before = len(files(tmp_path / "layers"))
            deadline = time.monotonic() + 30
            while len(files(tmp_path / "layers")) == before and time.monotonic() < deadline:
                pass
            spin_until = time.monotonic() + chance.random() * 0.05
            while time.monotonic() < spin_until:
                pass
            writer.send_signal(signal.SIGKILL)
    BlobCache(tmp_path)
    blobs = files(tmp_path / "blobs")
    assert len(blobs) >= 6
    assert all(sha256_of(path) == path.name for path in blobs)
    assert files(tmp_path / "partial") == []
    assert all(b"sha256:" in record.read_bytes() for record in files(tmp_path / "layers"))
