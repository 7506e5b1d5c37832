from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from images.places import Answer, TestServer
from penstock.ground.errors import IntegrityError, NotFound, Unauthenticated, Unavailable
from penstock.ground.progress import SILENT
from penstock.images.download import Downloader, Wanted

BODY = b"x" * 3_000_000


def wanted(server: TestServer, tmp_path: Path, *, body: bytes = BODY, path: str = "/a") -> Wanted:
    sha256 = hashlib.sha256(body).hexdigest()
    return Wanted(url=server.url(path), path=tmp_path / "files" / path[1:], sha256=sha256, size_bytes=len(body))


def quick(**options: object) -> Downloader:
    return Downloader(pause=lambda _: None, **options)  # type: ignore[arg-type]


def test_a_busy_server_is_asked_again(server: TestServer, tmp_path: Path):
    server.answers["/a"] = [Answer(503), Answer(429), Answer(200, BODY)]
    assert quick().ensure(wanted(server, tmp_path)).read_bytes() == BODY
    assert len(server.seen) == 3


def test_a_cut_answer_is_asked_again(server: TestServer, tmp_path: Path):
    cut = Answer(200, BODY[:1000], {"Content-Length": str(len(BODY)), "Connection": "close"})
    server.answers["/a"] = [cut, Answer(200, BODY)]
    assert quick().ensure(wanted(server, tmp_path)).read_bytes() == BODY


def test_a_dead_server_is_named(server: TestServer, tmp_path: Path):
    server.answers["/a"] = [Answer(500)]
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 cannot be reached"):
        quick().ensure(wanted(server, tmp_path))
    assert list((tmp_path).rglob("*.partial")) == []


def test_other_bytes_are_refused_and_not_kept(server: TestServer, tmp_path: Path):
    server.answers["/a"] = [Answer(200, BODY[:-1] + b"!")]
    with pytest.raises(IntegrityError, match="was promised"):
        quick().ensure(wanted(server, tmp_path))
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthenticated), (403, Unauthenticated), (404, NotFound)])
def test_a_refusal_is_not_tried_again(server: TestServer, tmp_path: Path, status: int, kind: type[Exception]):
    server.answers["/a"] = [Answer(status)]
    with pytest.raises(kind):
        quick().ensure(wanted(server, tmp_path))
    assert len(server.seen) == 1


def test_a_password_stays_with_its_host(server: TestServer, tmp_path: Path):
    elsewhere = server.url("/b", host="localhost")
    server.answers["/a"] = [Answer(307, b"", {"Location": elsewhere})]
    server.answers["/b"] = [Answer(200, BODY)]
    downloader = quick(credentials=lambda url: ("me", "secret") if "127.0.0.1" in url else None)
    downloader.ensure(wanted(server, tmp_path))
    first, second = server.seen
    assert "authorization" in first[1]
    assert "authorization" not in second[1]


def test_several_files_come_in_the_order_asked(server: TestServer, tmp_path: Path):
    names = [f"/{number}" for number in range(12)]
    server.answers |= {name: [Answer(200, name.encode())] for name in names}
    files = [wanted(server, tmp_path, body=name.encode(), path=name) for name in names]
    with SILENT.phase("") as phase:
        paths = quick().ensure_all(files, phase)
    assert [path.read_bytes().decode() for path in paths] == names
