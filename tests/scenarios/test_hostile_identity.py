"""Bad input over every identity face of one node: the error its standard names, nothing stored, nobody else disturbed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lxml import etree

from gateway import app
from gateway.codec import soap
from gateway.ihe._v2 import V2Services
from gateway.model.identity import PatientId
from gateway.serve.http import create_app
from gateway.storage.opening import Storage
from tests import v3_parts as v3
from tests.pix_parts import TOKYO, adt, ask, feed, field, pdq, pid, pix
from tests.v2_parts import ARC, rows, settings

BIG = "山" * (10 * 1024 * 1024 // 3)
UNKNOWN = "1.2.392.200119.99999.404"
MY_NUMBER = "123456789018"
ADD = "PRPA_IN201301UV02"


class Region(NamedTuple):
    v2: V2Services
    http: Any
    parts: Storage

    def stored(self) -> list[Any]:
        return rows(self.parts, "SELECT authority, value FROM person_record ORDER BY n")


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    chosen = settings(tmp_path, matching={"mode": "off"})
    with app.storage(chosen) as parts:
        one = app.Node(chosen, parts)
        made = Region(one.v2(), create_app(one.http({})).test_client(), parts)
        assert feed(made.v2, adt("A04", pid(f"A1^^^{TOKYO}"))) == "AA"
        yield made


def over_v3(region: Region, path: str, name: str, body: bytes) -> str:
    """`200 CE 102 location`, or `500 fault`."""
    data = soap.request(f"urn:hl7-org:v3:{name}", "urn:uuid:1", "http://127.0.0.1/", body)
    answer = region.http.post(path, data=data, content_type=soap.MEDIA_TYPE)
    if answer.status_code != 200:
        return f"{answer.status_code} fault" if b"Fault" in answer.data else str(answer.status_code)
    message = etree.fromstring(answer.data)[1][0]
    found = [f"{answer.status_code} {v3.code(message)}"]
    for _, code, places in v3.details(message):
        found += [code, *(place.rpartition("/subject1/")[2] or place for place in places)]
    return " ".join(found)


def over_fhir(region: Region, value: str = "F1", oid: str = f"{ARC}.2", raw: bytes = b"", **more: Any) -> str:
    """`422 value`"""
    body = {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:oid:{oid}", "value": value}],
        "name": [{"family": "見本", "given": ["花子"]}],
        "birthDate": "1980-01-02",
        **more,
    }
    address = "/fhir/Patient"
    query = {"identifier": f"urn:oid:{oid}|{value}"}
    data = raw or json.dumps(body).encode()
    answer = region.http.put(address, query_string=query, data=data, content_type="application/fhir+json")
    issues = (answer.get_json(silent=True) or {}).get("issue", [{}])
    return f"{answer.status_code} {issues[0].get('code', '')}".strip()


def person(family: str = "見本") -> str:
    return f"<name><family>{family}</family></name>"


def v3_feed(region: Region, *ids: PatientId, **more: Any) -> str:
    return over_v3(region, "/pixv3", ADD, v3.feed(ADD, *ids, **more))


def p(value: str, oid: str = f"{ARC}.2") -> PatientId:
    return PatientId(value, oid)


Case = tuple[Callable[[Region], str], str]
# HL7 2.3.1 names the place in ERR-1, to the field.
V2: dict[str, Case] = {
    "an unknown authority": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^&{UNKNOWN}&ISO"))), "AE 204 PID^1^3"),
    "a wrong check digit": (lambda r: feed(r.v2, adt("A04", pid(f"12345^6^M10^{TOKYO}"))), "AE 102 PID^1^3"),
    "a wrong check digit, modulo 11": (
        lambda r: feed(r.v2, adt("A28", pid(f"1234567^5^M11^{TOKYO}"), version="2.5")), "AE 102 PID^1^3^1^2",
    ),
    "a wrong check digit in SS-MIX2's own version": (
        lambda r: feed(r.v2, adt("A08", pid(f"12345^6^M10^{TOKYO}"), version="2.5")), "AE 102 PID^1^3^1^2",
    ),
    "a My Number": (lambda r: feed(r.v2, adt("A04", pid(f"{MY_NUMBER}^^^&{UNKNOWN}&ISO"))), "AE 102 PID^1^3"),
    "a name of 10 MB": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}", f"{BIG}^花子"))), "AE 102 PID^1^5"),
    "a hundred thousand names": (
        lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}", "~".join(f"見本^{n}" for n in range(100_000))))),
        "AE 102 PID^1^5",
    ),
    "a hundred thousand numbers": (
        lambda r: feed(r.v2, adt("A04", pid("~".join(f"{n}^^^{TOKYO}" for n in range(100_000))))), "AE 102 PID^1^3",
    ),
    "an id of 10 MB": (lambda r: feed(r.v2, adt("A04", pid(f"{'9' * 10_000_000}^^^{TOKYO}"))), "AE 102 PID^1^3"),
    "NUL in an id": (lambda r: feed(r.v2, adt("A04", pid(f"A\0001^^^{TOKYO}"))), "AE 102 ^^"),
    "NUL in a name": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}", "見\0本"))), "AE 102 ^^"),
    "bytes of no character": (
        lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}")).replace("見".encode(), b"\xe8\xa6")), "AE 102 ^^",
    ),
    "no name": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}", ""))), "AE 101 PID^1^5"),
    "no id": (lambda r: feed(r.v2, adt("A04", pid(""))), "AE 101 PID^1^3"),
    "another processing id": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}")).replace(b"|P|2.3.1", b"|X|2.3.1")), "AR 202 MSH^1^11"),
    "another version": (lambda r: feed(r.v2, adt("A04", pid(f"B1^^^{TOKYO}")).replace(b"|2.3.1|", b"|9.9|")), "AR 203 MSH^1^12"),
    "another event": (lambda r: feed(r.v2, adt("A99", pid(f"B1^^^{TOKYO}"))), "AR 201 MSH^1^9"),
}  # fmt: skip
PERSON = "patient/patientPerson"
V3: dict[str, Case] = {
    "an unknown authority": (lambda r: v3_feed(r, p("B1", UNKNOWN)), "200 CE 204 patient/id[1]/@root"),
    "a My Number": (lambda r: v3_feed(r, p(MY_NUMBER, UNKNOWN)), "200 CE 204 patient/id[1]/@root"),
    "a name of 10 MB": (lambda r: v3_feed(r, p("B1"), person=person(BIG)), "500 fault"),
    "a name of 5,000 characters": (
        lambda r: v3_feed(r, p("B1"), person=person("山" * 5000)), f"200 CE 102 {PERSON}/name",
    ),
    "a thousand numbers": (lambda r: v3_feed(r, *(p(str(n)) for n in range(1000))), "200 CE 102"),
    "NUL": (lambda r: v3_feed(r, p("B1"), person=person("a\0b")), "500 fault"),
    "NUL by reference": (lambda r: v3_feed(r, p("B1"), person=person("a&#0;b")), "500 fault"),
    "bytes of no character": (
        lambda r: over_v3(r, "/pixv3", ADD, v3.feed(ADD, p("B1")).replace("結".encode(), b"\xe7\xb5")), "500 fault",
    ),
    "no name": (lambda r: v3_feed(r, p("B1"), person='<birthTime value="19800101"/>'), f"200 CE 101 {PERSON}/name"),
    "a DOCTYPE": (lambda r: over_v3(r, "/pixv3", ADD, b"<!DOCTYPE x>" + v3.feed(ADD, p("B1"))), "500 fault"),
    "garbage": (lambda r: over_v3(r, "/pixv3", ADD, b"\xff\x00"), "500 fault"),
    "five thousand levels": (
        lambda r: v3_feed(r, p("B1"), person="<a>" * 5000 + "</a>" * 5000), "500 fault",
    ),
    "another processing code": (lambda r: v3_feed(r, p("B1"), processing="X"), f"200 CR 202 /{ADD}/processingCode/@code"),
}  # fmt: skip
FHIR: dict[str, Case] = {
    "an unknown authority": (lambda r: over_fhir(r, "F1", UNKNOWN), "400 code-invalid"),
    "a name of 10 MB": (lambda r: over_fhir(r, name=[{"family": "a" * 10 * 1024 * 1024}]), "413 too-long"),
    "a name of 5,000 characters": (lambda r: over_fhir(r, name=[{"family": "山" * 5000}]), "422 business-rule"),
    "a thousand names": (lambda r: over_fhir(r, name=[{"family": "a"}] * 1000), "422 business-rule"),
    "more than a body may be": (lambda r: over_fhir(r, name=[{"family": "a" * 20_000_000}]), "413 too-long"),
    "NUL in an id": (lambda r: over_fhir(r, "A\0001"), "400 invalid"),
    "NUL in a name": (lambda r: over_fhir(r, name=[{"family": "a\0b"}]), "400 invalid"),
    "bytes of no character": (lambda r: over_fhir(r, raw=b'{"resourceType":"\xff"}'), "400 invalid"),
    "half a surrogate": (lambda r: over_fhir(r, raw=b'{"resourceType":"\\ud800"}'), "400 invalid"),
    "an empty list": (lambda r: over_fhir(r, name=[]), "422 structure"),
    "nested without end": (lambda r: over_fhir(r, raw=b'{"a":' * 5000 + b"1" + b"}" * 5000), "400 invalid"),
    "garbage": (lambda r: over_fhir(r, raw=b"\xff\x00"), "400 invalid"),
}


@pytest.mark.parametrize(
    ("face", "name"), [(face, name) for face in ("V2", "V3", "FHIR") for name in globals()[face]], ids=str
)
def test_the_error_the_standard_names_and_nothing_stored(region: Region, face: str, name: str) -> None:
    act, said = globals()[face][name]
    before = region.stored()
    assert act(region) == said
    assert region.stored() == before
    assert feed(region.v2, adt("A04", pid(f"Z9^^^{TOKYO}"))) == "AA", "the next one is served"


QUERIES: dict[str, Case] = {
    "PIX, NUL": (lambda r: query(r, pix(f"A\0001^^^{TOKYO}")), "AE 102 QPD^1"),
    "PIX, 10 MB": (lambda r: query(r, pix("9" * 10_000_000 + f"^^^{TOKYO}")), "AE AE 204 QPD^1^3^1^1"),
    "PDQ, NUL": (lambda r: query(r, pdq("@PID.5.1.1^見\0本")), "AE 102 QPD^1"),
    "PDQ, 10 MB": (lambda r: query(r, pdq(f"@PID.5.1.1^{BIG}")), "AE AE 102 QPD^1^3^1"),
    "PDQ, a thousand parameters": (
        lambda r: query(r, pdq(*(f"@PID.5.1.1^{n}" for n in range(1000)))), "AE AE 102 QPD^1^3",
    ),
    "PIX over v3, unknown": (
        lambda r: over_v3(r, "/pixv3", "PRPA_IN201309UV02", v3.pix_query(p("nobody"))),
        "200 AE 204 /PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList/patientIdentifier/value/@extension",
    ),
    "PDQ over v3, 10 MB": (
        lambda r: over_v3(
            r, "/pdqv3", "PRPA_IN201305UV02", v3.pdq_query(v3.parameter("livingSubjectName", v3.name_value(BIG)))
        ),
        "500 fault",
    ),
    "FHIR, NUL": (lambda r: str(r.http.get("/fhir/Patient?family=a%00b").status_code), "400"),
    "FHIR, $ihe-pix NUL": (
        lambda r: str(r.http.get(f"/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{ARC}.2|a%00").status_code), "404",
    ),
    "FHIR, a long value": (lambda r: str(r.http.get("/fhir/Patient?family=" + "a" * 9000).status_code), "414"),
}  # fmt: skip


def query(region: Region, message: bytes) -> str:
    """MSA-1, QAK-2 where there is one, ERR-3 and ERR-2."""
    found = ask(region.v2, message)
    words = [field(found["MSA"][0], 1), *(field(one, 2) for one in found.get("QAK", []))]
    return " ".join([*words, *(f"{field(one, 3).split('^')[0]} {field(one, 2)}" for one in found.get("ERR", []))])


@pytest.mark.parametrize("name", QUERIES)
def test_a_question_that_is_none(region: Region, name: str) -> None:
    act, said = QUERIES[name]
    assert act(region) == said
