"""What travels through the HTTP server: a request's head and body, a response, the limits a route sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

DEFAULT_MAX_BODY_BYTES = 64 << 20


class Limits(Struct, frozen=True):
    """What a route takes: decided once the head is in and before a byte of body is kept.

    With ``stream`` the handler starts at once and reads ``request.stream``; else it gets the whole ``request.body``.
    """

    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    stream: bool = False


class Refused(Exception):
    """The server answers ``status`` and closes: the request breaks HTTP, a limit or a deadline."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


class ClientDisconnected(ConnectionError):
    """The client went away before its request body was complete."""


class Headers:
    """A request's header fields: names in any case, fields of one name joined with ', '."""

    __slots__ = ("raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self.raw = raw

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Headers:
        """Headers with these fields."""
        return cls({name.lower().encode("latin-1"): value.encode("latin-1") for name, value in fields.items()})

    def get(self, name: str) -> str | None:
        """The field's value, or None."""
        value = self.raw.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def items(self) -> Iterator[tuple[str, str]]:
        """Every field as (lower-case name, value)."""
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw.items())

    def __contains__(self, name: str) -> bool:
        return name.lower().encode("latin-1") in self.raw

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return f"Headers({dict(self.items())!r})"


class RequestHead:
    """A request once its header section is in.

    ``target`` is the request target as sent, ``path`` its path part, still percent-encoded, and ``query`` what follows
    the '?' (empty if nothing does). ``client`` is (address, port), or ("unix", 0).
    ``route`` is the application's own: what it found out in ``limits`` and needs again.
    """

    __slots__ = ("client", "headers", "keep_alive", "method", "path", "query", "route", "target", "version")

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        client: tuple[str, int] = ("", 0),
        version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.client = client
        self.version = version
        self.keep_alive = keep_alive
        self.path, _, self.query = (target if target[:1] == "/" else _origin_form(target)).partition("?")
        self.route: Any = None


class Request(RequestHead):
    """A request: ``body`` whole, or empty beside ``stream`` where the route's limits asked for a stream."""

    __slots__ = ("body", "stream")

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        body: bytes = b"",
        stream: AsyncIterator[bytes] | None = None,
        client: tuple[str, int] = ("", 0),
        version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        super().__init__(method, target, headers, client=client, version=version, keep_alive=keep_alive)
        self.body = body
        self.stream = stream


class Response:
    """An answer. A body that is an iterator is sent as it comes: chunked, or plain if 'content-length' is given."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes | AsyncIterator[bytes] = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = [] if headers is None else headers

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.body!r}, {self.headers!r})"


class Promise:
    """A response that comes later, on the loop's thread.

    A future would tell its listeners in the loop's next turn, each by a call of its own: 3 us a request more.
    """

    __slots__ = ("_listener", "outcome", "watch")

    def __init__(self) -> None:
        self.outcome: Response | Exception | None = None
        self.watch: Callable[[Response], None] | None = None
        """Is told of a response before the listener."""
        self._listener: Callable[[Response | Exception], None] | None = None

    def then(self, listener: Callable[[Response | Exception], None]) -> None:
        """Has the one listener told of the outcome, at once if it is there."""
        if self.outcome is None:
            self._listener = listener
        else:
            listener(self.outcome)

    def keep(self, outcome: Response | Exception) -> None:
        """States the outcome; only the first counts."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        if self.watch is not None and isinstance(outcome, Response):
            self.watch(outcome)
        if self._listener is not None:
            self._listener(outcome)


class Application(Protocol):
    """What a room gives the server. ``__call__`` may be async; a Response returned at once is written at once."""

    def limits(self, head: RequestHead) -> Limits:
        """How much body this route takes, and whether as a stream. May raise Refused or a PenstockError."""

    def __call__(self, request: Request) -> Response | Promise | Awaitable[Response]:
        """The answer."""


def _origin_form(target: str) -> str:
    """``target`` without the scheme and authority of the absolute form (RFC 9112, 3.2.2)."""
    if target.startswith(("http://", "https://")):
        authority_and_rest = target.partition("://")[2]
        slash = authority_and_rest.find("/")
        return authority_and_rest[slash:] if slash >= 0 else "/"
    return target
