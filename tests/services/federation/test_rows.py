"""The rows of `musubi query`: values as they are written, one order, deaf to what a peer may send."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.document import Author
from gateway.services.federation.question import Resource
from gateway.services.federation.rows import Row, facility_of, merge_rows, row_of, without_originals
from gateway.translate.document_reference import of_community
from tests.xds_parts import HOME, document_pair

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


def only(resource: dict[str, Any]) -> Row:
    row = row_of(resource, "urn:oid:1")
    assert row is not None
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
    assert [row_of(one | {"status": status}, "1") for one in (LAB, RX)] == [None, None]


def test_other_resources_are_no_rows() -> None:
    vital = LAB | {"category": [{"coding": [{"code": "vital-signs"}]}]}
    assert [row_of(one, "1") for one in (vital, {"resourceType": "Patient", "id": "p"})] == [None, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted({*LAB, *RX})), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted({*LAB, *RX})), JSON))
def test_no_resource_of_a_peer_breaks_the_reading(change: dict[str, Any]) -> None:
    for resource in (LAB | change, RX | change, change):
        row = row_of(resource, "1")
        assert row is None or all(isinstance(text, str) for text in row)
        facility_of(resource, {"x": change}, {})


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
    assert [(row.community, row.id) for row in merge_rows(rows)] == expected
    assert merge_rows(reversed(rows)) == merge_rows(rows)


def test_document_rows_leave_out_the_original_of_a_bundle_that_is_there() -> None:
    entry, original, _ = document_pair()
    named = replace(entry, author=(Author(institution=("東京総合病院^^^^^^^^^1.2",)),))
    both = [Resource(of_community(one, HOME)) for one in (named, original)]
    (kept,) = without_originals(both)
    row = row_of(kept.body, "urn:oid:1", facility_of(kept.body, {}, {}))
    assert row is not None
    assert (row.id, row.date, row.facility, row.code) == (entry.uniqueId, "2011-12-20", "東京総合病院", "11502-2")
    assert without_originals(both[1:]) == both[1:]


def test_the_facility_is_that_of_the_patient_number() -> None:
    number = {"type": {"coding": [{"code": "MR"}]}, "system": "urn:oid:1.2.3", "value": "7"}
    patients = {"p": {"identifier": [{"system": "urn:oid:9", "value": "M"}, number]}}
    lab = LAB | {"subject": {"reference": "Patient/p"}}
    assert facility_of(lab, patients, {"urn:oid:1.2.3": "架空病院"}) == "架空病院"
    assert facility_of(lab, patients, {}) == "urn:oid:1.2.3"
    assert facility_of(LAB, patients, {}) == ""
