from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from images.making import make_wheel
from penstock.ground.errors import IntegrityError
from penstock.images.bytecode import find_interpreter
from penstock.images.target import build_target, host_python
from penstock.images.wheels.layers import Group, ensure_layer, ensure_wheel_layers, grouped
from penstock.images.wheels.lock import Lock, LockedWheel
from penstock.oci.blob import LayerBlob
from penstock.oci.cache import BlobCache

TARGET = build_target(host_python())
HERE = find_interpreter(host_python())


def locked(*paths: Path) -> tuple[Lock, dict[str, Path]]:
    wheels = tuple(
        LockedWheel(
            name=path.name.split("-")[0],
            version="1.0",
            filename=path.name,
            url="",
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in paths
    )
    lock = Lock(target=TARGET, requirements=(), wheels=wheels)
    return lock, {wheel.name: path for wheel, path in zip(wheels, paths, strict=True)}


def names(layer: LayerBlob) -> list[str]:
    with tarfile.open(layer.path) as tar:
        return tar.getnames()


def test_large_wheels_have_their_own_layer_and_small_ones_share_one(tmp_path: Path):
    noise = os.urandom(1 << 20)
    lock, paths = locked(
        make_wheel(tmp_path, "big", files={"big/data": noise}),
        make_wheel(tmp_path, "bigger", files={"bigger/data": noise * 2}),
        make_wheel(tmp_path, "one"),
        make_wheel(tmp_path, "two"),
    )
    groups = grouped(lock, paths)
    assert [[wheel.name for wheel in group.wheels] for group in groups] == [["bigger"], ["big"], ["one", "two"]]
    assert groups[0].note == "package: bigger 1.0"


def test_never_more_layers_than_engines_take(tmp_path: Path):
    many = [tmp_path / f"p{number}-1.0-py3-none-any.whl" for number in range(130)]
    for path in many:
        with path.open("wb") as file:
            file.truncate(1 << 20)
    assert len(grouped(*locked(*many))) <= 100


def test_the_same_wheels_give_the_same_bytes(tmp_path: Path):
    lock, paths = locked(make_wheel(tmp_path, "one"), make_wheel(tmp_path, "two"))
    first, second = (
        ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=BlobCache(tmp_path / each)) for each in "ab"
    )
    assert [layer.digest for _, layer in first] == [layer.digest for _, layer in second]


def test_a_layer_is_made_once(tmp_path: Path):
    lock, paths = locked(make_wheel(tmp_path, "one"))
    blobs = BlobCache(tmp_path / "oci")
    first = ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=blobs)
    paths["one"].unlink()
    again = ensure_layer(first[0][0], paths, TARGET, interpreter=find_interpreter(TARGET.python), blobs=blobs)
    assert again == first[0][1]


def test_where_two_wheels_bring_one_file_the_later_stays(tmp_path: Path):
    lock, paths = locked(
        make_wheel(tmp_path, "one", files={"shared/__init__.py": b"FROM = 'one'\n"}),
        make_wheel(tmp_path, "two", files={"shared/__init__.py": b"FROM = 'two'\n"}),
    )
    ((_, layer),) = ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=BlobCache(tmp_path / "oci"))
    with tarfile.open(layer.path) as tar:
        member = tar.extractfile(f"{TARGET.site_packages}/shared/__init__.py")
        assert member is not None
        assert member.read() == b"FROM = 'two'\n"


def test_a_kept_wheel_that_was_damaged_is_removed(tmp_path: Path):
    lock, paths = locked(make_wheel(tmp_path, "one"))
    paths["one"].write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="has been removed"):
        ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=BlobCache(tmp_path / "oci"))
    assert not paths["one"].exists()
    assert not list((tmp_path / "oci" / "layers").iterdir())


def test_a_lying_record_leaves_no_layer(tmp_path: Path):
    lock, paths = locked(make_wheel(tmp_path, "one", record={"one/__init__.py": b"other"}))
    blobs = BlobCache(tmp_path / "oci")
    with pytest.raises(IntegrityError, match="RECORD"):
        ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=blobs)
    assert not list((tmp_path / "oci" / "blobs" / "sha256").iterdir())
    assert not list((tmp_path / "oci" / "partial").iterdir())


def test_laid_out_packages_run_from_their_bytecode(tmp_path: Path):
    """The .pyc alone is enough: it is taken without a look at the source (PEP 552, unchecked hash)."""
    files = {"one/__init__.py": b"ANSWER = 42\n", "one/broken.py": b"def (:\n"}
    lock, paths = locked(make_wheel(tmp_path, "one", files=files))
    ((_, layer),) = ensure_wheel_layers(lock, paths, interpreter=HERE, blobs=BlobCache(tmp_path / "oci"))
    root = tmp_path / "root"
    with tarfile.open(layer.path) as tar:
        tar.extractall(root, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(root)
    site = root / TARGET.site_packages
    (site / "one/__init__.py").write_text("raise SystemExit('compiled anew')\n")
    code = "import one; print(one.ANSWER, one.__cached__)"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("42 ")
    assert f"{TARGET.site_packages}/one/__pycache__/broken.cpython-{TARGET.python.replace('.', '')}.pyc" not in names(
        layer
    )


def test_bytecode_does_not_depend_on_the_hash_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = b"def f(a, *, b=frozenset({'x', 'y', 'z'})):\n    return a in {'p', 'q', 'r'}, 'name', ('name', b)\n"
    lock, paths = locked(make_wheel(tmp_path, "one", files={f"one/m{n}.py": source for n in range(20)}))
    digests = set()
    for seed in ("0", "1", "12345"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        interpreter = find_interpreter(TARGET.python)
        layer = ensure_layer(
            Group(lock.wheels), paths, TARGET, interpreter=interpreter, blobs=BlobCache(tmp_path / seed)
        )
        digests.add(layer.digest)
    assert len(digests) == 1
