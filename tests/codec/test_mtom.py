"""multipart/related: any split of the stream gives the same parts; each limit holds; what is written can be read."""

import io
from email import message_from_bytes
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import mtom
from gateway.codec.mtom import MtomLimits, OutPart, PartBegin, PartData, PartEnd, Splitter
from gateway.errors import BadInput, LimitExceeded

KIND = 'multipart/related; type="application/xop+xml"; start="<r>"; start-info="application/soap+xml"; boundary="B"'


def message(*parts: tuple[str, bytes], preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    blocks = [f"--B\r\n{headers}\r\n\r\n".encode() + body + b"\r\n" for headers, body in parts]
    return preamble + b"".join(blocks) + b"--B--\r\n" + epilogue


ROOT = ("Content-Type: application/xop+xml\r\nContent-ID: <r>", b"<e/>")


def collect(data: bytes, kind: str = KIND, limits: MtomLimits = mtom.DEFAULT) -> mtom.Package:
    return mtom.collect([data], kind, io.BytesIO, limits)


def test_root_and_parts_by_content_id() -> None:
    package = collect(message(("Content-ID: <d1@x>", b"one"), ROOT, ("content-id:<d2@x>\r\nX-Other: 1", b"")))
    assert package.root.read() == b"<e/>"
    assert {key: part.read() for key, part in package.parts.items()} == {"d1@x": b"one", "d2@x": b""}


def test_without_start_the_first_part_is_the_root() -> None:
    assert collect(message(ROOT, ("Content-ID: <d>", b"x")), "multipart/related; boundary=B").root.read() == b"<e/>"


BINARY = b"\r\n--\r\n-B\r\n--A\r\n\r\n--" + bytes(range(256)) + b"\r\n"


def test_bytes_that_look_like_boundaries_stay_content() -> None:
    assert collect(message(ROOT, ("Content-ID: <d>", BINARY))).parts["d"].read() == BINARY


@pytest.mark.parametrize(("inside", "content"), [(b"\r\nx", b"x"), (b"\r\n\r\nx", b"\r\nx"), (b"\r\n", b"")])
def test_a_part_without_headers(inside: bytes, content: bytes) -> None:
    data = b"--B\r\n" + inside + b"\r\n--B--"
    assert mtom.collect([data], "multipart/related; boundary=B", io.BytesIO).root.read() == content


def events(chunks: list[bytes]) -> list[object]:
    splitter, found, data = Splitter("B"), [], b""
    for chunk in chunks:
        for event in splitter.feed(chunk):
            if isinstance(event, PartData):
                data += event.data
            else:
                found += [data, event]
                data = b""
    splitter.close()
    return found


@given(st.lists(st.integers(0, 400), max_size=8))
def test_any_split_gives_the_same_parts(cuts: list[int]) -> None:
    data = message(ROOT, ("Content-ID: <d>", BINARY), ("Content-ID: <e>", b""), preamble=b"hello\r\n", epilogue=b"bye")
    places = sorted({0, *cuts, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert events(pieces) == events([data])


def test_every_single_cut_gives_the_same_parts() -> None:
    data = message(ROOT, ("Content-ID: <d>", b"\r\n--C\r\n"))
    whole = events([data])
    assert whole == [
        b"",
        PartBegin({"content-type": "application/xop+xml", "content-id": "<r>"}),
        b"<e/>",
        PartEnd(),
        b"",
        PartBegin({"content-id": "<d>"}),
        b"\r\n--C\r\n",
        PartEnd(),
    ]
    for cut in range(1, len(data)):
        assert events([data[:cut], data[cut:]]) == whole
    assert events([bytes([byte]) for byte in data]) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--B",
        b"--B\r\n",
        message(ROOT)[:-6],
        message(ROOT).replace(b"--B", b"--C"),
        b"--Bx\r\n\r\n\r\n--B--",
        message(("no colon here", b"")),
        message(("Content-ID: <r>\r\nContent-ID: <s>", b"")),
        message(("Content-Transfer-Encoding: base64\r\nContent-ID: <r>", b"")),
        message(ROOT, ROOT),
        message(("Content-ID: <other>", b"")),
        message(("Content-ID: <r>\r\nContent-Type: text/html", b"")),
        b"--B--",
    ],
)
def test_a_message_that_is_not_whole_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput):
        collect(data)


