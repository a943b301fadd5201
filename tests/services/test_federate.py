"""Many communities, one deadline: every one is named, the good half counts, rows have one order."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DamagedContent, Forbidden, Unavailable, UnknownPatient
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.document import Author
from gateway.model.identity import PatientId
from gateway.services.federate import (
    Ask,
    Community,
    Item,
    Question,
    Row,
    ask_all,
    merge,
    own_registry,
    rows_of,
    rows_of_bundle,
)
from tests.xds_parts import FACILITY, HOME, MEDICAL, PATIENT, document_pair, make_node

LAB: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "category": [{"coding": [{"code": "laboratory"}]}],
    "code": {"coding": [{"code": "3F015000002327101", "display": "K"}], "text": "カリウム"},
    "effectiveDateTime": "2011-12-20T10:00:00+09:00",
    "valueQuantity": {"value": Decimal("4.10"), "unit": "mmol/L"},
}
RX: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "medicationCodeableConcept": {"coding": [{"code": "103835401", "display": "ムコダイン錠"}]},
    "authoredOn": "2011-12-21",
    "dosageInstruction": [
        {"text": "毎食後", "doseAndRate": [{"doseQuantity": {"value": Decimal("1.0"), "unit": "錠"}}]}
    ],
}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


def item(*resources: dict[str, Any]) -> Item:
    return Item(document_pair()[0], bundle(*resources))


def gives(*items: Item) -> Ask:
    return lambda question, left_s: items


def raises(error: Exception) -> Ask:
    def ask(question: Question, left_s: float) -> Sequence[Item]:
        raise error

    return ask


QUESTION = Question(PATIENT)


def test_every_community_is_named_with_its_outcome() -> None:
    communities = [
        Community("urn:oid:1", "東京", gives(item(LAB))),
        Community("urn:oid:2", "大阪", gives()),
        Community("urn:oid:3", "c", raises(UnknownPatient("x"))),
        Community("urn:oid:4", "d", raises(TimeoutError())),
        Community("urn:oid:5", "e", raises(Unavailable("x"))),
        Community("urn:oid:6", "f", raises(Forbidden("x"))),
        Community("urn:oid:7", "g", raises(KeyError("taro"))),
    ]
    answer = ask_all(QUESTION, communities, 10, Clock())
    assert [outcome.outcome for outcome in answer.communities] == [
        "ok",
        "nothing",
        "nothing",
        "timeout",
        "failed",
        "refused",
        "failed",
    ]
    assert [outcome.community for outcome in answer.communities] == [f"urn:oid:{n}" for n in range(1, 8)]
    assert [row.type for row in answer.rows] == ["lab", "document"]


def test_a_silent_community_ends_with_the_deadline_and_its_late_answer_is_dropped() -> None:
    release = threading.Event()
    done = threading.Event()

    def late(question: Question, left_s: float) -> Sequence[Item]:
        release.wait(30)
        done.set()
        return [item(RX)]

    communities = [Community("urn:oid:1", "late", late), Community("urn:oid:2", "good", gives(item(LAB)))]
    answer = ask_all(QUESTION._replace(types=("lab", "rx")), communities, 0.2, Clock())
    release.set()
    assert done.wait(30)
    assert [(outcome.outcome, outcome.community) for outcome in answer.communities] == [
        ("timeout", "urn:oid:1"),
        ("ok", "urn:oid:2"),
    ]
    assert [row.id for row in answer.rows] == ["o1"]
    assert answer.communities[0].ms == 200


def test_threads_are_bounded_and_everybody_is_asked() -> None:
    running, most = 0, 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def ask(question: Question, left_s: float) -> Sequence[Item]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(30)
        with lock:
            running -= 1
        return []

    answer = ask_all(QUESTION, [Community(str(n), "", ask) for n in range(6)], 30, Clock(), threads=2)
    assert [outcome.outcome for outcome in answer.communities] == ["nothing"] * 6
    assert most == 2


def test_without_time_nobody_is_asked() -> None:
    answer = ask_all(QUESTION, [Community("1", "", gives(item(LAB)))], 0, Clock())
    assert ([outcome.outcome for outcome in answer.communities], answer.rows) == (["timeout"], ())


def test_no_community_no_row() -> None:
    assert ask_all(QUESTION, [], 1, Clock()).as_json() == {"communities": [], "rows": []}


def test_the_json_form() -> None:
    answer = ask_all(QUESTION._replace(types=("lab",)), [Community("urn:oid:1", "東京", gives(item(LAB)))], 10, Clock())
    found = answer.as_json()
    assert [sorted(community) for community in found["communities"]] == [["community", "ms", "name", "outcome"]]
    assert found["rows"] == [
        {
            "type": "lab",
            "date": "2011-12-20T10:00:00+09:00",
            "name": "カリウム",
            "code": "3F015000002327101",
            "value": "4.10",
            "unit": "mmol/L",
            "community": "urn:oid:1",
            "facility": FACILITY,
            "id": "o1",
        }
    ]


# -- rows --------------------------------------------------------------------------------------------------------


def only(resource: dict[str, Any]) -> Row:
    (row,) = rows_of_bundle(bundle(resource), "urn:oid:1")
    return row


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"valueQuantity": {"value": Decimal("1.50"), "comparator": "<", "unit": "g"}}, ("<1.50", "g")),
        ({"valueQuantity": {"value": 3}}, ("3", "")),
        ({"valueQuantity": {"value": Decimal("0.0000001")}}, ("0.0000001", "")),
        ({"valueString": "(-)"}, ("(-)", "")),
        ({"valueInteger": 0}, ("0", "")),
        ({"valueBoolean": True}, ("true", "")),
        ({"valueString": {"not": "text"}}, ("", "")),
        ({"valueCodeableConcept": {"coding": [{"code": "1+"}]}}, ("1+", "")),
        (
            {"component": [{"valueQuantity": {"value": 120, "unit": "mmHg"}}, {"valueString": "x"}]},
            ("120 mmHg / x", ""),
        ),
        ({"dataAbsentReason": {"text": "unknown"}}, ("", "")),
    ],
)
def test_values_as_written(value: dict[str, Any], shown: tuple[str, str]) -> None:
    row = only({key: LAB[key] for key in LAB if key != "valueQuantity"} | value)
    assert (row.value, row.unit) == shown


def test_a_prescription_row() -> None:
    assert only(RX)[:6] == ("rx", "2011-12-21", "ムコダイン錠", "103835401", "1.0", "錠")
    without_dose = RX | {"dosageInstruction": [{"text": "毎食後"}]}
    assert only(without_dose)[4:6] == ("毎食後", "")
    contained = {key: RX[key] for key in RX if key != "medicationCodeableConcept"} | {
        "medicationReference": {"reference": "#a"},
        "contained": [{"id": "a", "code": {"text": "薬"}}],
    }
    assert only(contained).name == "薬"
    saline, drug = (
        {"itemCodeableConcept": {"coding": [{"code": c}], "text": t}} for c, t in (("1", "生食"), ("2", "薬"))
    )
    one = contained | {"contained": [{"id": "a", "ingredient": [saline]}]}
    two = contained | {"contained": [{"id": "a", "ingredient": [saline, drug]}]}
    assert (only(one).name, only(one).code) == ("生食", "1")
    assert (only(two).name, only(two).code) == ("生食 + 薬", "")


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_what_is_said_not_to_be_so_is_no_row(status: str) -> None:
    assert rows_of_bundle(bundle(LAB | {"status": status}, RX | {"status": status}), "1") == []


def test_other_resources_are_no_rows() -> None:
    vital = LAB | {"category": [{"coding": [{"code": "vital-signs"}]}]}
    assert rows_of_bundle(bundle(vital, {"resourceType": "Patient", "id": "p"}), "1") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted({*LAB, *RX})), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted({*LAB, *RX})), JSON))
def test_no_bundle_of_a_peer_breaks_the_reading(change: dict[str, Any]) -> None:
    for resource in (LAB | change, RX | change, change):
        for row in rows_of_bundle(bundle(resource) | {"x": change}, "1"):
            assert all(isinstance(text, str) for text in row)
    assert rows_of_bundle({"entry": change}, "1") == []


def test_one_row_for_one_resource_newest_first() -> None:
    row = only(LAB)
    rows = [
        row._replace(id="b", date="2011"),
        row._replace(id="a", date=""),
        row._replace(id="z", date="2011-12-20T01:00:00Z"),
        row._replace(id="y", date="2011-12-20T10:00:00+09:00"),
        row._replace(id="y", date="2011-12-20T10:00:00+09:00", community="urn:oid:0"),
        row._replace(id="y", date="2011-12-20T10:00:00+09:00"),
        row._replace(id="c", date="no date"),
        row._replace(id="d", date="2012-01-01"),
    ]
    expected = [
        ("urn:oid:1", "d"),
        ("urn:oid:0", "y"),
        ("urn:oid:1", "y"),
        ("urn:oid:1", "z"),
        ("urn:oid:1", "b"),
        ("urn:oid:1", "a"),
        ("urn:oid:1", "c"),
    ]
    assert [(row.community, row.id) for row in merge(rows)] == expected
    assert merge(reversed(rows)) == merge(rows)


def test_document_rows_leave_out_the_original_of_a_bundle_that_is_there() -> None:
    entry, original, _ = document_pair()
    named = replace(entry, author=(Author(institution=("東京総合病院^^^^^^^^^1.2",)),))
    both = rows_of([Item(named, bundle(LAB)), Item(original)], ("document",), "urn:oid:1")
    assert [(row.id, row.date, row.facility, row.code) for row in both] == [
        (entry.uniqueId, "2011-12-20", "東京総合病院", "11502-2")
    ]
    assert [row.id for row in rows_of([Item(original)], ("document",), "urn:oid:1")] == [original.uniqueId]


# -- the own registry --------------------------------------------------------------------------------------------


def test_the_own_registry_answers_like_a_community() -> None:
    node = make_node()
    items = own_registry(node.services, UNRESTRICTED)(Question(PatientId("M1", MEDICAL)), 5)
    assert [(found.entry.entryUUID, found.entry.homeCommunityId) for found in items] == [
        (node.bundle.entryUUID, HOME),
        (node.original.entryUUID, HOME),
    ]
    assert [found.bundle for found in items] == [{"resourceType": "Bundle"}, None]


def test_for_documents_alone_no_content_is_read() -> None:
    node = make_node()
    own_registry(node.services, UNRESTRICTED)(Question(PATIENT, ("document",)), 5)
    assert node.blobs.opened == []


def test_the_own_registry_does_not_hide_damage_or_strangers() -> None:
    node = make_node()
    with pytest.raises(UnknownPatient):
        own_registry(node.services, UNRESTRICTED)(Question(PatientId("x", MEDICAL)), 5)
    node.blobs.damaged.add(node.bundle.blob)
    with pytest.raises(DamagedContent):
        own_registry(node.services, UNRESTRICTED)(QUESTION, 5)
