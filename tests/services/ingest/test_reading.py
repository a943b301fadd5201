"""From bytes to what is kept: one message, several, and the reasons against."""

import hashlib
import zlib
from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.codec.packing import pack
from gateway.model.ingest import FileOutcome
from gateway.profiles.validator import Finding
from gateway.services.ingest import Reader
from gateway.services.ingest.files import Content, Found
from tests.services.ingest.trees import RULES, make_reader

NAME = "0000012345_20260105_OML-11_000000000000777_20260105103000000_01_1"


def lab(number: str = "0000012345", control: str = "MSG1", value: str = "1.50") -> bytes:
    """OUL^R22 with the fields these tests look at: MSH-4 facility, MSH-10 control id, PID-3 patient, OBX-5 value."""
    return "\r".join(
        [
            f"MSH|^~\\&|LIS|TOKYO-HP|GW|GW|20260105103000||OUL^R22^OUL_R22|{control}|P|2.5||||||~ISO IR87||ISO 2022-1994",
            f"PID|0001||{number}^^^^PI||YAMADA^TARO^^^^^L^A||19500101|M",
            "SPM|1|S1||023^serum^JC10|||||||||||||20260105090000",
            "OBR|1|000000000000777||1^panel^L",
            "ORC|SC|000000000000777|||||||20260105103000",
            f"OBX|1|NM|3B035000002327201^ALT^JC10||{value}|U/L^U/L^ISO+|||||F",
            "",
        ]
    ).encode("iso2022_jp")


def read(data: bytes, name: str = NAME, reader: Reader | None = None) -> FileOutcome:
    content = Content(data, len(data), 1)
    return (reader or make_reader()).convert(f"/storage/000/001/x/20260105/OML-11/{name}".encode(), content)


def test_a_message_is_kept_under_its_key_with_both_documents() -> None:
    data = lab()
    outcome = read(data)
    assert outcome.rejects == ()
    (one,) = outcome.messages
    assert one.key.split("\x1f")[1:] == ["0000012345", "20260105", "OML-11", "000000000000777"]
    assert one.version == ("20260105103000000", hashlib.sha256(data).hexdigest(), "01", 1)
    assert one.person.ids[0].value == "0000012345"
    assert [document.kind for document in one.documents] == ["bundle", "original"]
    bundle, original = (zlib.decompress(blob.content) for blob in one.blobs)
    assert original == data
    assert b"1.50" in bundle and fhir.parse(bundle)["type"] == "collection"
    assert [hashlib.sha256(content).hexdigest() for content in (bundle, original)] == [
        blob.sha256 for blob in one.blobs
    ]
    types = {kept.type for kept in one.resources}
    assert {"Patient", "Observation", "DiagnosticReport", "Specimen", "Provenance"} <= types


def test_reading_twice_gives_equal_values() -> None:
    assert read(lab()) == read(lab())


def test_every_message_of_a_batch_is_kept_for_itself() -> None:
    data = lab(control="MSG1") + lab(number="0000099999", control="MSG2")
    outcome = read(data, "batch.hl7")
    first, second = (one for one in outcome.messages if one.documents)  # the others are reports, pieces of these
    assert first.key != second.key
    assert zlib.decompress(second.blobs[1].content) == lab(number="0000099999", control="MSG2")
    assert {first.version.sha256, second.version.sha256}.isdisjoint({outcome.sha256})


def test_a_bad_message_of_a_batch_is_rejected_with_its_place_and_the_others_are_kept() -> None:
    first = lab(control="MSG1")
    bad = b"MSH|^~\\&|LIS|TOKYO-HP|GW|GW|20260105103000||OUL^R22^OUL_R22|MSG2|P|2.5\r"
    outcome = read(first + bad + lab(number="0000099999"), "batch.hl7")
    assert len([one for one in outcome.messages if one.documents]) == 2
    (reject,) = outcome.rejects
    assert reject.offset == len(first)


def test_another_patient_than_the_file_name_says_is_quarantined() -> None:
    outcome = read(lab(number="0000099999"))
    assert outcome.messages == ()
    (reject,) = outcome.rejects
    assert (reject.code, reject.order_no) == ("patient-mismatch", "000000000000777")
    assert "99999" not in reject.reason


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"\x00" * 100, "これは手紙です".encode()])
def test_what_is_no_message_is_rejected_with_an_offset(data: bytes) -> None:
    outcome = read(data)
    assert outcome.messages == ()
    (reject,) = outcome.rejects
    assert reject.code == "not-hl7" and reject.offset == 0 and reject.reason


def test_output_that_breaks_its_profile_is_not_stored() -> None:
    def refuse(resource: dict[str, object]) -> list[Finding]:
        if resource["resourceType"] != "Observation":
            return []
        return [Finding("error", "required", "Observation.code", "missing", "rule")]

    outcome = read(lab(), reader=Reader(RULES, refuse, pack))
    assert outcome.messages == ()
    assert outcome.rejects[0].code == "invalid-output"
    assert outcome.rejects[0].reason == "Observation.code: missing"


def test_a_warning_is_no_reason_to_refuse() -> None:
    def warn(resource: dict[str, object]) -> list[Finding]:
        return [Finding("warning", "code-invalid", "Observation.code", "unusual", "rule")]

    assert len(read(lab(), reader=Reader(RULES, warn, pack)).messages) == 1


def test_a_message_that_says_no_time_at_all_is_rejected() -> None:
    outcome = read(lab().replace(b"|20260105103000||OUL", b"|||OUL"), "lone.hl7")
    assert [reject.code for reject in outcome.rejects] == ["no-time"]


def found(path: Path) -> Found:
    status = path.stat()
    return Found(str(path).encode(), status.st_size, status.st_mtime_ns)


def test_files_that_cannot_be_read_are_told_apart(tmp_path: Path) -> None:
    reader = make_reader()
    path = tmp_path / NAME
    path.write_bytes(lab())
    assert reader.read(found(path)).rejects == ()
    small = Reader(type(RULES)(RULES.authorities, RULES.repository, max_file_bytes=10), lambda _: (), pack)
    assert small.read(found(path)).rejects[0].code == "too-large"
    assert reader.read(Found(str(tmp_path).encode(), 1, 1)).rejects[0].code == "unreadable"
    assert reader.read(Found(b"/x", 0, 0, "Permission denied")).rejects[0].reason == "Permission denied"


def test_an_error_of_ours_stops_at_the_file_and_says_no_word_of_it(tmp_path: Path) -> None:
    def fail(resource: dict[str, object]) -> list[Finding]:
        raise KeyError("山田太郎")

    path = tmp_path / NAME
    path.write_bytes(lab())
    (reject,) = Reader(RULES, fail, pack).read(found(path)).rejects
    assert reject.code == "internal-error"
    assert "KeyError" in reject.reason and "山田" not in reject.reason


def test_a_file_that_is_gone_is_neither_kept_nor_bad() -> None:
    outcome = make_reader().read(Found(b"/nowhere/at all", 1, 1))
    assert (outcome.messages, outcome.rejects) == ((), ())
