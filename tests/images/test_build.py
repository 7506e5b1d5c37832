from __future__ import annotations

import json
import tarfile
from pathlib import Path

import msgspec
import pytest

from images.places import SmallWorld
from penstock.ground.errors import EnvironmentMismatch, ModelFolderInvalid
from penstock.images.build import BuildOptions, BuiltImage, build_image, check_gpu
from penstock.images.target import build_target
from penstock.images.wheels.lock import LockedWheel


def built(world: SmallWorld, tmp_path: Path, *, cache: str = "cache", **options: object) -> BuiltImage:
    path = tmp_path / "model"
    folder = world.model(path) if not path.exists() else world.folder(path)
    how = BuildOptions(apt_sources=world.apt_sources, **options)  # type: ignore[arg-type]
    return build_image(folder, options=how, cache_dir=tmp_path / cache)


def files(image: BuiltImage) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for layer in image.image.layers:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as tar:
            found |= {member.name: member for member in tar}
    return found


def read(image: BuiltImage, name: str) -> bytes:
    for layer in reversed(image.image.layers):
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as tar:
            if name in tar.getnames():
                member = tar.extractfile(name)
                assert member is not None
                return member.read()
    raise AssertionError(f"{name} is not in the image")


def test_the_same_input_gives_the_same_digest_everywhere(small_world: SmallWorld, tmp_path: Path):
    first, second = (built(small_world, tmp_path, cache=each) for each in ("one", "two"))
    assert first.image.digest("docker") == second.image.digest("docker")
    assert first.image.digest("oci") == second.image.digest("oci")
    assert first.sbom == second.sbom


def test_a_rebuild_makes_the_model_layer_only(small_world: SmallWorld, tmp_path: Path):
    first = built(small_world, tmp_path)
    (tmp_path / "model" / "model.pkl").write_bytes(b"another pickle")
    second = built(small_world, tmp_path)
    digests = [[layer.digest for layer in image.image.layers] for image in (first, second)]
    assert digests[0][:-1] == digests[1][:-1]
    assert digests[0][-1] != digests[1][-1]
    assert first.model_digest != second.model_digest


def test_what_the_image_holds(small_image: BuiltImage):
    image = small_image
    found = files(image)
    site = "opt/venv/lib/python3.11/site-packages"
    assert found["opt/venv/bin/python"].linkname == "/usr/bin/python3.11"
    assert found["opt/venv/bin/serve"].mode == 0o755
    for name in (
        "penstock/ground/errors.py",
        "penstock/models/load.py",
        "penstock/serving/__main__.py",
        "numpy/__init__.py",
    ):
        assert f"{site}/{name}" in found
    assert not [
        name for name in found if name.startswith((f"{site}/penstock/api", f"{site}/penstock/images", f"{site}/mlflow"))
    ]
    assert read(image, "opt/ml/model/model.pkl") == b"pickle"
    assert b"scikit-learn==1.9.1 --hash=sha256:" in read(image, "opt/venv/requirements.lock")
    tools = ("sh", "bash", "pip", "gcc", "apt", "perl")
    assert not [name for name in found if name.rsplit("/", 1)[-1] in tools]


def test_everything_in_it_can_be_read_by_anyone(small_image: BuiltImage):
    for member in files(small_image).values():
        assert (member.uid, member.gid) == (0, 0)
        assert member.issym() or member.mode & 0o004, member.name
        assert not member.isdir() or member.mode & 0o005 == 0o005, member.name


def test_the_config_is_what_sagemaker_starts(small_image: BuiltImage):
    image = small_image
    config = json.loads(image.image.config_bytes())
    runtime = config["config"]
    assert runtime["Entrypoint"] == ["/opt/venv/bin/python", "-m", "penstock.serving"]
    assert runtime["Cmd"] == ["serve"]
    assert runtime["ExposedPorts"] == {"8080/tcp": {}}
    assert "User" not in runtime
    assert config["created"] == "1980-01-01T00:00:00Z"
    assert runtime["Labels"]["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert runtime["Labels"]["penstock.model.run_id"] == "a" * 32
    assert runtime["Labels"]["penstock.model.digest"] == f"sha256:{image.model_digest}"
    assert runtime["Labels"]["org.opencontainers.image.base.name"] == "debian:bookworm"
    assert json.loads(image.image.manifest("docker"))["mediaType"].startswith("application/vnd.docker.distribution")


def test_every_layer_says_why_it_is_there(small_image: BuiltImage):
    image = small_image.image
    notes = [entry.created_by.partition(":")[0] for entry in image.config.history or ()]
    assert notes == ["base", "packages", "program", "bill of materials", "model"]


def test_the_bill_of_materials_lists_wheels_and_debian_packages(small_image: BuiltImage):
    bill = json.loads(read(small_image, "usr/share/sbom/image.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["bom-ref"]: component for component in bill["components"]}
    assert components["pkg:pypi/scikit-learn@1.9.1"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert components["pkg:deb/debian/libgomp1@1.0-1?arch=amd64&distro=bookworm"]["hashes"][0]["alg"] == "SHA-256"


def test_an_image_may_wait_for_its_model(small_world: SmallWorld, tmp_path: Path):
    image = built(small_world, tmp_path, with_model=False)
    assert not [name for name in files(image) if name.startswith("opt/ml")]
    assert "penstock.model.digest" not in (image.image.config.runtime.labels or {})


def test_another_python_than_the_models_is_refused(small_world: SmallWorld, tmp_path: Path):
    with pytest.raises(EnvironmentMismatch, match=r"made with Python 3\.11\.7, and an image with Python 3\.13"):
        built(small_world, tmp_path, python="3.13")
    assert not (tmp_path / "cache" / "locks").exists()


def test_a_python_that_no_release_carries_is_refused(small_world: SmallWorld, tmp_path: Path):
    folder = small_world.model(tmp_path / "model", python="3.12.1")
    options = BuildOptions(base="debian", apt_sources=small_world.apt_sources)
    with pytest.raises(EnvironmentMismatch, match=r"no Debian release with Python 3\.12"):
        build_image(folder, options=options, cache_dir=tmp_path / "cache")


def test_cuda_libraries_are_for_gpus_only(small_world: SmallWorld, tmp_path: Path):
    first = built(small_world, tmp_path)
    cuda = LockedWheel(name="nvidia-cublas", version="1", filename="x.whl", url="", sha256="0")
    lock = msgspec.structs.replace(first.lock, wheels=(*first.lock.wheels, cuda))
    with pytest.raises(EnvironmentMismatch, match=r"nvidia-cublas.*Pass --gpu for a GPU instance"):
        built(small_world, tmp_path, lock=lock)
    check_gpu(msgspec.structs.replace(lock, target=build_target("3.11", gpu=True)))


def test_a_link_out_of_the_model_folder_is_refused(small_world: SmallWorld, tmp_path: Path):
    folder = small_world.model(tmp_path / "model")
    (folder.path / "secrets").symlink_to("/etc/passwd")
    with pytest.raises(ModelFolderInvalid, match="leads out"):
        built(small_world, tmp_path)


def test_new_packages_are_taken_only_when_asked(small_world: SmallWorld, tmp_path: Path):
    first = built(small_world, tmp_path)
    small_world.archive.add("tzdata", "2.0-1")
    small_world.archive.publish()
    assert built(small_world, tmp_path).image.digest() == first.image.digest()
    fresh = built(small_world, tmp_path, refresh=True)
    assert {package.name: package.version for package in fresh.base.packages}["tzdata"] == "2.0-1"
    assert fresh.image.layers[0].digest != first.image.layers[0].digest
