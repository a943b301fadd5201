"""Documents inside a message are cut out, in whatever pieces the message comes; everything else stays as it is."""

import io
import itertools
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import inline
from gateway.errors import BadInput, LimitExceeded

BIG = bytes(range(256)) * 256


def cut(data: bytes, step: int = 1 << 16, most: int = 1 << 20) -> tuple[bytes, dict[str, bytes]]:
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    message, parts = inline.cut(pieces, io.BytesIO, max_envelope=1 << 20, max_document=most)
    return message, {name: part.read() for name, part in parts.items()}


@pytest.mark.parametrize("start", [b"<Document>", b'<xds:Document id="a&gt;b">', b"<x:Document\n id='1' >"])
def test_a_large_document_becomes_a_part(start: bytes) -> None:
    message, parts = cut(b"<a>" + start + b64encode(BIG) + b"</x></a>")
    assert parts == {"inline-1@musubi": BIG}
    assert message.startswith(b"<a>" + start + b"<xop:Include ") and message.endswith(
        b'href="cid:inline-1@musubi"/></x></a>'
    )


@given(st.lists(st.integers(0, 90_000), max_size=8))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    data = (
        b"<a><Document>"
        + b64encode(BIG)[:44_000]
        + b"\n"
        + b64encode(BIG)[44_000:]
        + b"</Document><Document>QQ==</Document></a>"
    )
    ends = [0, *sorted(cuts), len(data)]
    pieces = [data[one:other] for one, other in itertools.pairwise(ends)]
    message, parts = inline.cut(pieces, io.BytesIO, max_envelope=1 << 20, max_document=1 << 20)
    assert [part.read() for part in parts.values()] == [BIG]
    assert message.endswith(b"</Document><Document>QQ==</Document></a>")


@pytest.mark.parametrize(
    "data",
    [
        b"<a>no document</a>",
        b"<a><Document>QUJD</Document></a>",
        b"<a><Document/>" + b"A" * 100_000 + b"</a>",
        b"<a><DocumentRequest>" + b"A" * 100_000 + b"</DocumentRequest></a>",
        b"<a><Document><b/></Document></a>",
        b"<a><Document>short, no base64</Document></a>",
        b"<a><Document>QUJD",
        b"",
        b"<",
    ],
)
def test_everything_else_stays(data: bytes) -> None:
    for step in (1, 7, 1 << 16):
        assert cut(data, step) == (data, {})


@pytest.mark.parametrize(
    "text", [b"A" * 100_001, b"A" * 50_000 + b"=" + b"A" * 50_003, b"A" * 50_000 + b"!" + b"A" * 50_000]
)
def test_what_begins_as_base64_has_to_end_so(text: bytes) -> None:
    with pytest.raises(BadInput):
        cut(b"<Document>" + text + b"</Document>", 4096)


def test_limits() -> None:
    with pytest.raises(LimitExceeded):
        cut(b"<Document>" + b64encode(BIG) + b"</Document>", most=60_000)
    with pytest.raises(LimitExceeded):
        cut(b"<a>" + b" " * (1 << 21))
