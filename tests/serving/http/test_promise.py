"""An answer that comes later: who is told, when, and that only the first outcome counts."""

from __future__ import annotations

from penstock.serving.http.types import Promise, Response


def test_the_watcher_is_told_before_the_listener_and_only_once() -> None:
    told: list[object] = []
    promise, response = Promise(), Response(200)
    promise.watch = lambda found: told.append(("watcher", found))
    promise.then(lambda outcome: told.append(("listener", outcome)))
    promise.keep(response)
    promise.keep(ValueError("too late"))
    assert told == [("watcher", response), ("listener", response)]


def test_who_asks_late_is_told_at_once_and_an_error_is_no_response() -> None:
    told: list[object] = []
    promise, error = Promise(), ValueError("no")
    promise.watch = told.append
    promise.keep(error)
    promise.then(told.append)
    assert told == [error]
