"""What came in comes out (section 9): the strongest test of the mapping."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.returning import Returning
from tests.translate.exchange_spec.making import (
    RECORDS,
    canonical,
    convert,
    envelope,
    files,
    one,
    person,
    record,
)

CHECK = Validator.default().check


def back(resources: list[dict[str, Any]], names: str = "seed") -> tuple[list[dict[str, Any]], dict[str, int]]:
    found = Returning()
    for resource in resources:
        found.add(fhir.parse(fhir.render(resource)))
    return found.files(names), dict(found.skipped)


def returned(document: Any, names: str = "seed") -> dict[str, Any]:
    made = convert(document, Registers())
    assert [each.error for each in made] == [None] * len(made)
    resources = [resource for each in made for resource in each.resources]
    (file,), skipped = back(sorted(resources, key=lambda one: (one["resourceType"], one["id"])), names)
    assert skipped == {}
    return file


@settings(max_examples=60, deadline=None)
@given(files())
def test_every_valid_file_comes_back_equal(document: dict[str, Any]) -> None:
    assert canonical(returned(document)) == canonical(document)


@pytest.mark.long
@settings(max_examples=5000, deadline=None)
@given(files())
def test_every_valid_file_comes_back_equal_long(document: dict[str, Any]) -> None:
    assert canonical(returned(document)) == canonical(document)


@settings(max_examples=15, deadline=None)
@given(files())
def test_every_valid_file_gives_valid_fhir(document: dict[str, Any]) -> None:
    for each in convert(document, Registers()):
        for resource in each.resources:
            assert [f for f in CHECK(fhir.parse(fhir.render(resource))) if f.severity in ("error", "fatal")] == []


@pytest.mark.parametrize("type_", RECORDS)
def test_every_item_of_every_record_comes_back(type_: str) -> None:
    document = envelope(person(**{type_: [record(type_)]}))
    assert canonical(returned(document)) == canonical(document)


@pytest.mark.parametrize(
    ("type_", "item", "value"),
    [
        ("weighing_scale", "body_weight", Decimal("72.50")),
        ("weighing_scale", "body_weight", Decimal("72.5")),
        ("weighing_scale", "body_weight", 72),
        ("weighing_scale", "body_fat", Decimal("0.0")),
        ("activity_monitor", "step", Decimal("5.0")),
        ("activity_monitor", "step", 0),
        ("activity_monitor", "calories", Decimal("9999.9")),
        ("hba1c", "hba1c_value", Decimal("6.70")),
    ],
)
def test_digits_come_back_as_they_were_printed(type_: str, item: str, value: Any) -> None:
    document = envelope(person(**{type_: [record(type_, **{item: value})]}))
    assert canonical(returned(document)) == canonical(document)


def test_order_of_records_and_persons_comes_back() -> None:
    times = ["20171003000000", "20171001000000", "20171002000000"]
    records = [record("activity_monitor", observation_time=time) for time in times]
    document = envelope(person("P2", activity_monitor=records), person("P1", activity_monitor=records[::-1]))
    assert canonical(returned(document)) == canonical(document)


def test_unknown_keys_arrays_and_groups_come_back_where_they_stood() -> None:
    document = envelope(
        {
            **person(weighing_scale=[record("weighing_scale", distance=Decimal("1.20"), note={"a": [1, None]})]),
            "nickname": "x",
        },
        _expected=["E"],
    )
    document["person_information"][0]["healthcare_information"]["sleep"] = [{"minutes": 400}]
    document["person_information"][0]["health_checkup_information"] = {"lipids": [{"ldl": Decimal("1.0")}], "hba1c": []}
    assert canonical(returned(document)) == canonical(document)


def test_a_number_with_an_exponent_in_an_unknown_key_comes_back() -> None:
    document = envelope({"person_id": "P1"}, x=[exact.Exponent("1.5E+3"), Decimal(10**30), -1])
    assert canonical(returned(document)) == canonical(document)


def test_the_h28_dialect_says_input_method_code() -> None:
    document = envelope(person(weighing_scale=[record("weighing_scale")]))
    (made,) = returned(document, "h28")["person_information"][0]["healthcare_information"]["weighing_scale"]
    assert made["input_method_code"] == "0" and "data_input_code" not in made


SCALE, PRESSURE = record("weighing_scale"), record("blood_pressure")


@pytest.mark.parametrize(
    "group",
    [
        [],
        [{}],
        [{"weighing_scale": [SCALE]}],
        [{"weighing_scale": [SCALE], "sleep": [1]}, {"blood_pressure": [PRESSURE], "sleep": [2]}],
        [{"weighing_scale": []}, {}, {"blood_pressure": [PRESSURE]}, {"x": 1}],
        [{"blood_pressure": [PRESSURE]}, {"blood_pressure": [{**PRESSURE, "observation_time": "20171002071500"}]}],
    ],
)
def test_groups_as_arrays_come_back_as_they_were(group: list[Any]) -> None:
    document = envelope({"person_id": "P1", "healthcare_information": group}, {"person_id": "P2"})
    assert canonical(returned(document)) == canonical(document)


def test_a_record_that_was_refused_leaves_the_others_in_their_objects() -> None:
    bad = {"weighing_scale": [{**SCALE, "body_weight": 999}]}
    document = envelope({"person_id": "P1", "healthcare_information": [bad, {"blood_pressure": [PRESSURE]}]})
    resources = [resource for each in convert(document, Registers()) for resource in each.resources]
    (file,), _ = back(resources)
    assert file["person_information"][0]["healthcare_information"] == [{}, {"blood_pressure": [PRESSURE]}]


def test_files_of_one_person_are_joined_and_nothing_of_either_is_lost() -> None:
    later = {**SCALE, "observation_time": "20171002070000"}
    shapes = {"weighing_scale": [SCALE], "sleep": [1]}, [{"weighing_scale": [later], "sleep": [1, 2]}, {"x": 1}]
    resources: dict[str, Any] = {}
    for n, group in enumerate(shapes):
        document = envelope({"person_id": "P1", "healthcare_information": group}, send_time=f"2017100521000012{n}")
        resources |= {one["id"]: one for each in convert(document, Registers()) for one in each.resources}
    (file,), _ = back(list(resources.values()))
    assert file["person_information"][0]["healthcare_information"] == [
        {"weighing_scale": [SCALE, later], "sleep": [1, 2]},
        {"x": 1},
    ]


# -- FHIR that is not ours --------------------------------------------------------------------------------------------


def test_without_our_extensions_a_record_misses_mandatory_items_and_is_counted() -> None:
    made = one("weighing_scale")
    stripped = [{k: v for k, v in r.items() if k != "extension"} for r in made.resources]
    (file,), skipped = back(stripped)
    assert file["person_information"] == [{"person_id": "P0000001"}]
    assert skipped == {"E-REQUIRED:data_input_code": 1}


def test_an_observation_of_somebody_else_is_exported_when_it_says_enough() -> None:
    made = one("weighing_scale", body_fat=None)
    foreign = []
    for resource in made.resources:
        if resource["resourceType"] == "Observation":
            resource = {k: v for k, v in resource.items() if k not in ("identifier", "meta")} | {"id": "theirs"}
            resource["issued"] = "2017-10-05T00:30:00Z"
            resource["extension"] = [e for e in resource["extension"] if not e["url"].endswith("observation-time")]
        foreign.append(resource)
    (file,), skipped = back(foreign)
    (found,) = file["person_information"][0]["healthcare_information"]["weighing_scale"]
    assert skipped == {} and canonical(found) == canonical(record("weighing_scale", body_fat=None)).replace(
        '"body_fat": null, ', ""
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "entered-in-error"}, "status"),
        ({"status": "preliminary"}, "status"),
        ({"code": {"text": "?"}, "identifier": []}, "other-kind"),
        ({"identifier": [], "subject": {"reference": "Patient/nobody"}}, "no-person"),
        ({"valueQuantity": {"value": 160, "unit": "lb", "code": "[lb_av]"}}, "E-REQUIRED:body_weight"),
        ({"valueQuantity": {"value": 500, "comparator": ">", "code": "kg"}}, "E-REQUIRED:body_weight"),
    ],
)
def test_what_cannot_be_said_is_counted(change: dict[str, Any], reason: str) -> None:
    made = one("weighing_scale", body_fat=None)
    resources = [{**r, **change} if r["resourceType"] == "Observation" else r for r in made.resources]
    (file,), skipped = back(resources)
    assert "healthcare_information" not in file["person_information"][0] and skipped == {reason: 1}


def test_without_any_file_known_the_newest_update_is_the_send_time() -> None:
    made = one("weighing_scale")
    (file,), _ = back([r for r in made.resources if r["resourceType"] != "Provenance"])
    assert file["send_time"] == "20171005093000000" and file["format_version"] == "1.0"
