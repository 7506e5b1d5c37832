"""The containers' log lines, as CloudWatch Logs keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec import Struct

from penstock.deploy.resources import log_group
from penstock.deploy.session import AwsSession
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import NotFound

_STREAMS = 10
_FOLLOW_PAUSE_S = 1.0


class LogLine(Struct, frozen=True):
    """One line of one container; ``stream`` is ``<variant>/<instance id>``."""

    timestamp_ms: int
    stream: str
    text: str


def tail(aws: AwsSession, deployment: str, limit: int = 50) -> tuple[LogLine, ...]:
    """The last ``limit`` lines over the newest streams, oldest first; none when nothing was ever logged."""
    return tail_group(aws, log_group(deployment), limit)


def tail_group(aws: AwsSession, group: str, limit: int, *, prefix: str = "") -> tuple[LogLine, ...]:
    """The same for any group, or for the group's streams whose names begin with ``prefix``."""
    newest = {"logStreamNamePrefix": prefix} if prefix else {"orderBy": "LastEventTime", "descending": True}
    try:
        streams = aws.pages("logs", "describe_log_streams", "logStreams", logGroupName=group, **newest)
        names = [stream["logStreamName"] for stream in islice(streams, _STREAMS)]
    except NotFound:
        return ()
    lines = [line for name in names for line in _stream_tail(aws, group, name, limit)]
    return tuple(sorted(lines, key=lambda line: line.timestamp_ms)[-limit:])


def follow(aws: AwsSession, deployment: str, *, since_ms: int, clock: Clock = SYSTEM_CLOCK) -> Iterator[LogLine]:
    """Lines from ``since_ms`` on, for ever, as they come; each one once."""
    seen: dict[str, int] = {}
    start_ms = since_ms
    while True:
        for event in _events(aws, deployment, start_ms):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                yield LogLine(event["timestamp"], event["logStreamName"], event["message"].rstrip("\n"))
        if seen:
            start_ms = max(seen.values())
            seen = {key: at for key, at in seen.items() if at >= start_ms}
        clock.sleep(_FOLLOW_PAUSE_S)


def _stream_tail(aws: AwsSession, group: str, stream: str, limit: int) -> list[LogLine]:
    found = aws.find(
        "logs", "get_log_events", logGroupName=group, logStreamName=stream, limit=limit, startFromHead=False
    )
    events = found["events"] if found else []
    return [LogLine(event["timestamp"], stream, event["message"].rstrip("\n")) for event in events]


def _events(aws: AwsSession, deployment: str, start_ms: int) -> list[dict[str, Any]]:
    try:
        return list(
            aws.pages("logs", "filter_log_events", "events", logGroupName=log_group(deployment), startTime=start_ms)
        )
    except NotFound:
        return []
