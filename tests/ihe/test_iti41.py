"""ITI-41 from bytes to bytes: MIME parts and inline base64, completed metadata, nothing by halves, memory bounded."""

import io
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import ihe
from gateway.codec import ebxml, mtom, soap
from gateway.ihe import iti41, iti43
from gateway.model.document import RPLC
from tests.oracle.xsd import errors_of
from tests.registry_parts import REPOSITORY, Registry, document, link, provided, registry, simple
from tests.xds_parts import CALLER, XDS, answer_body, error_codes, open_package

T = iti41.TRANSACTION
HELLO = ("Document1@test", b"hello")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        yield made


def fetch(node: Registry, unique_id: str) -> bytes | list[str]:
    """The document's bytes by ITI-43, or the error codes."""
    response = node.send(iti43.TRANSACTION, ebxml.retrieve_request([("", REPOSITORY, unique_id)]))
    answered = answer_body(response)
    found = answered.find(f".//{XDS}Document")
    if found is None:
        return error_codes(answered)
    return open_package(response).parts[found[0].get("href")[4:]].read()


def plain(node: Registry, **changes: object) -> bytes:
    return simple(node.patient, document(node.patient, **changes))  # type: ignore[arg-type]


def test_a_part_is_stored_registered_and_retrieved(node: Registry, shared: Path) -> None:
    answer = node.answer(T, provided(plain(node), ("Document1", None)), HELLO)
    assert answer.get("status") == ebxml.SUCCESS and errors_of(shared, answer) == []
    assert fetch(node, "1.2.3.1") == b"hello"
    assert node.rows("SELECT outcome, object FROM audit WHERE \"transaction\" = 'ITI-41'") == [(0, "1.2.4.1")]


def test_hash_size_and_repository_are_filled_in(node: Registry) -> None:
    sent = plain(node, hash="", size=0, repositoryUniqueId="").decode()
    sent = sent.replace('<rim:Slot name="size"><rim:ValueList><rim:Value>0</rim:Value></rim:ValueList></rim:Slot>', "")
    assert node.codes(T, provided(sent.encode(), ("Document1", None)), HELLO) == []
    stored, wanted = node.one("1.2.3.1"), document(node.patient)
    assert (stored.hash, stored.size, stored.repositoryUniqueId) == (wanted.hash, 5, REPOSITORY)
    assert wanted.hash.encode() in stored.xml


@pytest.mark.parametrize("content", [b"hello", b"\x00\xff" * 100_000], ids=["short", "cut out"])
@pytest.mark.parametrize("lines", [False, True])
def test_inline_base64(node: Registry, content: bytes, lines: bool) -> None:
    text = b64encode(content)
    if lines:
        text = b"\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + b"\n"
    assert node.codes(T, provided(plain(node, content=content), inline=[("Document1", text)])) == []
    assert fetch(node, "1.2.3.1") == content


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hash": "0" * 40}, "XDSRepositoryMetadataError"),
        ({"size": 6}, "XDSRepositoryMetadataError"),
        ({"uniqueId": ""}, "XDSRepositoryMetadataError"),
        ({"repositoryUniqueId": "1.2.9.9"}, "XDSRepositoryMetadataError"),
        ({"patientId": "x^^^&1.2.3&ISO"}, "XDSPatientIdDoesNotMatch"),
    ],
)
def test_refusals_of_metadata(node: Registry, change: dict[str, object], code: str) -> None:
    before = node.counts()
    assert node.codes(T, provided(plain(node, **change), ("Document1", None)), HELLO) == [code]
    assert node.counts() == before


def test_documents_and_entries_belong_together(node: Registry) -> None:
    p, before = node.patient, node.counts()
    assert node.codes(T, provided(plain(node))) == ["XDSMissingDocument"]
    two = [("Document1", None), ("Document2", None)]
    assert node.codes(T, provided(plain(node), *two), HELLO, ("Document2@test", b"x")) == ["XDSMissingDocumentMetadata"]
    same = provided(simple(p, document(p), document(p, 2, uniqueId="1.2.3.1")), *two)
    assert node.codes(T, same, HELLO, ("Document2@test", b"x")) == ["XDSRepositoryDuplicateUniqueIdInMessage"]
    assert node.codes(T, provided(plain(node), ("Document1", None), ("Document1", None)), HELLO) == [
        "XDSRepositoryMetadataError"
    ]
    assert node.counts() == before


