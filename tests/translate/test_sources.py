"""gateway/translate/sources.py: bytes of a file -> converted messages."""

import hashlib
from typing import Any

import pytest

from gateway.translate.converted import Converted
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, OID, codes, er7, every, file_name, msh, only, places, read, residue

STORAGE = "1310000001/000/001/0000012345/20240601"


def at(data: bytes, path: str = "message.hl7") -> list[Converted]:
    return read_file(data, path, FACILITIES)


# -- which structure --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "segments", "data_type"),
    [
        ("ADT^A08", (), "ADT-00"),
        ("ADT^A04", (), "ADT-12"),
        ("ADT^A01", ("PV1|1|I",), "ADT-22"),
        ("ADT^A01", ("PV1|1|O",), "ADT-12"),
        ("ADT^A11", ("PV1|1|I",), "ADT-22"),
        ("ADT^A03", (), "ADT-52"),
        ("PPR^ZD1", (), "PPR-01"),
        ("RDE^O11", ("RXE||1^x^HOT9",), "OMP-01"),
        ("RDE^O11", ("RXE||00^一般^99I02",), "OMP-02"),
        ("RDE^O11", ("RXE||00^一般^JHSI0002",), "OMP-02"),
        ("RDE^O11", ("RXE||1^x^HOT9", "RXC|A|1"), "OMP-02"),
        ("OUL^R22", (), "OML-11"),
        ("ORU^R01", (), "OMG-13"),
        ("XYZ^Q99", (), "XYZ^Q99"),
    ],
)
def test_without_a_file_name_type_and_content_decide(kind: str, segments: tuple[str, ...], data_type: str) -> None:
    (converted,) = at(er7(kind, *segments))
    assert converted.data_type == data_type


def test_the_file_name_decides_before_msh_9() -> None:
    converted = read("OMP-02", "ORC|NW|1||1", "RXE||1^x^99X", head=msh("OMP-01"))
    assert converted.data_type == "OMP-02"
    assert only(converted, "MedicationRequest")["meta"]["profile"][0].endswith("_Injection")


def test_a_type_without_rules_keeps_the_patient_and_says_so() -> None:
    converted = read("XYZ-01", "OBR|1|1", "OBX|1|ST|x||値")
    assert {r["resourceType"] for r in converted.resources} == {"Patient", "Provenance"}
    assert "type-not-translated" in codes(converted)
    assert residue(converted)["OBX[1]-5"] == "値"


# -- keys -------------------------------------------------------------------------------------------------------------

SENT: dict[str, tuple[str, ...]] = {
    "ADT-00": ("OBX|1|NM|9N001000000000001^身長^JC10||158|cm|||||F", "AL1|1|DA|1^x^99X", "IN1|1|67^国保^JHSD0001|1"),
    "ADT-12": ("PV1|1|O" + "|" * 42 + "20240601083000",),
    "ADT-22": ("PV1|1|I" + "|" * 42 + "20240601083000",),
    "ADT-52": ("PV1|1|I" + "|" * 43 + "20240601083000",),
    "PPR-01": ("PRB|AD|2024|1^病^99X|1", "ORC|NW|000000000009999"),
    "OMP-01": ("ORC|NW|000000000000077||1|||||20240601", "RXE||1^x^99X|1"),
    "OMP-02": ("ORC|NW|77||1|||||20240601", "RXE||00^一般^99I02|1", "RXC|A|1^x^99X|1"),
    "OML-11": ("SPM|1|S1|||||||||||||||20240601", "OBR|1|77", "OBX|1|ST|1^x^99X||値||||||F"),
}


