"""ITI-42 from bytes to rows: what is stored, what is refused with which code, and nothing by halves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from gateway.codec import ebxml, xml
from gateway.codec.ebxml_read import read_object
from gateway.codec.ebxml_submit import submit_request
from gateway.ihe import iti42
from gateway.model.caller import UNRESTRICTED
from gateway.model.code import Code
from gateway.model.document import (
    APND,
    APPROVED,
    HAS_MEMBER,
    ON_DEMAND,
    RPLC,
    SIGNS,
    XFRM,
    XFRM_RPLC,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from tests.oracle.xsd import errors_of
from tests.registry_parts import (
    Registry,
    body,
    document,
    folder,
    link,
    member,
    registry,
    rendered,
    simple,
    submission_set,
)

T = iti42.TRANSACTION


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        yield made


def test_everything_submitted_comes_back(node: Registry) -> None:
    p = node.patient
    wanted = document(p)
    more = (folder(p), member("Folder1", ""), link(HAS_MEMBER, "Folder1", "Document1", id_="fd"), member("fd", ""))
    assert node.codes(T, simple(p, wanted, more=more)) == []
    stored = node.one("1.2.3.1")
    got = read_object(stored)
    assert isinstance(got, DocumentEntry)
    assert got == replace(wanted, entryUUID=stored.entryUUID, availabilityStatus=APPROVED)
    set_ = read_object(node.one("1.2.4.1"))
    assert set_ == replace(submission_set(p), entryUUID=node.one("1.2.4.1").entryUUID)
    held = read_object(node.one("1.2.6.1"))
    assert isinstance(held, Folder) and isinstance(set_, SubmissionSet)
    assert held.lastUpdateTime.startswith("2026") and held.title == "A folder" and held.codeList == folder(p).codeList
    kinds = sorted(
        (one.associationType.rpartition(":")[2], one.slot("SubmissionSetStatus")) for one in node.links("1.2.4.1")
    )
    assert kinds == [("HasMember", ""), ("HasMember", ""), ("HasMember", "Original")]


def test_what_is_stored_is_valid_by_the_schema(node: Registry, shared: Path) -> None:
    p = node.patient
    meaning = Code("doc", "urn:d", "Doc")
    more = (
        folder(p),
        member("Folder1", ""),
        replace(link(HAS_MEMBER, "Folder1", "Document1", id_="fd"), documentation=meaning),
        member("fd", ""),
    )
    answer = node.answer(T, simple(p, document(p), more=more))
    assert errors_of(shared, answer) == []
    ids = [node.one(one).entryUUID for one in ("1.2.3.1", "1.2.4.1", "1.2.6.1")]
    objects = [ebxml.complete(one, "urn:oid:1.2") for one in node.store.registry.by_entry_uuid(ids, UNRESTRICTED)]
    links = node.store.registry.associations(ids, UNRESTRICTED)
    assert any(one.documentation == meaning for one in links)
    objects += [ebxml.render_association(one, home="urn:oid:1.2") for one in links]
    response = ebxml.adhoc_query_response(ebxml.SUCCESS, (), objects)
    assert errors_of(shared, etree.fromstring(response)) == []
    request = submit_request(objects)
    assert errors_of(shared, etree.fromstring(request)) == []


def test_a_success_leaves_one_audit_record_and_its_jobs(node: Registry) -> None:
    before = node.counts()["outbox"]
    node.codes(T, simple(node.patient, document(node.patient)))
    rows = node.rows("SELECT event, action, outcome, patient, object FROM audit WHERE \"transaction\" = 'ITI-42'")
    assert rows == [("110107", "C", 0, node.patient, "1.2.4.1")]
    jobs = node.rows(f"SELECT kind FROM outbox WHERE n > {before} ORDER BY n")
    assert jobs == [("notify-document",), ("notify-submission",)]


P = "{patient}"
Edit = Callable[[str, str], bytes]


def _documents(**changes: object) -> Edit:
    return lambda p, o: simple(p, document(p, **changes))  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Edit, str]] = {
    "no set": (lambda p, o: body(document(p)), "XDSRegistryMetadataError"),
    "two sets": (
        lambda p, o: body(submission_set(p), submission_set(p, 2, entryUUID="S2")),
        "XDSRegistryMetadataError",
    ),
    "no member": (lambda p, o: body(submission_set(p), document(p)), "XDSRegistryMetadataError"),
    "no hash": (_documents(hash=""), "XDSRegistryMetadataError"),
    "hash is none": (_documents(hash="xyz"), "XDSRegistryMetadataError"),
    "no repository": (_documents(repositoryUniqueId=""), "XDSRegistryMetadataError"),
    "repository too long": (_documents(repositoryUniqueId="1." + "2" * 64), "XDSRegistryMetadataError"),
    "no sourcePatientId": (_documents(sourcePatientId=""), "XDSRegistryMetadataError"),
    "no creationTime": (_documents(creationTime=""), "XDSRegistryMetadataError"),
    "creationTime is none": (_documents(creationTime="20261301"), "XDSRegistryMetadataError"),
    "creationTime with zone": (_documents(creationTime="20260101000000+0900"), "XDSRegistryMetadataError"),
    "no confidentialityCode": (_documents(confidentialityCode=()), "XDSRegistryMetadataError"),
    "class without scheme": (_documents(classCode=Code("x", "")), "XDSRegistryMetadataError"),
    "uniqueId like a path": (_documents(uniqueId="../../etc/passwd"), "XDSRegistryMetadataError"),
    "uniqueId like SQL": (_documents(uniqueId="1.2' OR '1'='1"), "XDSRegistryMetadataError"),
    "patient id without authority": (lambda p, o: simple("123", document("123")), "XDSRegistryMetadataError"),
    "on-demand": (_documents(objectType=ON_DEMAND), "XDSRegistryMetadataError"),
    "broken entryUUID": (_documents(entryUUID="urn:uuid:zzz"), "XDSRegistryMetadataError"),
    "unknown association": (
        lambda p, o: simple(p, document(p), more=(link("urn:x:Other", "Document1", "SubmissionSet01"),)),
        "XDSRegistryMetadataError",
    ),
    "twice in the message": (
        lambda p, o: simple(p, document(p), document(p, 2, uniqueId="1.2.3.1")),
        "XDSRegistryDuplicateUniqueIdInMessage",
    ),
    "unknown patient": (
        lambda p, o: simple(q := "nobody^^^&1.2.9&ISO", document(q)),
        "XDSUnknownPatientId",
    ),
    "another patient": (lambda p, o: simple(p, document(o)), "XDSPatientIdDoesNotMatch"),
    "unknown target": (
        lambda p, o: simple(p, document(p), more=(link(RPLC, "Document1", "urn:uuid:" + "0" * 8 + "-0000-0000-0000-" + "0" * 12),)),
        "UnresolvedReferenceException",
    ),
    "original of what is not here": (
        lambda p, o: body(submission_set(p), member("urn:uuid:00000000-0000-0000-0000-000000000000")),
        "UnresolvedReferenceException",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_store_nothing(node: Registry, case: str, shared: Path) -> None:
    edit, code = REFUSED[case]
    before = node.counts()
    answer = node.answer(T, edit(node.patient, node.other))
    assert [error.get("errorCode") for error in answer.iter(f"{{{ebxml.RS}}}RegistryError")] == [code]
    assert answer.get("status") == ebxml.FAILURE
    assert errors_of(shared, answer) == []
    assert node.counts() == before
    assert node.rows("SELECT outcome FROM audit ORDER BY n DESC LIMIT 1") == [(8,)]


def test_an_unknown_patient_id_stands_in_the_context(node: Registry) -> None:
    q = "nobody^^^&1.2.9&ISO"
    answer = node.answer(T, simple(q, document(q)))
    (error,) = answer.iter(f"{{{ebxml.RS}}}RegistryError")
    assert q in error.get("codeContext", "")


@pytest.mark.parametrize("change", ["slot twice", "class twice", "not submit", "long value", "foreign classification"])
def test_cardinalities_of_the_wire(node: Registry, change: str) -> None:
    p = node.patient
    xml_ = simple(p, document(p)).decode()
    slot = '<rim:Slot name="creationTime"><rim:ValueList><rim:Value>20260101</rim:Value></rim:ValueList></rim:Slot>'
    start = xml_.index("<rim:Classification", xml_.index("41a5887f-8865") - 200)
    classified = xml_[start : xml_.index("</rim:Classification>", start) + len("</rim:Classification>")]
    edited = {
        "slot twice": xml_.replace(slot, slot + slot),
        "class twice": xml_.replace(classified, classified + classified),
        "not submit": xml_.replace("SubmitObjectsRequest", "OtherRequest"),
        "long value": xml_.replace("^Welby^Marcus", "x" * 257),
        "foreign classification": xml_.replace(classified, classified.replace('"Document1"', '"Document2"')),
    }[change]
    assert edited != xml_
    response = node.send(T, edited.encode())
    expected = 500 if change == "not submit" else 200
    assert response.status == expected
    assert node.rows("SELECT count(*) FROM registry_object WHERE kind = ''") == [(0,)]


def test_the_same_document_again_is_a_second_submission(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, simple(p, document(p))) == []
    assert node.codes(T, simple(p, document(p, hash=document(p).hash.upper()), number=2)) == []
    assert node.status("1.2.3.1") == ["Approved", "Approved"]
    other = document(p, content=b"jello")
    assert node.codes(T, simple(p, other, number=3)) == ["XDSNonIdenticalHash"]
    assert node.codes(T, simple(p, document(p, size=9), number=3)) == ["XDSNonIdenticalSize"]
    assert node.codes(T, simple(p, document(p, 2), number=1)) == ["XDSDuplicateUniqueIdInRegistry"]


def test_the_same_message_again_is_a_success_stored_once(node: Registry) -> None:
    sent = simple(node.patient, document(node.patient))
    number = "urn:uuid:7e5ec29c-2f20-4b1b-9b1a-5b3f3a0c0001"
    assert node.codes(T, sent, message_id=number) == []
    before = node.counts()
    assert node.codes(T, sent, message_id=number) == []
    assert node.counts() == before
    assert node.codes(T, sent) == ["XDSDuplicateUniqueIdInRegistry"]


def test_an_entry_uuid_that_is_taken_is_refused(node: Registry) -> None:
    p, id_ = node.patient, "urn:uuid:7e5ec29c-2f20-4b1b-9b1a-5b3f3a0c0002"
    assert node.codes(T, simple(p, document(p, entryUUID=id_))) == []
    assert node.one("1.2.3.1").entryUUID == id_
    assert node.codes(T, simple(p, document(p, 2, entryUUID=id_), number=2)) == ["XDSRegistryMetadataError"]


def test_replacement_takes_addenda_and_transformations_with_it(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, simple(p, document(p))) == []
    old = node.one("1.2.3.1").entryUUID
    assert node.codes(T, simple(p, document(p, 2), number=2, more=(link(APND, "Document2", old),))) == []
    apnd = node.one("1.2.3.2").entryUUID
    assert node.codes(T, simple(p, document(p, 3), number=3, more=(link(XFRM, "Document3", apnd),))) == []
    assert node.codes(T, simple(p, document(p, 4), number=4, more=(link(SIGNS, "Document4", old),))) == []
    assert node.codes(T, simple(p, document(p, 5), number=5, more=(link(RPLC, "Document5", old),))) == []
    assert [node.status(f"1.2.3.{n}") for n in (1, 2, 3, 4, 5)] == [
        ["Deprecated"], ["Deprecated"], ["Deprecated"], ["Approved"], ["Approved"]
    ]  # fmt: skip
    again = simple(p, document(p, 6), number=6, more=(link(APND, "Document6", old),))
    assert node.codes(T, again) == ["XDSRegistryDeprecatedDocumentError"]
    new = node.one("1.2.3.5").entryUUID
    assert node.codes(T, simple(p, document(p, 7), number=7, more=(link(XFRM_RPLC, "Document7", new),))) == []
    assert node.status("1.2.3.5") == ["Deprecated"]


def test_a_replacement_takes_the_place_in_folders_and_renews_them(node: Registry) -> None:
    p = node.patient
    more = (folder(p), member("Folder1", ""), link(HAS_MEMBER, "Folder1", "Document1", id_="fd"), member("fd", ""))
    assert node.codes(T, simple(p, document(p), more=more)) == []
    before = node.one("1.2.6.1")
    old = node.one("1.2.3.1").entryUUID
    assert node.codes(T, simple(p, document(p, 2), number=2, more=(link(RPLC, "Document2", old),))) == []
    after = node.one("1.2.6.1")
    assert after.time > before.time
    members = {one.targetObject for one in node.links("1.2.6.1") if one.sourceObject == before.entryUUID}
    assert members == {old, node.one("1.2.3.2").entryUUID}


def test_a_document_is_put_into_a_folder_that_is_there(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, simple(p, document(p), more=(folder(p), member("Folder1", "")))) == []
    held, entry = node.one("1.2.6.1"), node.one("1.2.3.1").entryUUID
    sent = body(
        link(HAS_MEMBER, held.entryUUID, entry, id_="fd"), member("fd", ""), member(entry, "Reference"),
        submission_set(p, 2),
    )  # fmt: skip
    assert node.codes(T, sent) == []
    assert node.one("1.2.6.1").time > held.time
    assert node.codes(T, body(member(entry, "Original"), submission_set(p, 3))) == ["XDSRegistryMetadataError"]


def test_an_association_does_not_join_two_patients(node: Registry) -> None:
    assert node.codes(T, simple(node.other, document(node.other))) == []
    theirs = node.one("1.2.3.1").entryUUID
    p = node.patient
    sent = simple(p, document(p, 2), number=2, more=(link(RPLC, "Document2", theirs),))
    assert node.codes(T, sent) == ["XDSPatientIdDoesNotMatch"]
    assert node.status("1.2.3.1") == ["Approved"]


def test_slots_without_a_urn_are_left_out_with_a_warning(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, simple(p, document(p, extra=(("myslot", ("x",)),)))) == ["XDSExtraMetadataNotSaved"]
    assert node.status("1.2.3.1") == ["Approved"]


def test_an_entry_of_a_file_that_was_replaced_by_a_submission_stays_replaced(node: Registry) -> None:
    from tests.storage.making import message, outcome, record

    p = node.patient
    old = node.rows('SELECT "entryUUID", "uniqueId" FROM registry_object WHERE kind = \'original\' ORDER BY n LIMIT 1')
    entry_uuid, unique_id = map(str, old[0])
    assert node.codes(T, simple(p, document(p, 2), more=(link(RPLC, "Document2", entry_uuid),))) == []
    node.store.keeping.keep([outcome(message("a", 5, "new"))], record)
    assert node.status(unique_id) == ["Deprecated"]


def test_symbolic_ids_of_classifications_that_stand_beside(node: Registry) -> None:
    """A package may be classified by an element beside it."""
    p = node.patient
    whole = rendered(submission_set(p)).decode()
    start = whole.index("<rim:Classification", whole.index("classificationNode") - 200)
    beside = whole[start : whole.index("/>", start) + 2]
    sent = submit_request(
        [rendered(member("Document1")), beside.encode(), whole.replace(beside, "").encode(), rendered(document(p))]
    )
    assert xml.parse(sent, xml.REQUEST) is not None
    assert node.codes(T, sent) == []
