"""One suite for every place that keeps artifacts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import FileInfo
from penstock.ground.errors import IntegrityError, InvalidInput, NotFound
from server.running import options_in, running

CLIMBING = (
    "../secret",
    "a/../../secret",
    "a/..",
    "/etc/passwd",
    "//host/share",
    "..\\secret",
    "a\\..\\..\\secret",
    "C:\\secret",
    "C:/secret",
    "file:///etc/passwd",
    "http://host/x",
    "%2e%2e/secret",
    "%252e%252e%252fsecret",
    "a%00b",
    "a\x00b",
    "%2fetc/passwd",
)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _folder(tmp_path: Path) -> ArtifactRepository:
    return open_artifacts(str(tmp_path / "artifacts"))


def _bucket(endpoint: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ArtifactRepository:
    import boto3

    for variable, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
    }.items():
        monkeypatch.setenv(variable, value)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
    return open_artifacts(f"s3://{name}/some/prefix")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server of ours, whose proxy passes artifacts on to a folder."""
    with running(options_in(tmp_path_factory.mktemp("server"))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=["folder", "s3", "proxy"])
def repository(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactRepository:
    if request.param == "folder":
        return _folder(tmp_path)
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    if request.param == "proxy":
        return open_artifacts(f"mlflow-artifacts:/{name}", tracking_uri=request.getfixturevalue("proxy"))
    return _bucket(request.getfixturevalue("s3_endpoint"), name, monkeypatch)


def _put(repository: ArtifactRepository, path: str, content: bytes) -> None:
    repository.write(path, io.BytesIO(content), size_bytes=len(content))


def test_what_is_written_is_read_back(repository: ArtifactRepository) -> None:
    _put(repository, "a/b.txt", b"hello")
    with repository.open("a/b.txt") as reading:
        assert reading.read() == b"hello"
        assert reading.size_bytes == 5


def test_an_empty_file_stays_a_file(repository: ArtifactRepository, tmp_path: Path) -> None:
    _put(repository, "empty", b"")
    assert repository.list() == (FileInfo(path="empty", is_dir=False, size_bytes=0),)
    assert repository.download("empty", tmp_path / "got").read_bytes() == b""


def test_a_listing_is_by_name_with_folders_and_sizes(repository: ArtifactRepository) -> None:
    for path in ("b.txt", "a/x", "a/deep/y", "c d/é#?;%.txt"):
        _put(repository, path, b"123")
    assert repository.list() == (
        FileInfo(path="a", is_dir=True),
        FileInfo(path="b.txt", is_dir=False, size_bytes=3),
        FileInfo(path="c d", is_dir=True),
    )
    assert [info.path for info in repository.list("a")] == ["a/deep", "a/x"]
    assert [info.path for info in repository.files()] == ["a/deep/y", "a/x", "b.txt", "c d/é#?;%.txt"]
    assert repository.list("b.txt") == ()
    assert repository.list("nowhere") == ()


def test_find_tells_files_folders_and_nothing_apart(repository: ArtifactRepository) -> None:
    _put(repository, "a/x", b"12")
    assert repository.find("a/x") == FileInfo(path="a/x", is_dir=False, size_bytes=2)
    assert repository.find("a") == FileInfo(path="a", is_dir=True)
    assert repository.find("a/y") is None
    assert repository.find("a/x/z") is None


def test_a_range_is_read_without_the_rest(repository: ArtifactRepository) -> None:
    _put(repository, "digits", b"0123456789")
    with repository.open("digits", start_byte=3, end_byte=6) as reading:
        assert (reading.start_byte, reading.read()) == (3, b"345")
    with repository.open("digits", start_byte=8) as reading:
        assert reading.read() == b"89"


def test_a_tree_goes_in_and_comes_out(repository: ArtifactRepository, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "one").write_bytes(b"1")
    (tree / "sub" / "two").write_bytes(b"2" * 70_000)
    repository.upload_tree(tree, "kept")
    got = repository.download("kept", tmp_path / "got")
    assert (got / "one").read_bytes() == b"1"
    assert (got / "sub" / "two").read_bytes() == b"2" * 70_000
    assert sorted(entry.name for entry in got.rglob("*")) == ["one", "sub", "two"]


def test_a_later_upload_replaces_the_earlier(repository: ArtifactRepository, tmp_path: Path) -> None:
    for content in (b"first and longer", b"second"):
        (tmp_path / "f").write_bytes(content)
        repository.upload(tmp_path / "f", "f")
    with repository.open("f") as reading:
        assert reading.read() == b"second"


def test_damaged_bytes_are_refused_and_leave_the_old_ones(repository: ArtifactRepository) -> None:
    _put(repository, "f", b"good")
    with pytest.raises(IntegrityError):
        repository.write("f", io.BytesIO(b"bad!"), size_bytes=4, sha256=hashlib.sha256(b"good").hexdigest())
    with pytest.raises(IntegrityError):
        repository.write("f", io.BytesIO(b"sho"), size_bytes=4)
    with repository.open("f") as reading:
        assert reading.read() == b"good"
    assert [info.path for info in repository.list()] == ["f"]


def test_delete_takes_files_and_trees_and_nothing_more(repository: ArtifactRepository) -> None:
    for path in ("a/x", "a/y/z", "ab", "b"):
        _put(repository, path, b"1")
    repository.delete("a")
    repository.delete("b")
    repository.delete("b")
    assert [info.path for info in repository.files()] == ["ab"]


def test_what_is_missing_is_not_found(repository: ArtifactRepository, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        repository.open("nothing")
    with pytest.raises(NotFound):
        repository.download("nothing", tmp_path / "x")
    with pytest.raises(NotFound):
        repository.upload(tmp_path / "absent", "x")
    with pytest.raises(NotFound):
        repository.upload_tree(tmp_path / "absent")


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize(
    "act",
    [
        lambda repository, path: repository.list(path),
        lambda repository, path: repository.find(path),
        lambda repository, path: repository.open(path),
        lambda repository, path: repository.write(path, io.BytesIO(b"x"), size_bytes=1),
        lambda repository, path: repository.delete(path),
        lambda repository, path: repository.download(path, Path("never")),
    ],
    ids=["list", "find", "open", "write", "delete", "download"],
)
def test_a_path_that_could_climb_is_refused_before_anything_happens(
    act: Callable[[ArtifactRepository, str], object], path: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s")
    repository = _folder(tmp_path)
    with pytest.raises(InvalidInput):
        act(repository, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["secret"]


@pytest.mark.parametrize("path", ["", ".", "a/", "/"])
def test_a_file_needs_a_name(path: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        _put(_folder(tmp_path), path, b"1")