@pytest.mark.parametrize("data_type", SENT)
def test_a_message_gets_the_ids_of_its_storage_file(data_type: str) -> None:
    """A feed and a storage of one hospital tell of the same facts, so they must meet in the same resources."""
    content = er7(data_type, *SENT[data_type])
    order = "000000000000077" if data_type[:2] == "OM" else "999999999999999"
    (fed,) = at(content)
    (stored,) = at(content, f"{STORAGE}/{data_type}/{file_name(data_type, order)}")
    assert (fed.key[:3], fed.order_no) == (stored.key[:3], stored.order_no)
    # The file's name stands in the Provenance of the stored one; all else is equal.
    ours, theirs = ([r for r in one.resources if r["resourceType"] != "Provenance"] for one in (fed, stored))
    assert ours == theirs and ours


@pytest.mark.parametrize(
    ("segments", "order"),
    [
        (("ORC|NW|77|88",), "000000000000077"),
        (("ORC|NW||88", "OBR|1|66|99"), "000000000000066"),
        (("ORC|NW||88", "OBR|1||99"), "000000000000088"),
        (("OBR|1||99",), "000000000000099"),
        (("OBR|1|||E1^x^99|||20240601",), "E1@20240601"),
        (("OBR|1",), "020240601000001"),
        (("ORC|NW|A-1",), "A-1"),
    ],
)
def test_a_message_without_an_order_number_is_keyed_by_what_it_has(segments: tuple[str, ...], order: str) -> None:
    (converted,) = at(er7("OML-11", *segments))
    assert converted.order_no == order


def test_order_numbers_without_zeros_meet_those_with_them() -> None:
    one, other = (read("OML-11", order=order) for order in ("77", "000000000000077"))
    assert one.key == other.key


def test_times_of_a_version() -> None:
    assert read("ADT-12").version_time == "20240601120000000"
    (fed,) = at(er7("ADT-12", head=msh("ADT-12", time="20240601120000.25+0900")))
    assert fed.version_time == "20240601120000250"
    (none,) = at(er7("ADT-12", head=msh("ADT-12", time="")))
    assert none.version_time == ""


# -- files ------------------------------------------------------------------------------------------------------------


def test_several_messages_are_told_apart_by_offset_and_hash() -> None:
    first, second = er7("ADT-12", "PV1|1|O"), er7("ADT-12", "PV1|1|I")
    made = at(first + second, file_name("ADT-12"))
    assert [one.message_offset for one in made] == [0, len(first)]
    assert [one.sha256 for one in made] == [hashlib.sha256(part).hexdigest() for part in (first, second)]
    assert [one.name for one in made] == [None, None]
    assert [one.to_bundle("transaction")["identifier"]["value"] for one in made] == [one.sha256 for one in made]


def test_a_batch_is_its_messages() -> None:
    content = b"FHS|^~\\&\rBHS|^~\\&\r" + er7("ADT-12") + er7("PPR-01", "PRB|AD|2024|1^x^99X|1") + b"BTS|2\rFTS|1\r"
    assert [one.data_type for one in at(content)] == ["ADT-12", "PPR-01"]


def test_one_broken_message_of_a_batch_does_not_spoil_the_others() -> None:
    made = at(er7("ADT-12") + er7("ADT-12", pid="") + er7("ADT-12"))
    assert [one.error.code if one.error else None for one in made] == [None, "no-patient", None]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-hl7"),
        (b"%PDF-1.7\n", "not-hl7"),
        (b"PID|1\r", "not-hl7"),
        (b"MSH", "not-hl7"),
        (b"\x00" * 100, "not-hl7"),
    ],
)
def test_what_is_no_message_is_an_error_and_no_exception(data: bytes, code: str) -> None:
    (converted,) = at(data, file_name("ADT-12"))
    assert converted.error is not None and (converted.error.severity, converted.error.code) == ("fatal", code)
    assert converted.sha256 == hashlib.sha256(data).hexdigest()
    assert converted.name is not None


