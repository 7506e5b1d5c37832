"""Bad registries by script: a transport that passes requests to a sound registry, but for what a test spoils."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from penstock.oci.auth import Keychain
from penstock.oci.client import RegistryClient
from penstock.oci.connection import Retries
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage

Next = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[httpx.Request, Next], httpx.Response]


class StillClock:
    """A clock that remembers how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return int(sum(self.slept) * 1000)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class BadTransport(httpx.BaseTransport):
    """Our registry in this process, with faults: each meets the requests that its pattern matches, so many times."""

    def __init__(self, directory: Path, app: RegistryApp | None = None) -> None:
        self.storage = RegistryStorage(directory)
        self._sound = httpx.WSGITransport(app or RegistryApp(self.storage))
        self.faults: list[tuple[re.Pattern[str], Fault, list[int]]] = []
        self.requests: list[httpx.Request] = []

    def spoil(self, pattern: str, fault: Fault, *, times: int = 1) -> None:
        """``pattern`` is searched in "METHOD url"; of several faults that match, the first that is left is used."""
        self.faults.append((re.compile(pattern), fault, [times]))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        for pattern, fault, left in self.faults:
            if left[0] and pattern.search(f"{request.method} {request.url}"):
                left[0] -= 1
                return fault(request, self._sound.handle_request)
        return self._sound.handle_request(request)

    def count(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(bool(re.search(pattern, f"{request.method} {request.url}")) for request in self.requests)

    def client(
        self, *, clock: StillClock | None = None, auth: Keychain | None = None, attempts: int = 5
    ) -> RegistryClient:
        return RegistryClient(self, clock=clock or StillClock(), auth=auth, retries=Retries(attempts=attempts))


def answer(code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    """A response whose body is still to be read, as from a network."""
    return httpx.Response(code, headers=headers, stream=httpx.ByteStream(body))


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answers with that status instead."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, _next: answer(code, body, told)


def broken(error: type[httpx.TransportError], *, after: bool = False) -> Fault:
    """The connection breaks before the registry hears of the request, or after it did what was asked."""

    def fault(request: httpx.Request, following: Next) -> httpx.Response:
        if after:
            following(request).read()
        raise error("as the test asked")

    return fault


def changed(change: Callable[[bytes], bytes], **headers: str) -> Fault:
    """The sound answer with another body, and some other headers."""

    def fault(request: httpx.Request, following: Next) -> httpx.Response:
        sound = following(request)
        told = {name.lower(): value for name, value in sound.headers.items()}
        told.update({name.lower().replace("_", "-"): value for name, value in headers.items()})
        told.pop("content-length", None)
        return answer(sound.status_code, change(sound.read()), told)

    return fault


class CutStream(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("as the test asked")


def cut(after_bytes: int) -> Fault:
    """The sound answer, broken off after so many bytes."""

    def fault(request: httpx.Request, following: Next) -> httpx.Response:
        sound = following(request)
        return httpx.Response(sound.status_code, headers=sound.headers, stream=CutStream(sound.read()[:after_bytes]))

    return fault
