"""gateway/translate/bundle.py: what convert prints for valid, superseded and deleted files."""

import hashlib
from typing import Any

import pytest

from gateway.translate.bundle import bundle, failure
from gateway.translate.common import SHA256
from tests.translate.messages import er7, read

ORC = "ORC|NW|000000000000001||000000000000001_01_001|||||20240601"
RXE = "RXE||103831601^薬^HOT9|1||TAB^錠^MR9P"


def made(flag: str) -> dict[str, Any]:
    return read("OMP-01", ORC, RXE, "AL1|1|DA|1^薬^99X", order="000000000000001", flag=flag).to_bundle("transaction")


def test_a_valid_file_puts_every_resource_under_its_id() -> None:
    entries = made("1")["entry"]
    assert {entry["resource"]["resourceType"] for entry in entries} == {
        "Patient", "MedicationRequest", "AllergyIntolerance", "Provenance",
    }  # fmt: skip
    for entry in entries:
        resource = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"


def test_a_superseded_file_has_no_entries() -> None:
    assert "entry" not in made("2")


def test_a_deleted_file_deletes_what_only_it_tells() -> None:
    entries = made("0")["entry"]
    assert [set(entry) for entry in entries] == [{"request"}, {"request"}]
    assert {entry["request"]["method"] for entry in entries} == {"DELETE"}
    assert {entry["request"]["url"].partition("/")[0] for entry in entries} == {"MedicationRequest", "Provenance"}


def test_a_collection_holds_the_resources_whatever_the_flag() -> None:
    collection = read("OMP-01", ORC, RXE, flag="0").bundle
    assert collection["type"] == "collection"
    assert [set(entry) for entry in collection["entry"]] == [{"fullUrl", "resource"}] * 3


def test_a_bundle_names_its_input() -> None:
    converted = read("ADT-12")
    document = converted.to_bundle("transaction")
    digest = hashlib.sha256(er7("ADT-12")).hexdigest()
    assert document["identifier"] == {"system": SHA256, "value": digest}
    assert document["meta"] == {"source": converted.file}
    assert document["timestamp"] == "2024-06-01T12:00:00+09:00"


def test_a_file_name_that_is_no_uri_is_encoded() -> None:
    document = bundle((), "collection", sha256="x", file="結果 1.hl7", flag="1")
    assert document["meta"] == {"source": "%E7%B5%90%E6%9E%9C%201.hl7"}


def test_without_a_file_name_there_is_no_source() -> None:
    assert list(bundle((), "collection", sha256="x", file="", flag="1")) == ["resourceType", "identifier", "type"]


@pytest.mark.parametrize("time", ["20240601", "2024", ""])
def test_a_message_time_without_a_clock_is_no_timestamp(time: str) -> None:
    head = f"MSH|^~\\&|HIS|TOKYO-HP|GW|RCV|{time}||ADT^A04|1|P|2.5"
    assert "timestamp" not in read("ADT-12", head=head).to_bundle("transaction")


def test_an_input_that_cannot_be_converted_prints_an_outcome() -> None:
    converted = read("ADT-12", pid="")
    document = converted.to_bundle("transaction")
    assert document["type"] == "collection"
    (entry,) = document["entry"]
    assert entry["resource"] == failure("error", "no-patient", "PID", "the message has no PID segment")
    assert entry["fullUrl"].startswith("urn:uuid:")
