"""tests/golden: whole messages with their whole outputs, each read by somebody who is not us.

`pytest tests/translate/test_golden.py --update-golden` writes bundle.json and explain.json again.
"""

import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.codec import charset, fhir
from gateway.profiles.validator import Validator
from gateway.translate.converted import Converted
from tests.oracle import hl7_validator
from tests.translate.goldens import GOLDENS, NUMBER, Golden

each = pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)


def explained(converted: Converted) -> bytes:
    """Issues, residue and what is left out on purpose, one a line."""
    found = converted.translated
    lists = {"issues": found.issues, "residue": found.residue, "unmapped": found.unmapped}
    return fhir.render_pretty({name: [" | ".join(entry) for entry in entries] for name, entries in lists.items()})


@each
def test_the_output_is_the_expected_one(golden: Golden, update_golden: bool) -> None:
    converted = golden.read(golden.data)
    for name, made in (("bundle.json", fhir.render_pretty(converted.bundle)), ("explain.json", explained(converted))):
        file = golden.folder / name
        if update_golden:
            file.write_bytes(made)
        assert made == file.read_bytes(), f"{golden.name}/{name} differs; see --update-golden"


def test_what_was_read_before_changes_nothing() -> None:
    """Parts of messages are remembered between messages, and only without `explain`."""
    for golden in Random(7).choices(GOLDENS, k=100):
        made = golden.read(golden.data, explain=False)
        assert fhir.render_pretty(made.bundle) == (golden.folder / "bundle.json").read_bytes(), golden.name


@each
def test_the_stored_bundle_is_what_is_read_back(golden: Golden) -> None:
    stored = (golden.folder / "bundle.json").read_bytes()
    assert fhir.render_pretty(fhir.parse(stored)) == stored


def test_own_delimiters_charset_and_line_ends_change_nothing_but_the_hash() -> None:
    known = {golden.folder.name: golden for golden in GOLDENS if golden.data_type == "OML-11"}
    said = {}
    for name in ("two-specimens", "utf-8-lf", "own-delimiters"):
        resources = known[name].read(known[name].data).resources
        said[name] = [r for r in resources if r["resourceType"] != "Provenance"]
    assert said["two-specimens"] == said["utf-8-lf"] == said["own-delimiters"]


# -- the input, read by hl7apy -----------------------------------------------------------------------------------------


def _text(golden: Golden) -> list[str]:
    lines = golden.data.replace(b"\n", b"\r").split(b"\r")
    encoding = "utf-8" if charset.decode(golden.data, 0).charset == "UTF-8" else "iso2022_jp"
    return [line.decode(encoding) for line in lines if line]


COMPARED = {
    "PID": (3, 5, 7, 8, 11, 13), "PV1": (2, 3, 7, 10, 44), "OBX": (3, 5, 6, 8, 11), "AL1": (2, 3, 4, 5), "IN1": (2, 3, 10),
    "ORC": (1, 2, 4, 9, 10), "RXE": (2, 5, 7, 21), "TQ1": (3, 6), "RXR": (1, 2), "RXC": (2, 4), "PRB": (3, 10, 14),
    "SPM": (2, 4, 17), "OBR": (2, 4, 7), "NTE": (3,),
}  # fmt: skip
"""Fields of text: those of numbers hl7apy writes anew (0001 as 1, 158.20 as 158.2)."""


@each
def test_fields_are_those_that_hl7apy_reads(golden: Golden) -> None:
    """Field by field, with the sender's delimiters read by hl7apy and by us."""
    parser = pytest.importorskip("hl7apy.parser")
    tolerant = pytest.importorskip("hl7apy.consts").VALIDATION_LEVEL.TOLERANT
    lines = _text(golden)
    separator, (component, repetition, escape, sub) = lines[0][3], lines[0][4:8]
    theirs = {
        "FIELD": separator, "COMPONENT": component, "REPETITION": repetition, "ESCAPE": escape, "SUBCOMPONENT": sub,
        "SEGMENT": "\r", "GROUP": "\r",
    }  # fmt: skip
    standard = theirs | dict(zip(("FIELD", "COMPONENT", "REPETITION", "ESCAPE", "SUBCOMPONENT"), "|^~\\&", strict=True))
    compared = 0
    assert len(lines) == len(golden.message.segments)
    for line, ours in zip(lines[1:], golden.message.segments[1:], strict=True):
        if ours.name.startswith("Z"):
            continue  # hl7apy knows no Japanese Z segment
        segment = parser.parse_segment(line, version="2.5", encoding_chars=theirs, validation_level=tolerant)
        for number in COMPARED.get(ours.name, ()):
            if ours[number]:
                read = "~".join(one.to_er7(standard) for one in getattr(segment, f"{ours.name}_{number}".lower()))
                assert read == ours[number], f"{ours.name}-{number}"
                compared += 1
    assert compared >= 4


