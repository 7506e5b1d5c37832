"""One operation to a sink, such that one bad value takes no good ones along."""

from __future__ import annotations

from penstock.api.recording.operations import LogBatch, Operation, Sink, send, singles
from penstock.ground.errors import PenstockError, Unavailable


def deliver(operation: Operation, sink: Sink) -> list[PenstockError]:
    """What the sink refused of the operation; a refused batch is sent again item by item. Raises Unavailable."""
    try:
        send(operation, sink)
    except Unavailable:
        raise
    except PenstockError as error:
        if not isinstance(operation, LogBatch) or len(operation) == 1:
            return [error]
        return [refused for single in singles(operation) for refused in deliver(single, sink)]
    return []