LIMITS = MtomLimits(parts=2, headers=2, header_bytes=120, preamble=10, part_bytes=20, total_bytes=400)


@pytest.mark.parametrize(
    ("at", "above"),
    [
        (message(ROOT, ROOT2 := ("Content-ID: <d>", b"")), message(ROOT, ROOT2, ("Content-ID: <e>", b""))),
        (message(ROOT, ("Content-ID: <d>\r\nA: 1", b"")), message(ROOT, ("Content-ID: <d>\r\nA: 1\r\nB: 1", b""))),
        (message(ROOT, ("Content-ID: <d>", b"x" * 20)), message(ROOT, ("Content-ID: <d>", b"x" * 21))),
        (message(ROOT, ("A: " + "x" * 100, b"")), message(ROOT, ("A: " + "x" * 130, b""))),
        (message(ROOT, preamble=b"x" * 8 + b"\r\n"), message(ROOT, preamble=b"x" * 11 + b"\r\n")),
        (message(ROOT, epilogue=b"x" * 8), message(ROOT, epilogue=b"x" * 11)),
    ],
)
def test_each_limit_at_and_above(at: bytes, above: bytes) -> None:
    collect(at, limits=LIMITS)
    with pytest.raises(BadInput):
        collect(above, limits=LIMITS)


def test_the_total_and_the_boundary_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        list(Splitter("B", MtomLimits(total_bytes=4)).feed(b"12345"))
    Splitter("b" * 70)
    for boundary in ("", "b" * 71, "結", "a b "):
        with pytest.raises(BadInput):
            Splitter(boundary)


def test_a_large_part_goes_to_the_file_it_is_given() -> None:
    files: list[io.BytesIO] = []

    def spool() -> io.BytesIO:
        files.append(io.BytesIO())
        return files[-1]

    limits = MtomLimits(memory_bytes=1000)
    data = message(ROOT, ("Content-ID: <d>", b"x" * 1000), ("Content-ID: <e>", b"y" * 1001))
    package = mtom.collect([data[i : i + 100] for i in range(0, len(data), 100)], KIND, spool, limits)
    assert len(files) == 1
    assert (package.parts["d"].size, package.parts["e"].size) == (1000, 1001)
    assert package.parts["e"].read() == files[0].getvalue() == b"y" * 1001
    assert b"".join(package.parts["e"].chunks(7)) == b"y" * 1001


@pytest.mark.parametrize(
    ("value", "media", "parameters"),
    [
        ("Multipart/Related; Boundary=B;type=a/b", "multipart/related", {"boundary": "B", "type": "a/b"}),
        (' a/b ; c="d;e" ; f="g\\"h";', "a/b", {"c": "d;e", "f": 'g"h'}),
        ("a/b;start=<root@x>", "a/b", {"start": "<root@x>"}),
        ("a/b; c=1; C=1", "a/b", {"c": "1"}),
    ],
)
def test_media_types(value: str, media: str, parameters: dict[str, str]) -> None:
    assert mtom.parse_media_type(value) == (media, parameters)


@pytest.mark.parametrize("value", ["", "a", "a/b; c", 'a/b; c="d', "a/b; c=1; c=2", "a/b" + " " * 5000])
def test_media_types_that_cannot_be_read(value: str) -> None:
    with pytest.raises(BadInput):
        mtom.parse_media_type(value)


def test_content_ids_of_includes() -> None:
    assert mtom.content_id("cid:a%40b%3Cc%3E") == "a@b<c>"
    for href in ("http://127.0.0.1/", "file:///etc/hostname", "a@b", ""):
        with pytest.raises(BadInput):
            mtom.content_id(href)


def test_what_is_written_is_read_by_us_and_by_the_standard_library() -> None:
    parts = [OutPart("d@x", "application/fhir+json", iter([b"{", b"}"])), OutPart("e@x", "text/plain", [])]
    kind = mtom.content_type("B", "r@x", "urn:a")
    data = b"".join(mtom.write("B", "r@x", b"<e/>", parts))
    package = collect(data, kind)
    assert (package.root.read(), package.parts["d@x"].read(), package.parts["e@x"].read()) == (b"<e/>", b"{}", b"")
    other = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + data)
    assert [part.get_payload(decode=True) for part in other.get_payload()] == [b"<e/>", b"{}", b""]
    assert mtom.parse_media_type(kind)[1]["action"] == "urn:a"