def _values(golden: Golden, segment: str, field: int) -> list[str]:
    """A field of each segment of a name, with standard delimiters, split by hand."""
    lines = _text(golden)
    separator = lines[0][3]
    rows = [line.split(separator) for line in lines if line.startswith(segment + separator)]
    return [row[field].replace(lines[0][4], "^") if field < len(row) else "" for row in rows]


@each
def test_patient_numbers_and_names_of_the_input_are_in_the_output(golden: Golden) -> None:
    patient = next(r for r in golden.read(golden.data).resources if r["resourceType"] == "Patient")
    (numbers,), (names,) = _values(golden, "PID", 3), _values(golden, "PID", 5)
    assert [i["value"] for i in patient["identifier"]] == [one.split("^")[0] for one in numbers.split("~")]
    assert patient["identifier"][0]["value"] == NUMBER
    assert [n["text"] for n in patient["name"]] == [" ".join(one.split("^")[:2]) for one in names.split("~")]


ONE_TO_ONE = [g for g in GOLDENS if g.data_type == "OML-11" and g.folder.name != "two-results-in-one"]


@pytest.mark.parametrize("golden", ONE_TO_ONE, ids=lambda golden: golden.name)
def test_numbers_of_the_input_are_in_the_output_digit_by_digit(golden: Golden) -> None:
    typed = zip(_values(golden, "OBX", 2), _values(golden, "OBX", 5), strict=True)
    plain = [value for kind, value in typed if kind == "NM" and value.replace(".", "", 1).isdigit()]
    stored = json.loads((golden.folder / "bundle.json").read_text("utf-8"), parse_float=str, parse_int=str)
    observations = [e["resource"] for e in stored["entry"] if e["resource"]["resourceType"] == "Observation"]
    made = [o["valueQuantity"]["value"] for o in observations if "valueQuantity" in o]
    assert [value for value in plain if value in made] == plain
    assert len(observations) == len(_values(golden, "OBX", 5))


# -- the output, read by fhir.resources and the HL7 validator ---------------------------------------------------------


def _resources(golden: Golden) -> list[dict[str, Any]]:
    entries = fhir.parse((golden.folder / "bundle.json").read_bytes())["entry"]
    return [entry["resource"] for entry in entries]


@each
def test_every_resource_is_one_that_fhir_resources_reads(golden: Golden) -> None:
    package = pytest.importorskip("fhir.resources.R4B")
    for resource in _resources(golden):
        model = package.get_fhir_model_class(resource["resourceType"])
        read = model.model_validate(resource)
        again = json.loads(read.model_dump_json(), parse_float=Decimal, parse_int=Decimal)
        assert _numbers(again) == _numbers(json.loads(fhir.render(resource), parse_float=Decimal, parse_int=Decimal))


def _numbers(value: Any) -> list[Decimal]:
    if isinstance(value, dict):
        return sorted(number for child in value.values() for number in _numbers(child))
    if isinstance(value, list):
        return sorted(number for child in value for number in _numbers(child))
    return [value] if isinstance(value, Decimal) else []


@each
def test_every_resource_passes_our_own_check(golden: Golden) -> None:
    validator = Validator.default()
    for resource in _resources(golden):
        wrong = [finding for finding in validator.check(resource) if finding.severity in ("error", "fatal")]
        assert wrong == [], resource["resourceType"]


@pytest.mark.oracle
def test_the_hl7_validator_accepts_every_golden(tmp_path: Path, shared: Path) -> None:
    if reason := hl7_validator.missing():
        pytest.skip(reason)
    for golden in GOLDENS:
        name = f"{golden.data_type}-{golden.folder.name}.json"
        (tmp_path / name).write_bytes((golden.folder / "bundle.json").read_bytes())
    verdicts = hl7_validator.validate(tmp_path)
    assert len(verdicts) == len(GOLDENS)
    assert [(Path(v.file).stem, v.errors) for v in verdicts if not v.accepted] == []
