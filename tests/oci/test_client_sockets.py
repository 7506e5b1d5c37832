"""The client on real sockets that reset, stall, close early and talk nonsense; and a pull that was killed."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from oci.faults import StillClock
from oci.images import AMD64, content, make_image
from oci.serving import serving
from penstock.ground.errors import PenstockError, TimedOut, Unavailable
from penstock.ground.progress import Phase
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.connection import Retries
from penstock.oci.image import empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage

Behaviour = Callable[[socket.socket], None]


@contextmanager
def bad_server(behaviour: Behaviour) -> Iterator[str]:
    """``host:port`` that treats each connection badly."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while not done.is_set():
                with suppress(OSError):
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(5)
                        behaviour(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            done.set()
            with suppress(OSError):
                socket.create_connection(server.getsockname(), timeout=1).close()
            thread.join(5)


def reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stall(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.recv(1)  # until the client gives up


def say(answer: bytes) -> Behaviour:
    def behaviour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (reset, Unavailable),
        (stall, TimedOut),
        (say(b""), Unavailable),
        (say(b"SSH-2.0-OpenSSH\r\n"), Unavailable),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), Unavailable),
        (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Unavailable),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), Unavailable),
    ],
    ids=["reset", "stall", "close", "another protocol", "too short", "bad chunks", "bad length"],
)
def test_what_goes_wrong_below_http_is_told(behaviour: Behaviour, kind: type[PenstockError]) -> None:
    clock, patience_seconds = StillClock(), 0.3 if behaviour is stall else 30
    with (
        bad_server(behaviour) as host,
        RegistryClient(clock=clock, timeout_seconds=patience_seconds, retries=Retries(attempts=2)) as client,
        pytest.raises(kind, match=host),
    ):
        client.manifest(f"{host}/a:v1")
    assert len(clock.slept) == 1


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
    with RegistryClient(clock=StillClock()) as client, pytest.raises(Unavailable, match="See that the registry runs"):
        client.manifest(f"{host}/a:v1")


def test_a_refusal_in_the_middle_of_an_upload_is_heard(tmp_path: Path) -> None:
    """The registry answers 507 and closes before it read the blob; the client tells of the answer, not of the pipe."""
    cache = BlobCache(tmp_path / "cache")
    image = empty_image(AMD64).append([write_layer([LayerEntry(name="big", content=os.urandom(3_000_000))], cache)])

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            start("202 Accepted", [("Location", "/v2/a/blobs/uploads/1")])
        elif environ["REQUEST_METHOD"] == "PUT":
            start("403 Forbidden", [("Connection", "close")])
        else:
            start("404 Not Found", [])
        return []

    with serving(app) as host, RegistryClient(clock=StillClock()) as client, pytest.raises(PenstockError) as caught:
        client.push(image, f"{host}/a:1")
    assert "403" in str(caught.value) or isinstance(caught.value, Unavailable)


PULL = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from penstock.oci.cache import BlobCache
    from penstock.oci.client import RegistryClient
    from penstock.oci.types import Platform
    with RegistryClient() as client:
        client.pull(sys.argv[2], cache=BlobCache(Path(sys.argv[1])), platform=Platform("linux", "amd64"))
    """
)


def largest_partial(cache: Path) -> int:
    """The size of the largest download that is under way in the cache."""
    sizes = [0]
    for path in (cache / "partial").glob("*.download"):
        with suppress(FileNotFoundError):  # it arrived meanwhile
            sizes.append(path.stat().st_size)
    return max(sizes)


def test_a_killed_pull_goes_on_where_it_was(tmp_path: Path) -> None:
    image = make_image(tmp_path / "cache", model=os.urandom(8_000_000))
    app, half_way = RegistryApp(RegistryStorage(tmp_path / "registry")), threading.Event()
    asked: list[str] = []

    def slow(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        """Sends half of a large blob, and the rest when the test has killed whoever asked."""
        if environ["REQUEST_METHOD"] == "GET" and "/blobs/" in environ["PATH_INFO"]:
            asked.append(environ.get("HTTP_RANGE", ""))
        for number, piece in enumerate(app(environ, start)):
            if number == 4 and not half_way.is_set():
                half_way.wait(20)
            yield piece

    with serving(slow) as host, RegistryClient() as client:
        client.push(image, f"{host}/a:1")
        with subprocess.Popen([sys.executable, "-c", PULL, str(tmp_path / "pulled"), f"{host}/a:1"]) as puller:
            deadline = time.monotonic() + 30
            while largest_partial(tmp_path / "pulled") <= 3_000_000 and time.monotonic() < deadline:
                assert puller.poll() is None
            puller.send_signal(signal.SIGKILL)
        half_way.set()
        asked.clear()
        pulled = client.pull(f"{host}/a:1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert [content(layer) for layer in pulled.layers] == [content(layer) for layer in image.layers]
    (resumed,) = [text for text in asked if text]
    assert int(resumed.removeprefix("bytes=").removesuffix("-")) > 3_000_000


def test_ctrl_c_waits_for_no_stalled_registry(tmp_path: Path) -> None:
    image = make_image(tmp_path / "cache")
    app, stalled, released = RegistryApp(RegistryStorage(tmp_path / "registry")), threading.Event(), threading.Event()

    def stalling(environ: dict[str, Any], start: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET" and image.layers[0].digest in environ["PATH_INFO"]:
            stalled.set()
            released.wait(60)
        return app(environ, start)

    with serving(stalling) as host, RegistryClient() as client:
        client.push(image, f"{host}/a:1")
        command = [sys.executable, "-c", PULL, str(tmp_path / "pulled"), f"{host}/a:1"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as puller:
            assert stalled.wait(30)
            puller.send_signal(signal.SIGINT)
            _, told = puller.communicate(timeout=20)
        released.set()
    assert told.rstrip().endswith("KeyboardInterrupt")


class Watcher:
    """Remembers what a phase was told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.steps: list[tuple[int, int | None]] = []

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        self.titles.append(title)
        yield self

    def detail(self, text: str) -> None:
        self.titles.append(text)

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None:
        self.steps.append((done_bytes, total_bytes))


def test_progress_counts_every_byte_once(tmp_path: Path) -> None:
    image = make_image(tmp_path / "cache", model=os.urandom(3_000_000))
    with serving(RegistryApp(RegistryStorage(tmp_path / "registry"))) as host, RegistryClient() as client:
        pushing, pulling, again = Watcher(), Watcher(), Watcher()
        client.push(image, f"{host}/a:1", progress=pushing)
        client.pull(f"{host}/a:1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64, progress=pulling)
        client.push(image, f"{host}/a:1", progress=again)
    assert pushing.titles == [f"push {host}/a:1"]
    assert again.titles == [f"push {host}/a:1", "already there"]
    for watcher in (pushing, pulling):
        done = [step for step, _ in watcher.steps]
        assert done == sorted(done)
        assert watcher.steps[-1] == (image.size_bytes, image.size_bytes)
        assert len(done) > 5
