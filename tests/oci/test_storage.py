"""The registry's storage: restarts, kills at random moments, concurrent pushes, garbage, full disks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from oci.images import AMD64, make_image
from oci.serving import serving
from penstock.ground.errors import Conflict, IntegrityError, InvalidInput, NotFound, PenstockError
from penstock.ground.files import sha256_of
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.connection import Retries
from penstock.oci.digests import digest_of
from penstock.oci.image import Image
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import Index, Manifest

TESTS = Path(__file__).resolve().parent.parent


def put_blob(storage: RegistryStorage, repository: str, content: bytes) -> str:
    storage.finish_upload(storage.append(storage.start_upload(repository), [content]), digest_of(content))
    return digest_of(content)


def put_image(storage: RegistryStorage, repository: str, image: Image, *, tag: str | None = None) -> str:
    put_blob(storage, repository, image.config_bytes())
    for layer in image.layers:
        with layer.open() as stream:
            put_blob(storage, repository, stream.read())
    return storage.put_manifest(repository, image.manifest(), media_type="", tag=tag)


def blobs(storage: RegistryStorage) -> int:
    return len(list((storage.directory / "blobs").iterdir()))


def check(storage: RegistryStorage) -> int:
    """Asserts that all which is pointed at is there and is what it is called; gives the number of manifests."""
    for path in (storage.directory / "blobs").iterdir():
        assert path.name.startswith(".") or sha256_of(path) == path.name
    found = 0
    for repository in storage.repositories():
        for digest in [*storage.manifests(repository), *storage.tags(repository).values()]:
            stored = storage.find_manifest(repository, digest)
            assert stored is not None
            assert digest_of(stored.content) == digest
            manifest = stored.decode()
            assert isinstance(manifest, Manifest)
            for blob in (manifest.config, *manifest.layers):
                assert storage.find_blob(repository, blob.digest) is not None
            found += 1
    return found


def test_what_was_put_outlives_the_process(tmp_path: Path) -> None:
    image = make_image(tmp_path / "cache")
    digest = put_image(RegistryStorage(tmp_path / "store"), "a/b", image, tag="v1")
    again = RegistryStorage(tmp_path / "store")
    assert again.repositories() == ["a/b"]
    assert again.tags("a/b") == {"v1": digest}
    assert check(again) == 2


def test_uploads_go_on_after_a_restart(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path)
    upload = storage.append(storage.start_upload("a"), [b"abc"])
    later = RegistryStorage(tmp_path)
    found = later.upload("a", upload.id)
    assert found.size_bytes == 3
    later.finish_upload(later.append(found, [b"def"]), digest_of(b"abcdef"))
    assert later.find_blob("a", digest_of(b"abcdef")) is not None
    with pytest.raises(NotFound):
        later.upload("a", upload.id)


def test_no_name_leads_out_of_the_store(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    image = make_image(tmp_path / "cache")
    digest = put_image(storage, "a", image, tag="v1")
    outside = f"../_manifests/{digest.removeprefix('sha256:')}"
    for version in (outside, "..", "", "sha256:..", "sha256:" + "0" * 63, "a/b"):
        assert storage.find_manifest("a", version) is None
    for name in ("..", "../a", "a/../a", "A", "", "a/_tags", "/a", "a\n"):
        with pytest.raises(InvalidInput, match="cannot name a repository"):
            storage.find_manifest(name, "v1")
    with pytest.raises(InvalidInput, match="cannot be a tag"):
        storage.put_manifest("a", image.manifest(), media_type="", tag="../v1")
    with pytest.raises(NotFound):
        storage.delete_tag("a", outside)
    for upload_id in ("..", "", "../uploads"):
        with pytest.raises(NotFound):
            storage.upload("a", upload_id)
    assert check(storage) == 2


def test_two_writers_of_one_upload_do_not_mix(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path)
    upload = storage.start_upload("a")
    storage.append(upload, [b"abc"])
    with pytest.raises(Conflict):
        storage.append(upload, [b"xyz"])
    with pytest.raises(NotFound):
        storage.upload("other", upload.id)


def test_a_wrong_digest_leaves_no_blob(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path)
    upload = storage.append(storage.start_upload("a"), [b"abc"])
    with pytest.raises(IntegrityError):
        storage.finish_upload(upload, digest_of(b"abd"))
    assert blobs(storage) == 0


def test_a_deleted_image_takes_what_only_it_needed(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    kept, dropped = make_image(tmp_path / "cache"), make_image(tmp_path / "cache", model=b"other")
    put_image(storage, "a", kept, tag="kept")
    put_image(storage, "b", dropped, tag="shared")
    digest = put_image(storage, "a", dropped, tag="dropped")
    assert blobs(storage) == 7  # three layers, two configs, two manifests
    storage.delete_manifest("a", digest)
    assert storage.find_blob("a", dropped.layers[1].digest) is None
    assert storage.find_blob("a", dropped.layers[0].digest) is not None
    assert blobs(storage) == 7
    storage.delete_manifest("b", digest)
    assert blobs(storage) == 4
    assert check(storage) == 2


def test_garbage_is_what_no_manifest_needs_and_nobody_is_pushing(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    put_image(storage, "a", make_image(tmp_path / "cache"), tag="kept")
    put_blob(storage, "a", b"pushed, and no manifest yet")
    storage.start_upload("a")
    assert storage.collect_garbage(older_than_seconds=3600) == 0
    assert blobs(storage) == 5
    assert storage.collect_garbage(older_than_seconds=0) > 0
    assert check(storage) == 2
    assert blobs(storage) == 4  # two layers, a config, a manifest
    assert list((storage.directory / "uploads").iterdir()) == []


def test_a_repository_goes_and_its_neighbours_stay(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    image = make_image(tmp_path / "cache")
    for name in ("a", "a/b", "ab"):
        put_image(storage, name, image, tag="v1")
    storage.delete_repository("a")
    assert storage.repositories() == ["a/b", "ab"]
    assert storage.tags("a") == {}
    storage.delete_repository("a/b")
    assert storage.repositories() == ["ab"]
    assert not (storage.directory / "repositories" / "a").exists()
    storage.delete_repository("ab")
    storage.delete_repository("never")
    assert blobs(storage) == 0


def test_an_index_keeps_its_images(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    digest = put_image(storage, "a", make_image(tmp_path / "cache"))
    entry = {"mediaType": "m", "digest": digest, "size": 1}
    content = b'{"schemaVersion":2,"manifests":[%s]}' % str(entry).replace("'", '"').encode()
    index = storage.put_manifest("a", content, media_type="", tag="both")
    storage.collect_garbage(older_than_seconds=0)
    stored = storage.find_manifest("a", index)
    assert stored is not None
    assert isinstance(stored.decode(), Index)
    assert storage.find_manifest("a", digest) is not None


def test_many_push_at_once(tmp_path: Path) -> None:
    storage = RegistryStorage(tmp_path / "store")
    images = [make_image(tmp_path / "cache", model=str(number).encode()) for number in range(8)]
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            storage.collect_garbage()

    with serving(RegistryApp(storage)) as host, RegistryClient() as client, ThreadPoolExecutor(9) as pool:
        collecting = pool.submit(collect)
        pushes = [pool.submit(client.push, image, f"{host}/a:{number}") for number, image in enumerate(images)]
        digests = [push.result() for push in pushes]
        stop.set()
        collecting.result()
    assert list(storage.tags("a").values()) == digests
    assert check(storage) == 16


SERVER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from oci.serving import serving
    from penstock.oci.registry import RegistryApp
    from penstock.oci.storage import RegistryStorage
    with serving(RegistryApp(RegistryStorage(Path(sys.argv[1])))) as host:
        print(host, flush=True)
        sys.stdin.read()
    """
)


