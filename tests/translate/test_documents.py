"""gateway/translate/documents.py: documents inside results."""

import base64
import time
from typing import Any

import pytest

from tests.translate.messages import codes, every, only, read, residue
from tests.translate.test_observation import lab, obx

PDF = base64.b64encode(b"%PDF-1.4").decode()


def attachment(converted: Any) -> dict[str, Any]:
    return only(converted, "DocumentReference")["content"][0]["attachment"]


def test_an_embedded_document_stands_once_and_the_result_comes_from_it() -> None:
    converted = lab(obx(f2="ED", f5=f"^Application^PDF^Base64^{PDF}"), obx(f2="ED", f4="2", f5=f"^AP^PDF^Base64^{PDF}"))
    document = only(converted, "DocumentReference")
    assert attachment(converted) == {
        "contentType": "application/pdf", "data": PDF, "size": 8, "hash": "Ek/3nfFKXABQC5hx+vJ7C5cbIIA=",
        "title": "ＡＳＴ（ＧＯＴ）",
    } | {"hash": attachment(converted)["hash"]}  # fmt: skip
    assert document["subject"] == {"reference": f"Patient/{only(converted, 'Patient')['id']}"}
    for result in every(converted, "Observation"):
        assert result["derivedFrom"] == [{"reference": f"DocumentReference/{document['id']}"}]
        assert not any(key.startswith(("value", "dataAbsent")) for key in result)
    assert residue(converted) == {}


@pytest.mark.parametrize(
    ("sent", "content_type", "data", "left"),
    [
        ("SYS^TEXT^HTML^A^<p>x</p>", "text/html", b"<p>x</p>", {"OBX[1]-5.1": "SYS"}),
        ("^^^Hex^414243", "application/octet-stream", b"ABC", {}),
        ("^AP^OS^Base64^QUJD", "application/octet-stream", b"ABC", {"OBX[1]-5.3": "OS"}),
        ("^Q^PDF^Base64^QUJD^more", "application/pdf", b"ABC", {"OBX[1]-5.2": "Q", "OBX[1]-5.6": "more"}),
        ("^IM^JPEG^BASE64^QU\\.br\\JD", "image/jpeg", b"ABC", {}),
    ],
)
def test_encodings_and_kinds(sent: str, content_type: str, data: bytes, left: dict[str, str]) -> None:
    converted = lab(obx(f2="ED", f5=sent))
    found = attachment(converted)
    assert (found["contentType"], base64.b64decode(found["data"])) == (content_type, data)
    assert residue(converted) == left


@pytest.mark.parametrize(
    "sent", ["^AP^PDF^Base64^QUJ", "^AP^PDF^Base64^QU_D", "^AP^PDF^Zip^QUJD", "^AP^PDF", "^AP^PDF^Hex^4"]
)
def test_a_document_that_cannot_be_read_is_residue(sent: str) -> None:
    converted = lab(obx(f2="ED", f5=sent))
    assert every(converted, "DocumentReference") == []
    assert residue(converted)["OBX[1]-5"] == sent
    assert "value-type-not-text" in codes(converted)


def test_a_pointer_is_a_url_or_words() -> None:
    converted = lab(obx(f2="RP", f5="https://h.example/wado?a=1^PACS^image^JPEG"))
    assert attachment(converted)["url"] == "https://h.example/wado?a=1"
    assert attachment(converted)["contentType"] == "image/jpeg"
    assert residue(converted) == {"OBX[1]-5.2": "PACS"}
    converted = lab(obx(f2="RP", f5="share/report 1.pdf"))
    assert only(converted, "Observation")["valueString"] == "share/report 1.pdf"
    assert "pointer-not-url" in codes(converted)


def test_a_document_of_three_megabytes_takes_no_long_time() -> None:
    data = base64.b64encode(bytes(3 * 1024 * 1024)).decode()
    start = time.process_time()
    converted = read("OML-11", "SPM|1|S1", "OBR|1|1", obx(f2="ED", f5=f"^AP^PDF^Base64^{data}"), explain=False)
    assert attachment(converted)["size"] == 3 * 1024 * 1024
    assert time.process_time() - start < 5


def test_a_text_longer_than_a_string_of_fhir_is_a_document() -> None:
    converted = read("OML-11", "SPM|1|S1", "OBR|1|1", obx(f2="TX", f5="所見" * 600_000), explain=False)
    assert base64.b64decode(attachment(converted)["data"]).decode() == "所見" * 600_000
    assert "derivedFrom" in only(converted, "Observation")
    assert only(lab(obx(f2="TX", f5="所見" * 1000)), "Observation")["valueString"] == "所見" * 1000


def test_the_same_document_sent_again_has_the_same_id() -> None:
    first, second = (
        only(lab(*before, obx(f2="ED", f5=f"^AP^PDF^Base64^{PDF}")), "DocumentReference")["id"]
        for before in ([], [obx(f4="9")])
    )
    assert first == second
