"""What breaks HTTP, a limit or a deadline is answered in JSON and cut; the next client is served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from serving.http.raw import DEADLINE_S, Running, Wire, request_bytes

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
BROKEN = {
    "not http": b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n",
    "bare newline": b"GET / HTTP/1.1\nHost: a\n\n",
    "zero byte in a header": b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "bad method": b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad version": b"GET / HTTP/1.x\r\nHost: a\r\n\r\n",
    "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "length and chunked": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "negative length": POST + b"Content-Length: -3\r\n\r\n",
    "plus length": POST + b"Content-Length: +3\r\n\r\nabc",
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunk size is not hex": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "connect": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_message_is_refused_and_the_connection_closed(serve: Callable[..., Running], name: str) -> None:
    running = serve()
    wire = running.connect().send(BROKEN[name])
    answer = wire.answer()
    assert 400 <= answer.status < 500 or answer.status == 505, answer
    assert json.loads(answer.body)["message"]
    assert answer.headers["connection"] == "close"
    assert wire.is_closed()
    assert running.echo.seen == []
    assert running.connect().get("/good").status == 200


def test_a_refusal_waits_for_the_answer_before_it(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect().send(request_bytes("/wait") + BROKEN["negative length"])
    running.echo.gate.set()
    assert [wire.answer().status, wire.answer().status] == [200, 400]
    assert wire.is_closed()


@pytest.mark.parametrize("whole", [True, False])
def test_a_head_over_the_limit_is_431(wire: Wire, whole: bool) -> None:
    field = b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"a" * 70_000
    answer = wire.send(field + (b"\r\n\r\n" if whole else b"a" * 70_000)).answer()
    assert answer.status == 431
    assert wire.is_closed()


def test_too_many_fields_are_431(wire: Wire) -> None:
    answer = wire.get("/", *(f"x-{number}: 1" for number in range(300)))
    assert answer.status == 431


def test_a_target_over_the_limit_is_414(wire: Wire) -> None:
    assert wire.get("/" + "a" * 40_000).status == 414


def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(wire: Wire) -> None:
    answer = wire.send(request_bytes("/a", "Content-Length: 1073741824", method="POST")).answer()
    assert (answer.status, json.loads(answer.body)["error_code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert wire.is_closed()


def test_a_client_that_goes_on_sending_still_reads_its_413(wire: Wire) -> None:
    wire.send(request_bytes("/a", "Content-Length: 3000000", method="POST"))
    wire.send(b"x" * 3_000_000)
    assert wire.answer().status == 413


def test_a_chunked_body_over_the_limit_is_413(wire: Wire) -> None:
    wire.send(request_bytes("/a", "Transfer-Encoding: chunked", method="POST"))
    wire.send(b"%x\r\n%b\r\n" % (2000, b"x" * 2000))
    assert wire.answer().status == 413


def test_chunk_framing_without_a_body_is_refused(wire: Wire) -> None:
    wire.send(request_bytes("/a", "Transfer-Encoding: chunked", method="POST"))
    wire.send(b"1;" + b"e" * 200_000)
    assert wire.answer().status in (400, 413)


def test_no_route_is_404_with_its_code(wire: Wire) -> None:
    answer = wire.get("/missing", method="POST", body=b"x")
    assert (answer.status, json.loads(answer.body)["error_code"]) == (404, "PENSTOCK-E0200")


def test_a_handler_that_raises_is_500_with_a_request_id_and_no_traceback(wire: Wire) -> None:
    answer = wire.get("/raise")
    error = json.loads(answer.body)
    assert (answer.status, error["error_code"]) == (500, "INTERNAL_ERROR")
    assert len(error["request_id"]) == 16
    assert b"boom" not in answer.body
    assert wire.get("/good").status == 200


def test_a_header_with_a_line_break_never_goes_out(wire: Wire) -> None:
    answer = wire.get("/split")
    assert answer.status == 500
    assert "b" not in answer.headers


def test_a_stream_that_breaks_is_cut_without_its_last_chunk(wire: Wire) -> None:
    wire.send(request_bytes("/cut"))
    with pytest.raises(EOFError):
        wire.answer()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-A"])
def test_a_slow_head_is_cut(serve: Callable[..., Running], sent: bytes) -> None:
    wire = serve(head_timeout_s=0.2).connect().send(sent)
    if sent:
        assert wire.answer().status == 408
    assert wire.is_closed()


@pytest.mark.parametrize("path", ["/a", "/count"])
def test_a_slow_body_is_408(serve: Callable[..., Running], path: str) -> None:
    wire = serve(body_timeout_s=0.2).connect()
    wire.send(request_bytes(path, "Content-Length: 10", method="POST") + b"abc")
    assert wire.answer().status == 408
    assert wire.is_closed()


def test_a_body_that_keeps_its_pace_is_not_cut(serve: Callable[..., Running]) -> None:
    wire = serve(body_timeout_s=0.2, body_bytes_per_s=1.0).connect()
    wire.send(request_bytes("/a", "Content-Length: 104", method="POST") + b"a" * 100)
    wire.sock.settimeout(0.6)
    with pytest.raises(TimeoutError):
        wire.sock.recv(1)
    wire.sock.settimeout(20)
    assert wire.send(b"last").answer().status == 200


def test_an_idle_connection_is_closed_quietly(serve: Callable[..., Running]) -> None:
    wire = serve(keep_alive_s=0.2).connect()
    assert wire.get("/a").status == 200
    assert wire.is_closed()


def test_a_client_that_does_not_read_is_cut(serve: Callable[..., Running]) -> None:
    running = serve(write_timeout_s=0.3)
    wire = running.connect().send(request_bytes("/flood"))
    deadline = time.monotonic() + DEADLINE_S
    while not running.echo.fed_bytes or running.server.connection_count:
        assert time.monotonic() < deadline
    with pytest.raises(EOFError):
        wire.answer()
    assert running.echo.fed_bytes < 1 << 30


def test_a_reader_that_lags_stops_the_socket(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect()
    total = 200 << 20
    wire.send(request_bytes("/count?slow", f"Content-Length: {total}", method="PUT"))
    sent = wire.send_until_stuck()
    assert sent < total // 4
    running.echo.gate.set()
    wire.send(b"x" * (total - sent))
    assert wire.answer().body == str(total).encode()