@contextmanager
def registry_process(store: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", SERVER, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


def test_a_kill_at_any_moment_leaves_the_registry_sound(tmp_path: Path) -> None:
    chance = random.Random(11)
    store, pushed = tmp_path / "store", 0
    for round_ in range(6):
        with registry_process(store) as (process, host), RegistryClient(retries=Retries(attempts=1)) as client:
            started = time.monotonic()
            client.push(make_image(tmp_path / "cache", model=os.urandom(100)), f"{host}/a:warm")
            some_pushes = 5 * (time.monotonic() - started)  # however fast this machine is just now
            timer = threading.Timer(chance.random() * some_pushes, process.send_signal, [signal.SIGKILL])
            timer.start()
            deadline = time.monotonic() + 30
            with suppress(PenstockError):
                while time.monotonic() < deadline:
                    image = make_image(tmp_path / "cache", model=os.urandom(200_000))
                    client.push(image, f"{host}/a:{round_}-{pushed}")
                    pushed += 1
            timer.join()
        storage = RegistryStorage(store)
        assert check(storage) >= pushed
    storage.collect_garbage(older_than_seconds=0)
    assert check(storage) >= pushed >= 1
    with serving(RegistryApp(storage)) as host, RegistryClient() as client:
        pulled = client.pull(f"{host}/a:warm", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert len(pulled.layers) == 2


TRAVEL = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from penstock.oci.cache import BlobCache
    from penstock.oci.client import RegistryClient
    from penstock.oci.image import empty_image
    from penstock.oci.layer import LayerEntry, write_layer
    from penstock.oci.types import Platform
    from penstock.oci.unpack import ensure_unpacked
    directory, host = Path(sys.argv[1]), sys.argv[2]
    platform = Platform("linux", "amd64")
    with RegistryClient() as client:
        layers = [write_layer([LayerEntry(name=f"big{n}", content=directory / "big")], BlobCache(directory / "cache"))
                  for n in range(2)]
        client.push(empty_image(platform).append(layers), f"{host}/big:1")
        pulled = client.pull(f"{host}/big:1", cache=BlobCache(directory / "pulled"), platform=platform)
        ensure_unpacked(pulled.layers[0], directory / "unpacked")
    print(Path("/proc/self/status").read_text())
    """
)


def peak_kib(status: str) -> int:
    """The most memory that the process of this /proc status ever had at once."""
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def test_memory_stays_the_same_however_large_the_blobs(tmp_path: Path) -> None:
    """Writing, pushing, pulling and unpacking two layers of 1 MB and of 60 MB: the same few MiB on both sides."""
    peaks = []
    for megabytes in (1, 60):
        directory = tmp_path / str(megabytes)
        directory.mkdir()
        (directory / "big").write_bytes(os.urandom(1_000_000) * megabytes)
        with registry_process(directory / "store") as (process, host):
            command = [sys.executable, "-c", TRAVEL, str(directory), host]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            peaks.append((peak_kib(done.stdout), peak_kib(Path(f"/proc/{process.pid}/status").read_text())))
    small, large = peaks
    assert large[0] - small[0] < 20 * 1024
    assert large[1] - small[1] < 20 * 1024
    assert max(large) < 150 * 1024


FULL_DISK = textwrap.dedent(
    """
    import os, resource, sys
    from pathlib import Path
    from penstock.ground.errors import StorageFailed
    from penstock.oci.cache import BlobCache
    from penstock.oci.layer import LayerEntry, write_layer
    from penstock.oci.storage import RegistryStorage
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # the kernel then says EFBIG, as a full disk ENOSPC
    root = Path(sys.argv[1])
    try:
        write_layer([LayerEntry(name="a", content=os.urandom(300_000))], BlobCache(root / "cache"), key="k")
    except StorageFailed as error:
        print(error)
    storage = RegistryStorage(root / "store")
    try:
        storage.append(storage.start_upload("a"), [os.urandom(300_000)])
    except StorageFailed as error:
        print(error)
    """
)


def test_a_full_disk_is_told_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, check=True, text=True)
    assert done.stdout.count("Cannot write") == 2
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "store" / "blobs").iterdir()) == []
