"""Requests and answers, one connection, well-formed: RFC 9112 and RFC 9110."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.http.raw import Running, Wire, request_bytes


def test_a_request_is_answered_and_the_connection_kept(wire: Wire) -> None:
    for number in range(3):
        answer = wire.get(f"/a?n={number}")
        assert (answer.status, answer.body) == (200, f"GET /a?n={number} ".encode())
        assert answer.headers["content-length"] == str(len(answer.body))
        assert "date" in answer.headers
        assert "connection" not in answer.headers


def test_a_body_with_a_length(wire: Wire) -> None:
    assert wire.get("/a", method="POST", body=b"hello").body == b"POST /a hello"


def test_a_body_that_arrives_byte_by_byte(wire: Wire) -> None:
    for byte in request_bytes("/bytewise", "X-A: 1", method="POST", body=b"xyz"):
        wire.send(bytes([byte]))
    assert wire.answer().body == b"POST /bytewise xyz"


def test_a_chunked_body_with_extension_and_trailer(wire: Wire) -> None:
    wire.send(request_bytes("/c", "Transfer-Encoding: chunked", method="POST"))
    wire.send(b"3;name=value\r\nabc\r\n").send(b"4\r\ndefg\r\n0\r\nX-Checksum: 1\r\n\r\n")
    assert wire.answer().body == b"POST /c abcdefg"
    assert wire.get("/next").body == b"GET /next "


def test_pipelined_requests_are_answered_in_order(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect()
    wire.send(b"".join(request_bytes(target) for target in ("/wait", "/b", "/async", "/stream", "/e")))
    running.echo.gate.set()
    bodies = [wire.answer().body for _ in range(5)]
    assert bodies == [b"async /wait", b"GET /b ", b"async /async", b"000000000000000100000002", b"GET /e "]


def test_a_waiting_pipeline_is_not_started_early(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect().send(request_bytes("/wait") + request_bytes("/b"))
    running.connect().get("/other")
    assert running.echo.seen == ["/wait", "/other"]
    running.echo.gate.set()
    assert [wire.answer().body for _ in range(2)] == [b"async /wait", b"GET /b "]


def test_head_gives_the_length_and_no_body(wire: Wire) -> None:
    answer = wire.get("/a", method="HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "8", b"")
    assert wire.get("/b").body == b"GET /b "


def test_head_of_a_stream_has_no_body(wire: Wire) -> None:
    assert wire.get("/stream", method="HEAD").status == 200
    assert wire.get("/b").body == b"GET /b "


def test_no_content_has_neither_length_nor_body(wire: Wire) -> None:
    answer = wire.get("/empty")
    assert answer.status == 204
    assert "content-length" not in answer.headers
    assert wire.get("/b").body == b"GET /b "


def test_expect_continue_is_answered_before_the_body(wire: Wire) -> None:
    wire.send(request_bytes("/a", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    assert wire.answer().status == 100
    wire.send(b"abc")
    assert wire.answer().body == b"POST /a abc"


def test_expect_continue_behind_an_answer_under_way_keeps_the_order(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect()
    expecting = request_bytes("/a", "Expect: 100-continue", "Content-Length: 3", method="POST")
    wire.send(request_bytes("/wait") + expecting)
    running.echo.gate.set()
    assert [wire.answer().status, wire.answer().status] == [200, 100]
    assert wire.send(b"abc").answer().body == b"POST /a abc"


def test_expect_continue_of_a_stream_waits_for_its_reader(wire: Wire) -> None:
    wire.send(request_bytes("/count", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
    assert wire.answer().status == 100
    assert wire.send(b"abc").answer().body == b"3"


def test_an_unread_body_is_refused_without_a_continue(wire: Wire) -> None:
    wire.send(request_bytes("/early", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert wire.is_closed()


def test_another_expectation_fails(wire: Wire) -> None:
    assert wire.get("/a", "Expect: tea", method="POST", body=b"x").status == 417


def test_connection_close_is_honoured(wire: Wire) -> None:
    assert wire.get("/a", "Connection: close").headers["connection"] == "close"
    assert wire.is_closed()


@pytest.mark.parametrize("fields", ["", "Connection: keep-alive\r\n"])
def test_http_1_0_closes_unless_asked_to_stay(wire: Wire, fields: str) -> None:
    answer = wire.send(f"GET /a HTTP/1.0\r\n{fields}\r\n".encode()).answer()
    assert answer.body == b"GET /a "
    assert answer.headers["connection"] == ("keep-alive" if fields else "close")
    if not fields:
        assert wire.is_closed()


def test_http_1_0_gets_a_stream_unchunked_until_close(wire: Wire) -> None:
    answer = wire.send(b"GET /stream?2 HTTP/1.0\r\n\r\n").answer()
    assert "transfer-encoding" not in answer.headers
    assert answer.body == b"0000000000000001"


def test_a_stream_goes_out_in_chunks_and_the_connection_stays(wire: Wire) -> None:
    answer = wire.get("/stream?1000")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert len(answer.body) == 8000
    assert wire.get("/b").body == b"GET /b "


def test_a_stream_of_known_size_goes_out_plain(wire: Wire) -> None:
    answer = wire.get("/sized")
    assert (answer.headers["content-length"], len(answer.body)) == ("24", 24)
    assert "transfer-encoding" not in answer.headers


def test_a_half_closed_client_still_gets_its_answer(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect().send(request_bytes("/wait") + request_bytes("/b"))
    wire.sock.shutdown(1)
    running.echo.gate.set()
    assert wire.answer().body == b"async /wait"
    assert wire.answer().body == b"GET /b "
    assert wire.is_closed()


def test_the_absolute_form_of_a_target(wire: Wire) -> None:
    wire.send(b"GET http://test/stream?1 HTTP/1.1\r\nHost: test\r\n\r\n")
    assert wire.answer().body == b"00000000"


def test_fields_of_one_name_are_joined(wire: Wire) -> None:
    assert wire.get("/a", "Accept: a", "Accept: b").status == 200


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_an_offered_upgrade_is_ignored_and_its_body_read_as_a_body(wire: Wire, framing: str) -> None:
    smuggled = request_bytes("/smuggled")
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    if framing == "length":
        wire.send(request_bytes("/up", *offer, method="POST", body=smuggled))
    elif framing == "chunked":
        wire.send(request_bytes("/up", *offer, "Transfer-Encoding: chunked", method="POST"))
        wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled))
    else:
        wire.send(request_bytes("/up", *offer, method="POST"))
        smuggled = b""
    assert wire.answer().body == b"POST /up " + smuggled
    assert wire.get("/next").body == b"GET /next "
