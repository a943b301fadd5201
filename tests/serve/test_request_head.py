"""Heads of requests that two readers could take for two different things (request smuggling), and the limits of a head."""

import pytest
from waitress.adjustments import Adjustments

from gateway.serve.request_head import MAX_HEADERS, Parser

HOST = b"Host: localhost\r\n"


def parsed(head: bytes, body: bytes = b"") -> Parser:
    found = Parser(Adjustments())
    data = head + b"\r\n" + body
    while data and not found.completed:
        data = data[found.received(data) :]
    return found


def post(*headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /fhir/Patient " + version + b"\r\n" + HOST + b"".join(one + b"\r\n" for one in headers)


CHUNKED, FIVE = b"Transfer-Encoding: chunked", b"Content-Length: 5"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(FIVE, CHUNKED), 400),
        (post(CHUNKED, FIVE), 400),
        (post(CHUNKED, b"content-LENGTH: 0"), 400),
        (post(FIVE, FIVE), 400),
        (post(FIVE, b"Content-Length: 6"), 400),
        *((post(b"Content-Length: " + value), 400) for value in (
            b"5, 5", b"+5", b"-1", b"0x5", b"1_0", b"", b" ", b"5 5", "５".encode(), b"9" * 19, b"9" * 5000,
        )),
        (post(CHUNKED, CHUNKED), 400),
        (post(b"Transfer-Encoding: chunked, chunked"), 400),
        (post(b"Transfer-Encoding: gzip, chunked"), 400),
        (post(b"Transfer-Encoding: xchunked"), 501),
        (post(b"Transfer-Encoding: identity"), 501),
        (post(b"Transfer-Encoding: \x0bchunked"), 400),
        (post(b"Transfer-Encoding : chunked"), 400),
        (post(b"Transfer-Encoding:\r\n chunked"), 400),
        (post(b"X: a\r\n\tb"), 400),
        (post(CHUNKED, version=b"HTTP/1.0"), 400),
        (post(HOST.strip()), 400),
        (post(b"Authorization: Bearer a", b"Authorization: Bearer b"), 400),
        (post(b"Content-Type: text/xml", b"Content-Type: application/fhir+json"), 400),
        (post(b"X: a\rY: b"), 400),
        (post(b"X: a\0b"), 400),
        (post(b"X Y: a"), 400),
        (post(b": a"), 400),
        (b"GET /a HTTP/1.1\r\n", 400),
        (b"GET /a\r\n", 400),
        (b"PRI * HTTP/2.0\r\n", 400),
        (b"GET /a HTTP/1.1x\r\n" + HOST, 400),
        (b"get /a HTTP/1.1\r\n" + HOST, 400),
    ],
)  # fmt: skip
def test_a_head_that_can_be_read_in_two_ways_is_not_read(head: bytes, status: int) -> None:
    found = parsed(head, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
    assert found.error is not None and found.error.code == status


@pytest.mark.parametrize(
    "body", [b"+5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"-1\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n",
             b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n"],
)  # fmt: skip
def test_chunks_that_are_none(body: bytes) -> None:
    found = parsed(post(CHUNKED), body)
    assert found.error is not None and found.error.code == 400


def test_what_is_said_once_is_read() -> None:
    assert parsed(post(FIVE), b"hello").get_body_stream().read() == b"hello"
    assert parsed(post(CHUNKED), b"5\r\nhello\r\n0\r\n\r\n").get_body_stream().read() == b"hello"
    assert parsed(post(b"Content_Length: 50", FIVE), b"hello").get_body_stream().read() == b"hello"
    assert parsed(b"GET /a HTTP/1.0\r\n").error is None


def test_so_many_headers_whether_or_not_they_bear_one_name() -> None:
    assert parsed(post(*(b"X: %d" % n for n in range(MAX_HEADERS - 1)))).error is None  # and Host
    for name in (b"X: %d", b"X%d: a"):
        found = parsed(post(*(name % n for n in range(MAX_HEADERS))))
        assert found.error is not None and found.error.code == 431
