"""No patient in logs, metrics or errors: persons with names and numbers nobody else has go over every face, well formed
and broken, and afterwards everything the process said beside its answers is searched for them."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway import app
from gateway.cli import run
from gateway.codec import soap
from gateway.codec.mllp import Block
from gateway.ihe._v2 import answer
from gateway.serve.http import create_app
from tests import v3_parts as v3
from tests.pix_parts import TOKYO, adt, pdq, pid, pix
from tests.v2_parts import ARC, settings

FAMILY, GIVEN, NUMBER, BORN, STREET = "印南野", "みちる", "MK7351902846", "19370218", "標本町七丁目"
MARKERS = (FAMILY, GIVEN, NUMBER, BORN, "1937-02-18", STREET)
"""As they are, and as they come out of URLs, JSON and Latin-1."""
FORMS = tuple(
    form
    for marker in MARKERS
    for form in {marker, "".join(f"%{byte:02X}" for byte in marker.encode()) if not marker.isascii() else marker,
                 json.dumps(marker)[1:-1], marker.encode().decode("latin-1"), repr(marker.encode())[2:-1]}
)  # fmt: skip
PERSON = f"<name><family>{FAMILY}</family><given>{GIVEN}</given></name><birthTime value='{BORN}'/>"
ADT = adt("A04", pid(f"{NUMBER}^^^{TOKYO}", f"{FAMILY}^{GIVEN}^^^^^L^I", BORN))
ID = v3.PatientId(NUMBER, f"{ARC}.2")
FHIR_PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": f"urn:oid:{ARC}.2", "value": NUMBER}],
    "name": [{"family": FAMILY, "given": [GIVEN]}],
    "birthDate": "1937-02-18",
    "address": [{"line": [STREET]}],
}
CX = f"urn:oid:{ARC}.2|{NUMBER}"


def found_in(text: str) -> list[str]:
    return sorted({form for form in FORMS if form in text})


def v2_messages() -> Iterator[bytes]:
    yield ADT
    yield ADT.replace(FAMILY.encode(), FAMILY.encode()[:-1])  # half a character
    yield ADT.replace(b"|2.3.1", b"|9.9")
    yield ADT.replace(b"A04", b"A99")
    yield ADT.replace(b"PID|", b"PIX|")
    yield ADT[: len(ADT) // 2]
    yield adt("A04", pid(f"{NUMBER}^^^&1.2.404&ISO", f"{FAMILY}^{GIVEN}"))
    yield adt("A40", pid(f"{NUMBER}^^^{TOKYO}", f"{FAMILY}^{GIVEN}"))
    yield pix(f"{NUMBER}^^^{TOKYO}")
    yield pix(f"{NUMBER}X^^^{TOKYO}")
    yield pdq(f"@PID.5.1.1^{FAMILY}", f"@PID.7^{BORN}")
    yield pdq(f"@PID.5.1.1^{FAMILY}", f"@PID.99^{NUMBER}")


SOAP_BODIES = (
    ("/pixv3", "urn:hl7-org:v3:PRPA_IN201301UV02", v3.feed("PRPA_IN201301UV02", ID, person=PERSON)),
    ("/pixv3", "urn:hl7-org:v3:PRPA_IN201302UV02", v3.feed("PRPA_IN201302UV02", ID, person=f"<x>{FAMILY}</x>")),
    ("/pixv3", "urn:hl7-org:v3:PRPA_IN201309UV02", v3.pix_query(ID)),
    (
        "/pdqv3",
        "urn:hl7-org:v3:PRPA_IN201305UV02",
        v3.pdq_query(v3.parameter("livingSubjectName", v3.name_value(FAMILY, GIVEN))),
    ),
    (
        "/xcpd",
        "urn:hl7-org:v3:PRPA_IN201305UV02",
        v3.pdq_query(v3.parameter("livingSubjectName", v3.name_value(FAMILY, GIVEN))),
    ),
    ("/xds/registry", "urn:ihe:iti:2007:RegistryStoredQuery", f"<q>{NUMBER} {FAMILY}</q>".encode()),
    ("/xds/repository", "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", f"<q>{NUMBER} {FAMILY}</q>".encode()),
    ("/xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet", f"<q>{NUMBER}</q>".encode()),
    ("/xca", "urn:ihe:iti:2007:CrossGatewayQuery", f"<q>{NUMBER} {FAMILY}</q>".encode()),
    ("/xds/registry", f"urn:{NUMBER}", f"<!DOCTYPE {NUMBER}><q>{FAMILY}</q>".encode()),
    ("/xds/registry", "urn:ihe:iti:2007:RegistryStoredQuery", f"<{NUMBER}>{FAMILY}".encode()),
)


def over_http(http: Any) -> Iterator[tuple[str, Any]]:
    """(what was asked, the answer)"""
    for path, action, body in SOAP_BODIES:
        data = soap.request(action, "urn:uuid:1", "http://127.0.0.1/", body)
        yield f"SOAP {path} {action}", http.post(path, data=data, content_type=soap.MEDIA_TYPE)
        yield f"SOAP cut {path}", http.post(path, data=data[: len(data) - 30], content_type=soap.MEDIA_TYPE)
        kind = f'multipart/related; boundary="{NUMBER}"; type="application/xop+xml"'
        yield f"MTOM {path}", http.post(path, data=data, content_type=kind)
    query = {"identifier": CX}
    whole = json.dumps(FHIR_PATIENT, ensure_ascii=False).encode()
    for data in (whole, whole[:-4], whole.replace(b"birthDate", b"bornOn"), json.dumps({"a": [FHIR_PATIENT]}).encode()):
        for path, more in (("/fhir/Patient", {"query_string": query}), ("/fhir/Patient/" + NUMBER, {})):
            for method in ("PUT", "POST", "PATCH", "DELETE"):
                yield (
                    f"FHIR {method}",
                    http.open(path, method=method, data=data, content_type="application/fhir+json", **more),
                )
        for path in (
            "/fhir",
            "/fhir/Patient/$match",
            "/fhir/Consent",
            "/fhir/$break-glass",
            "/fhir/Subscription",
            "/api/query",
            "/api/persons/links",
            "/api/reviews/1",
            f"/api/{FAMILY}",
            "/oauth/token",
        ):
            yield f"POST {path}", http.post(path, data=data, content_type="application/json")
    for path in (
        "/fhir/Patient",
        "/fhir/Observation",
        "/fhir/DocumentReference",
        "/fhir/List",
        "/fhir/Consent",
        "/fhir/AuditEvent",
        "/fhir/Patient/$ihe-pix",
        "/api/persons",
        "/api/access",
        "/api/medical-ids",
        "/nowhere",
    ):
        for name in (
            "identifier",
            "patient.identifier",
            "family",
            "birthdate",
            "sourceIdentifier",
            "patient",
            "_sort",
            FAMILY,
        ):
            for value in (CX, f"{FAMILY}\0"):
                yield f"GET {path}?{name}", http.get(path, query_string={name: value})
    for path in (
        f"/fhir/Patient/{NUMBER}",
        f"/fhir/{FAMILY}/1",
        f"/{NUMBER}",
        f"/xds/{FAMILY}",
        f"/fhir/Binary/{NUMBER}",
    ):
        yield f"GET {path}", http.get(path, headers={"X-Patient": NUMBER, "Accept": f"x/{NUMBER}", "If-Match": NUMBER})


def test_nothing_beside_the_answers_names_a_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = settings(tmp_path, matching={"mode": "off"})
    with structlog.testing.capture_logs() as lines, app.storage(chosen) as parts:
        node = app.Node(chosen, parts)
        http = create_app(node.http({})).test_client()
        v2 = node.v2()
        for message in v2_messages():
            assert answer(Block(message), "192.0.2.7", v2).messages
        errors = {}
        for what, given in over_http(http):
            if given.status_code >= 400 and (hits := found_in(given.get_data(as_text=True))):
                errors[what] = hits
        metrics = http.get("/metrics").get_data(as_text=True)
    said = "\n".join([*map(repr, lines), *map(str, lines), caplog.text, *capsys.readouterr()])
    assert found_in(said) == [] and found_in(metrics) == []
    assert errors == {}, "a refusal repeats what was sent"


def test_commands_name_no_patient_when_they_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "message.hl7"
    broken.write_bytes(ADT[: len(ADT) // 2])
    for arguments in (["convert", str(broken)], ["validate", str(broken)], ["ingest", str(broken)]):
        run(arguments)
        captured = capsys.readouterr()
        assert found_in(captured.err) == [], arguments