@pytest.mark.parametrize("flag", ["0", "1", "2"])
def test_the_flag_is_that_of_the_name(flag: str) -> None:
    assert read("ADT-12", flag=flag).flag == flag
    assert at(er7("ADT-12"))[0].flag == "1"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"{STORAGE}/ADT-12/{file_name('ADT-12')}", []),
        (f"1310000001/000/001/0000012345/20240602/ADT-12/{file_name('ADT-12')}", ["path"]),
        (f"1310000001/000/001/0000012345/20240601/ADT-22/{file_name('ADT-12')}", ["path"]),
        (f"{STORAGE}\\ADT-12\\{file_name('ADT-12')}".replace("/", "\\"), []),
    ],
)
def test_folders_that_contradict_the_name_are_reported(path: str, where: list[str]) -> None:
    (converted,) = at(er7("ADT-12"), path)
    assert places(converted, "path-conflict") == where
    assert converted.data_type == "ADT-12"


def test_the_root_folder_names_the_facility_when_msh_does_not() -> None:
    data = er7("ADT-12", head=msh("ADT-12", sender=""))
    (converted,) = at(data, f"/data/{STORAGE}/ADT-12/{file_name('ADT-12')}")
    assert converted.facility == OID
    assert codes(converted) == []


def test_how_a_file_was_written_makes_no_difference_to_what_it_says() -> None:
    text = er7("OML-11", *SENT["OML-11"]).decode("iso2022_jp")
    forms = [
        text.encode("iso2022_jp"), text.encode("utf-8"), text.encode("cp932"), text.replace("\r", "\n").encode("iso2022_jp"),
        text.replace("\r", "\r\n").encode("iso2022_jp"), text.translate(str.maketrans("|^", "!@")).encode("iso2022_jp"),
        b"\x0b" + text.encode("iso2022_jp") + b"\x1c\r",
    ]  # fmt: skip

    def said(data: bytes) -> Any:
        (converted,) = at(data, file_name("OML-11", "77"))
        return [r for r in converted.resources if r["resourceType"] != "Provenance"]

    assert all(said(form) == said(forms[0]) for form in forms)


def test_explain_changes_nothing_but_what_is_told_about_it() -> None:
    plain, explained = read("OML-11", *SENT["OML-11"], explain=False), read("OML-11", *SENT["OML-11"])
    assert plain.resources == explained.resources
    assert plain.translated.residue == explained.translated.residue
    assert plain.translated.lineage == () and explained.translated.lineage


def test_reading_twice_gives_equal_values_and_shares_nothing_mutable_with_the_caller() -> None:
    first = read("OML-11", *SENT["OML-11"])
    text = repr(first.resources)
    again = read("OML-11", *SENT["OML-11"])
    assert repr(again.resources) == text == repr(first.resources)


def test_every_resource_has_meta_third_and_an_id() -> None:
    for data_type, segments in SENT.items():
        for made in read(data_type, *segments).resources:
            assert list(made)[:3] == ["resourceType", "id", "meta"], data_type
            assert made["meta"]["profile"]


def test_references_are_relative_and_stay_inside_the_message() -> None:
    for data_type, segments in SENT.items():
        converted = read(data_type, *segments)
        known = {f"{r['resourceType']}/{r['id']}" for r in converted.resources}
        found = set(references(list(converted.resources)))
        assert found and found <= known, data_type


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) and value["reference"][0] != "#" else []
        return own + [one for child in value.values() for one in references(child)]
    return [one for child in value for one in references(child)] if isinstance(value, list) else []


def test_a_file_cut_off_in_its_middle_is_not_taken_for_the_whole() -> None:
    whole = er7("OML-11", *SENT["OML-11"])
    (converted,) = at(whole[: whole.index(b"OBX|") + 6], file_name("OML-11", "77"))
    assert converted.rejected is not None and converted.rejected.code == "truncated"


def test_the_patient_of_every_message_is_one() -> None:
    ids = {every(read(data_type, *segments), "Patient")[0]["id"] for data_type, segments in SENT.items()}
    assert len(ids) == 1
