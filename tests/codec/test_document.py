"""What a file is, from its bytes as they pass by and from its name."""

import hashlib

import pytest

from gateway.codec.document import DocumentReader, facts_of, mime_type
from tests.codec.test_cda import CDA


def test_size_and_hashes_do_not_depend_on_the_pieces() -> None:
    data = bytes(range(256)) * 40
    reader = DocumentReader()
    for at in range(0, len(data), 333):
        reader.feed(data[at : at + 333])
    facts = reader.facts("x.bin")
    assert facts == facts_of(data, "x.bin")
    assert (facts.size, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert facts.sha1 == hashlib.sha1(data).hexdigest()


@pytest.mark.parametrize(
    ("head", "name", "mime", "disguised"),
    [
        (b"%PDF-1.7\n", "a.pdf", "application/pdf", False),
        (b"%PDF-1.7\n", "紹介状", "application/pdf", False),
        (b"%PDF-1.7\n", "a.jpg", "application/pdf", True),
        (b"\xff\xd8\xff\xe0", "a.JPEG", "image/jpeg", False),
        (b"\xff\xd8\xff\xe0", "a.dat", "image/jpeg", False),
        (b"\x89PNG\r\n\x1a\n", "a.png", "image/png", False),
        (b"RIFF\x01\x02\x03\x04WEBP", "a.webp", "image/webp", False),
        (b"PK\x03\x04", "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        (b"PK\x03\x04", "a.bin", "application/zip", False),
        (b"PK\x03\x04", "a.pdf", "application/zip", True),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a.xls", "application/vnd.ms-excel", False),
        (b"\x00" * 128 + b"DICM", "a", "application/dicom", False),
        (b"<?xml version='1.0'?><a/>", "a.xml", "text/xml", False),
        (b"<?xml version='1.0'?><a/>", "a.xsl", "application/xslt+xml", False),
        (b"<?xml version='1.0'?><a/>", "a.svg", "image/svg+xml", False),
        (b"<?xml version='1.0'?><a/>", "a.pdf", "text/xml", True),
        (b"plain words", "a.txt", "text/plain", False),
        (b"plain words", "a.pdf", "application/octet-stream", True),
        (b"plain words", "a.unknown", "application/octet-stream", False),
        (b"", "a", "application/octet-stream", False),
    ],
)
def test_the_bytes_decide_and_the_name_helps(head: bytes, name: str, mime: str, disguised: bool) -> None:
    assert mime_type(head, name) == (mime, disguised)


def test_a_cda_is_known_by_its_root_under_any_name() -> None:
    facts = facts_of(CDA.encode(), "summary.bin")
    assert facts.mime == "text/xml" and not facts.disguised
    assert facts.cda is not None and facts.cda.patients