def test_one_bad_document_of_two_stores_neither(node: Registry) -> None:
    p, before = node.patient, node.counts()
    both = simple(p, document(p), document(p, 2, content=b"other", hash="1" * 40))
    sent = provided(both, ("Document1", None), ("Document2", None))
    assert node.codes(T, sent, HELLO, ("Document2@test", b"other")) == ["XDSRepositoryMetadataError"]
    assert node.counts() == before


@pytest.mark.parametrize(
    "document_",
    [
        b'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:nowhere@test"/>',
        b'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="file:///etc/passwd"/>',
        b"not base64!",
        b"A" * 100_001,
        b"A" * 50_000 + b"!" + b"A" * 50_000,
    ],
)
def test_what_is_no_document_is_a_fault(node: Registry, document_: bytes) -> None:
    before = node.counts()
    response = node.send(T, provided(plain(node), inline=[("Document1", document_)]), (HELLO,))
    assert response.status == 500 and b"soap:Sender" in b"".join(response.body)
    assert node.counts() == before


def test_the_registrys_rules_keep_their_codes(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, provided(plain(node), ("Document1", None)), HELLO) == []
    old = node.one("1.2.3.1").entryUUID
    for number, code in ((2, []), (3, ["XDSRegistryDeprecatedDocumentError"])):
        sent = simple(
            p, document(p, number), number=number, more=(link(RPLC, f"Document{number}", old),)
        )  # fmt: skip
        assert node.codes(T, provided(sent, (f"Document{number}", None)), (f"Document{number}@test", b"hello")) == code
    assert node.codes(
        T, provided(plain(node, content=b"jello"), ("Document1", None)), ("Document1@test", b"jello")
    ) == ["XDSDuplicateUniqueIdInRegistry"]


def test_the_same_message_again_is_stored_once(node: Registry) -> None:
    number = "urn:uuid:7e5ec29c-2f20-4b1b-9b1a-5b3f3a0c0003"
    sent = provided(plain(node), ("Document1", None))
    assert node.codes(T, sent, HELLO, message_id=number) == []
    before = node.counts()
    assert node.codes(T, sent, HELLO, message_id=number) == []
    assert node.counts() == before


def test_a_document_above_the_limit_is_refused_with_its_code(node: Registry) -> None:
    assert node.services.changing is not None
    node.services = replace(node.services, changing=replace(node.services.changing, max_document_bytes=1000))
    content = b"x" * 1001
    sent = provided(plain(node, content=content), ("Document1", None))
    assert node.codes(T, sent, ("Document1@test", content)) == ["XDSRepositoryOutOfResources"]


@pytest.mark.parametrize("inline", [False, True])
def test_a_large_document_does_not_stand_in_memory(node: Registry, inline: bool) -> None:
    size = 48 * 1024 * 1024
    content = b"0123456789abcde\n" * (size // 16)
    metadata = plain(node, content=content)
    body = provided(metadata, inline=[("Document1", b"@")]) if inline else provided(metadata, ("Document1", None))
    envelope = soap.request(T.action, "urn:uuid:1", "http://127.0.0.1/", body)

    class Body(io.RawIOBase):
        """A message that is made while it is read."""

        def __init__(self, pieces: Iterator[bytes]) -> None:
            self.pieces, self.rest = pieces, b""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def,override]
            self.rest = self.rest or next(self.pieces, b"")
            take = self.rest[: len(buffer)]
            self.rest = self.rest[len(take) :]
            buffer[: len(take)] = take
            return len(take)

    step = 48 * 1024
    chunks = (content[at : at + step] for at in range(0, size, step))
    if inline:
        head, _, tail = envelope.partition(b"@</xds:Document>")
        kind = soap.MEDIA_TYPE

        def stream() -> Iterator[bytes]:
            yield head
            for one in chunks:
                yield b64encode(one)
            yield b"</xds:Document>" + tail

        pieces = stream()
    else:
        kind = mtom.content_type("B", "root@test")
        pieces = iter(mtom.write("B", "root@test", envelope, [mtom.OutPart("Document1@test", "text/plain", chunks)]))
    stream_ = io.BufferedReader(Body(pieces))
    tracemalloc.start()
    try:
        response = ihe.dispatch(T.path, kind, stream_, node.services, CALLER)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status == 200 and ebxml.SUCCESS.encode() in b"".join(response.body)
    assert node.one("1.2.3.1").size == size
    assert peak < 16 * 1024 * 1024, peak
