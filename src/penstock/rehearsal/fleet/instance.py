"""One instance of a variant: its containers, and the way to them: one, a pipeline, one of several, or many models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from penstock.rehearsal.fleet.house import ModelHouse
from penstock.rehearsal.runner.container import Container
from penstock.rehearsal.traffic.upstream import Answer, Done, Headers, Upstream, UpstreamFailed

PING_TIMEOUT_S = 2.0
INVOCATIONS = "/invocations"


class Part:
    """One container of an instance; ``hostname`` is what callers and messages call it."""

    def __init__(self, hostname: str, container: Container, upstream: Upstream) -> None:
        self.hostname = hostname
        self.container = container
        self.upstream = upstream

    async def ping(self) -> bool:
        """Whether it answers GET /ping with 200 within two seconds."""
        try:
            answer = await self.upstream.call("GET", "/ping", [], timeout_s=PING_TIMEOUT_S)
        except (UpstreamFailed, TimeoutError):
            return False
        return answer.status == 200


class Instance:
    """Runs the containers of a variant. ``direct``: each is called by its name; else each takes the former's answer."""

    def __init__(
        self, instance_id: str, parts: Sequence[Part], *, direct: bool = False, house: ModelHouse | None = None
    ) -> None:
        self.id = instance_id
        self.parts = tuple(parts)
        self.house = house
        self.outstanding = 0
        self.failed_pings = 0
        self._direct = direct

    @property
    def upstream(self) -> Upstream:
        """The way to the first container."""
        return self.parts[0].upstream

    @property
    def exit_code(self) -> int | None:
        """How the first container that ended did; None while all run."""
        codes = (part.container.exit_code for part in self.parts)
        return next((code for code in codes if code is not None), None)

    async def ping(self) -> bool:
        """Whether every container is healthy."""
        return all(await asyncio.gather(*(part.ping() for part in self.parts)))

    def knows(self, hostname: str) -> bool:
        """Whether a caller may name that container."""
        return self._direct and any(part.hostname == hostname for part in self.parts)

    async def invoke(
        self, headers: Headers, body: bytes, *, timeout_s: float, path: str = INVOCATIONS, hostname: str | None = None
    ) -> Answer:
        """The answer, of the last container where there are several. Raises UpstreamFailed, TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return await self._through(self._stages(hostname), headers, body, timeout_s, path)

    def start(self, headers: Headers, body: bytes, *, timeout_s: float, done: Done) -> bool:
        """Sends at once, if the instance is one plain container to which a connection is open; says whether it did."""
        if len(self.parts) > 1 or self.house is not None:
            return False
        return self.parts[0].upstream.start(INVOCATIONS, headers, body, timeout_s=timeout_s, done=done)

    async def open(
        self, headers: Headers, body: bytes, *, timeout_s: float, hostname: str | None = None
    ) -> tuple[Answer, Callable[[], None]]:
        """The answer once its head is here, and what to call when its stream has been read."""
        *before, last = self._stages(hostname)
        if before:
            answer = await self._through(before, headers, body, timeout_s, INVOCATIONS)
            if not is_good(answer):
                answer.stream = _once(answer.body)
                return answer, lambda: None
            headers, body = _next_headers(headers, answer), answer.body
        answer, connection = await last.upstream.open("POST", INVOCATIONS, headers, body, timeout_s=timeout_s)
        answer.origin = self._origin(last)
        return answer, lambda: last.upstream.release(connection)

    def close(self) -> None:
        for part in self.parts:
            part.upstream.close()

    def _stages(self, hostname: str | None) -> tuple[Part, ...]:
        if not self._direct:
            return self.parts
        return (next(part for part in self.parts if hostname in (None, part.hostname)),)

    async def _through(
        self, stages: Sequence[Part], headers: Headers, body: bytes, timeout_s: float, path: str
    ) -> Answer:
        """Container after container; the first bad answer ends it."""
        for number, part in enumerate(stages, 1):
            answer = await part.upstream.call("POST", path, headers, body, timeout_s=timeout_s)
            answer.origin = self._origin(part)
            if number == len(stages) or not is_good(answer):
                return answer
            headers, body = _next_headers(headers, answer), answer.body
        raise AssertionError("an instance has at least one container")

    def _origin(self, part: Part) -> str:
        return part.hostname if len(self.parts) > 1 else "primary"


def is_good(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _next_headers(headers: Headers, answer: Answer) -> Headers:
    """What the next container of a pipeline is told: the same, but the type of what it is given."""
    content_type = answer.headers.get("content-type", "application/octet-stream")
    return [("content-type", content_type), *(item for item in headers if item[0] != "content-type")]


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
