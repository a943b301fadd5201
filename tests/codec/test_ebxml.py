"""What we render: valid by the OASIS schema, the same bytes each time, and marks that no content can imitate."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import ebxml, ebxml_parts, ebxml_read, xml
from gateway.codec.ebxml import DocumentResponse, RegistryError
from gateway.model.code import Code
from gateway.model.document import APPROVED, RPLC, Association, Author, DocumentEntry
from tests.oracle.xsd import errors_of
from tests.xds_parts import DOMAIN, HOME, document_pair

CX = f"e1^^^&{DOMAIN}&ISO"
FULL: DocumentEntry = replace(
    document_pair()[0],
    author=(
        Author("1^鈴木^一郎", ("東京総合病院^^^^^^^^^1.2.3",), ("医師",), ("内科",)),
        Author(institution=("大阪 & 病院",)),
    ),
    confidentialityCode=(Code("N", "2.16.840.1.113883.5.25", "normal"), Code("R", "2.16.840.1.113883.5.25")),
    URI="a.json",
    version=2,
)


def in_answer(*objects: bytes) -> etree._Element:
    return etree.fromstring(ebxml.adhoc_query_response(ebxml.SUCCESS, (), objects))


def spliced(entry: DocumentEntry, home: str = HOME, patient: str = CX) -> bytes:
    return ebxml.splice(ebxml.render_extrinsic(entry), home=home, patient_id=patient, status=APPROVED)


@pytest.mark.parametrize("home", [HOME, ""])
def test_a_full_entry_comes_back_as_values(home: str) -> None:
    body = in_answer(spliced(FULL, home))
    (entry,) = ebxml_read.read_query_answer(body).entries
    assert entry == replace(FULL, patientId=CX, homeCommunityId=home, blob="")


def test_rendering_is_deterministic_and_ids_are_unique() -> None:
    assert ebxml.render_extrinsic(FULL) == ebxml.render_extrinsic(replace(FULL))
    found = [str(item.get("id")) for item in in_answer(spliced(FULL)).iter() if item.get("id")]
    assert len(found) == len(set(found)) > 10
    assert all(id_.startswith("urn:uuid:") and len(id_) == 45 for id_ in found)


def test_ids_of_two_entries_do_not_meet() -> None:
    one, two, _ = document_pair()
    ids = [{str(item.get("id")) for item in in_answer(spliced(e)).iter() if item.get("id")} for e in (one, two)]
    assert not ids[0] & ids[1]


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_content_can_imitate_a_mark(title: str, home: str, patient: str) -> None:
    rendered = ebxml.render_extrinsic(replace(FULL, title=title + "\x01\x02\x03"))
    assert [rendered.count(mark) for mark in (b"\x01", b"\x02", b"\x03")] == [1, 1, 1]
    body = in_answer(ebxml.splice(rendered, home=f"urn:{home}", patient_id=patient, status=APPROVED))
    found = body.find(f".//*[@identificationScheme='{ebxml_parts.PATIENT_ID}']")
    assert found is not None
    assert etree.fromstring(f'<a b="{xml.escape(patient)}"/>').get("b") == found.get("value")


@pytest.mark.parametrize("entry_uuid", ["", "1.2.3", "urn:uuid:xyz", "urn:uuid:" + "g" * 36])
def test_an_entry_without_a_uuid_cannot_be_rendered(entry_uuid: str) -> None:
    with pytest.raises(ValueError):
        ebxml.render_extrinsic(replace(FULL, entryUUID=entry_uuid))


def test_a_slot_value_ends_at_256_characters() -> None:
    ebxml.render_extrinsic(replace(FULL, sourcePatientInfo=("x" * 256,)))
    with pytest.raises(ValueError):
        ebxml.render_extrinsic(replace(FULL, sourcePatientInfo=("x" * 257,)))


def test_associations_and_references_come_back() -> None:
    link = Association(FULL.entryUUID, RPLC, "urn:uuid:a", "urn:uuid:b")
    reference = ebxml.render_object_ref("urn:uuid:a", home=HOME)
    body = in_answer(
        ebxml.render_association(link), ebxml.render_association(link, home=HOME), reference, b"", spliced(FULL)
    )
    answer = ebxml_read.read_query_answer(body)
    assert answer.associations == (link, link)
    assert answer.references == (ebxml_read.ObjectRef("urn:uuid:a", HOME),)


ERRORS = (
    RegistryError("XDSRegistryError", 'a "quoted" <text>', location="urn:oid:1"),
    RegistryError("W", "w", ebxml.WARNING),
)


@pytest.mark.parametrize("errors", [(), ERRORS, ERRORS[1:]])
def test_answers_with_and_without_errors_come_back(errors: tuple[RegistryError, ...]) -> None:
    query = etree.fromstring(ebxml.adhoc_query_response(ebxml.FAILURE, errors, ()))
    documents = [DocumentResponse(HOME, "1.2", "3.4", "text/plain", "a@b"), DocumentResponse("", "1", "2", "x/y", "c")]
    retrieve = etree.fromstring(ebxml.retrieve_response(ebxml.PARTIAL_SUCCESS, errors, documents))
    assert ebxml_read.read_query_answer(query).errors == errors
    answer = ebxml_read.read_retrieve_answer(retrieve)
    assert (answer.status, answer.errors) == (ebxml.PARTIAL_SUCCESS, errors)
    assert [(d.documentUniqueId, d.cid) for d in answer.documents] == [("3.4", "a@b"), ("2", "c")]


@pytest.mark.parametrize(
    ("errors", "any_result", "status"),
    [
        ((), False, ebxml.SUCCESS),
        ((), True, ebxml.SUCCESS),
        (ERRORS[1:], False, ebxml.SUCCESS),
        (ERRORS, True, ebxml.PARTIAL_SUCCESS),
        (ERRORS, False, ebxml.FAILURE),
    ],
)
def test_status_arithmetic(errors: tuple[RegistryError, ...], any_result: bool, status: str) -> None:
    assert ebxml.status_of(errors, any_result) == status


QUERY_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z"), exclude_characters="\ufffe\uffff")
)


@given(st.lists(QUERY_TEXT.filter(lambda text: 0 < len(text) < 100), min_size=1, max_size=30))
def test_query_values_come_back_even_when_cut_over_several(values: list[str]) -> None:
    body = etree.fromstring(ebxml.adhoc_query_request("urn:q", HOME, "LeafClass", [("$a", tuple(values), True)]))
    query = ebxml_read.read_query(body)
    assert (query.id, query.home, query.returnType) == ("urn:q", HOME, "LeafClass")
    assert query.slots == (ebxml_read.Slot("$a", tuple(values)),)


def test_requests_are_valid(shared: Path) -> None:
    slots = [("$a", ("it's",), False), ("$b", tuple(f"urn:uuid:{n:036}" for n in range(20)), True)]
    query = etree.fromstring(ebxml.adhoc_query_request("urn:q", HOME, "ObjectRef", slots))
    retrieve = etree.fromstring(ebxml.retrieve_request([(HOME, "1.2", "3"), ("", "1.2", "4")]))
    assert errors_of(shared, query) == []
    assert errors_of(shared, retrieve) == []
    assert ebxml_read.read_retrieve(retrieve) == ((HOME, "1.2", "3"), ("", "1.2", "4"))


def test_the_schema_finds_everything_we_render_valid(shared: Path) -> None:
    link = Association(FULL.entryUUID, RPLC, "urn:uuid:a", "urn:uuid:b")
    objects = [
        spliced(FULL),
        spliced(FULL, ""),
        ebxml.render_association(link),
        ebxml.render_association(link, home=HOME),
        ebxml.render_object_ref("urn:uuid:a", home=HOME),
    ]
    assert errors_of(shared, in_answer(*objects)) == []
    for errors in ((), ERRORS, ERRORS[1:]):
        documents = [DocumentResponse(HOME, "1.2", "3.4", "text/plain", "a@b")]
        for body in (
            ebxml.adhoc_query_response(ebxml.FAILURE, errors, ()),
            ebxml.retrieve_response(ebxml.PARTIAL_SUCCESS, errors, documents),
            ebxml.retrieve_response(ebxml.FAILURE, errors, ()),
        ):
            assert errors_of(shared, etree.fromstring(body)) == []


def test_the_schema_can_say_no(shared: Path) -> None:
    assert errors_of(shared, in_answer(spliced(FULL).replace(b"rim:VersionInfo", b"rim:Version")))
