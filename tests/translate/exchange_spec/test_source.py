"""The exchange convention as a source: which files, one Converted a person, which record of a key counts (5)."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.model.identity import Authority
from gateway.translate.context import Facilities
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.source import read_file, recognises
from gateway.translate.sources import choose, read_documents
from tests.translate.exchange_spec.making import (
    LISTS,
    codes,
    convert,
    envelope,
    observations,
    one,
    person,
    record,
)

SCALE = record("weighing_scale")
TWO = envelope(*(person(id_, weighing_scale=[SCALE]) for id_ in ("P0000001", "P0000002")))


@pytest.mark.parametrize(
    ("data", "path", "known"),
    [
        (exact.dumps(TWO), "x", True),
        (b"\xef\xbb\xbf \n" + exact.dumps(TWO), "x", True),
        (b'{"send_time": "', "a/HX_TST001_1.json", True),
        (b"\xff\xfe{\x00", "x.JSON", True),
        (b'{"resourceType":"Bundle","x":"format_version"}', "x.json", False),
        (b"MSH|^~\\&|", "x", False),
        (b'{"a":1}', "x.txt", False),
    ],
)
def test_which_files_are_exchange_files(data: bytes, path: str, known: bool) -> None:
    assert recognises(data, path) is known
    assert (choose(data, path).name == "exchange-spec") is known


def test_one_converted_a_person_with_an_envelope_of_its_own() -> None:
    first, second = convert({**TWO, "x": 1})
    for made, number in ((first, 0), (second, 1)):
        original = json.loads(made.original)
        assert original["person_information"] == [json.loads(exact.dumps(TWO))["person_information"][number]]
        assert original["send_time"] == TWO["send_time"] and original["x"] == 1
    assert first.sha256 != second.sha256 and first.patient_id != second.patient_id


def test_the_file_itself_is_the_original_of_its_only_person() -> None:
    data = json.dumps(json.loads(exact.dumps(envelope(person(weighing_scale=[SCALE])))), indent=1).encode()
    (made,) = convert(data)
    assert made.original == data


def test_a_record_is_a_part_with_its_key_and_version() -> None:
    (part,) = one("weighing_scale").parts
    assert part.key == (
        "P0000001", "20171001", "exchange-spec",
        "TST001|P0000001|weighing_scale|20171001070000|TESTMAKER|TM-100|SN0000001",
    )  # fmt: skip
    assert part.version_time == "20171005093000000-79828994789999876"
    assert [resource["resourceType"] for resource in part.resources] == ["Observation"] * 2


def test_the_same_content_has_the_same_hash_whatever_its_update_time() -> None:
    (before,), (after,) = one("weighing_scale").parts, one("weighing_scale", update_time="20181005093000000").parts
    (other,) = one("weighing_scale", note=1).parts
    assert before.sha256 == after.sha256 != other.sha256


# -- the same key twice in a file -------------------------------------------------------------------------------------


def twice(**changes: Any) -> Any:
    (made,) = convert(envelope(person(weighing_scale=[SCALE, {**SCALE, **changes}])))
    return made


def test_the_newer_of_two_counts() -> None:
    made = twice(body_weight=70, update_time="20171005093000001")
    assert codes(made) == ["W-STALE"] and observations(made)["body_weight"]["valueQuantity"]["value"] == 70
    assert made.translated.issues[-1].where.endswith("/weighing_scale/0")


def test_the_older_of_two_does_not() -> None:
    made = twice(body_weight=70, update_time="20171005092959999")
    assert codes(made) == ["W-STALE"] and made.translated.issues[-1].where.endswith("/weighing_scale/1")


def test_the_same_twice_is_one() -> None:
    made = twice()
    assert codes(made) == [] and len(made.parts) == 1


def test_two_that_differ_at_one_time_are_both_refused() -> None:
    made = twice(body_weight=70)
    assert codes(made) == ["E-DUP-IN-FILE", "E-DUP-IN-FILE"] and made.parts == () and made.error is not None


def test_a_newer_one_ends_the_quarrel_of_two_older_ones() -> None:
    newest = {**SCALE, "body_weight": 60, "update_time": "20171005100000000"}
    for order in ([SCALE, {**SCALE, "body_weight": 70}, newest], [newest, {**SCALE, "body_weight": 70}, SCALE]):
        (made,) = convert(envelope(person(weighing_scale=order)))
        assert codes(made) == ["W-STALE", "W-STALE"] and len(made.parts) == 1


def test_a_person_who_stands_in_the_file_twice_is_looked_at_as_one() -> None:
    again = person(weighing_scale=[{**SCALE, "body_weight": 70}])
    first, second = convert(envelope(person(weighing_scale=[SCALE]), again))
    assert codes(first) == codes(second) == ["E-DUP-IN-FILE"]


# -- facility and answer ----------------------------------------------------------------------------------------------


def test_the_authority_of_the_consortium_owns_the_numbers() -> None:
    known = Facilities([Authority("1.2.392.200119.99999.7", "TST001", kind="community")], exchange=Registers.of(LISTS))
    (made,) = read_file(exact.dumps(envelope(person(weighing_scale=[SCALE]))), "x.json", known)
    assert made.facility == "1.2.392.200119.99999.7" and not made.translated.issues
    (given,) = read_file(exact.dumps(envelope(person(weighing_scale=[SCALE]))), "x.json", known, facility="1.2.3")
    assert given.facility == "1.2.3"


def test_an_unknown_consortium_gets_a_derived_oid_and_a_warning() -> None:
    made = one("weighing_scale")
    assert made.facility.startswith("2.25.")
    assert [(issue.code, issue.where) for issue in made.translated.issues] == [("facility-unknown", "/consortium_id")]


def test_convert_prints_one_document_for_the_file() -> None:
    data = exact.dumps(TWO)
    (made,) = read_documents(data, "x.json", Facilities())
    kinds = [entry["resource"]["resourceType"] for entry in made.to_bundle("transaction")["entry"]]
    assert kinds.count("Patient") == 2 and kinds.count("Organization") == 1
    assert made.to_bundle("transaction")["timestamp"] == "2017-10-05T21:00:00.123+09:00"


def test_the_answer_has_one_issue_a_finding() -> None:
    bad = [{**SCALE, "body_weight": "x"}, SCALE, {**SCALE, "observation_time": "1", "extra": 1}]
    (made,) = convert(envelope(person(weighing_scale=bad)))
    *_, answer = made.to_bundle("collection")["entry"]
    where = "/person_information/0/healthcare_information/weighing_scale"
    found = [
        (i["expression"][0], i["details"]["coding"][1]["code"], i["severity"]) for i in answer["resource"]["issue"]
    ]
    assert [one for one in found if one[0].startswith(where)] == [
        (f"{where}/0/body_weight", "E-TYPE:body_weight", "error"),
        (f"{where}/2/extra", "W-UNKNOWN-KEY", "warning"),
        (f"{where}/2/observation_time", "E-DATE:observation_time", "error"),
    ]
    assert "OperationOutcome" not in str(made.to_bundle("transaction"))


def test_a_file_without_one_good_record_is_answered_by_an_outcome_alone() -> None:
    (made,) = convert(envelope(person(weighing_scale=[{**SCALE, "body_weight": "x"}])))
    (entry,) = made.to_bundle("transaction")["entry"]
    assert entry["resource"]["resourceType"] == "OperationOutcome"


def test_no_finding_holds_a_value_of_the_file() -> None:
    secret = "SECRET77"
    bad = dict.fromkeys(SCALE, secret)
    (made,) = convert(envelope({**person(weighing_scale=[bad]), "nickname": secret}))
    assert made.error is not None
    assert secret not in str([made.error, *made.translated.issues])


# -- samples ----------------------------------------------------------------------------------------------------------


def test_the_samples_give_what_they_announce(shared: Path) -> None:
    folder = shared / "samples" / "exchange-spec"
    lists = Registers.of(json.loads((folder / "registration-lists.json").read_text("utf-8")))
    files = sorted(folder.glob("*valid-*.json"))
    assert len(files) == 17
    for file in files:
        document = exact.loads(file.read_text("utf-8"))
        expected = document.pop("_expected", [])
        assert sorted(set(codes(*convert(document, lists)))) == expected, file.name
