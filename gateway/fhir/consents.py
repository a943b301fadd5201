"""ITI-108 Access Consent (IHE PCF 1.1): create, read, update and search of Consent. A consent is withdrawn, never deleted.

POST /Consent                   201
PUT  /Consent/id                200, 201; If-Match is honoured; status `inactive` withdraws
GET  /Consent/id, /Consent/id/_history, /Consent/id/_history/version
GET  /Consent?patient=|patient.identifier=|status=|_id=   POST /Consent/_search
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from gateway.errors import InvalidParameter, UnknownPatient, UnknownResource
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, json_answer
from gateway.fhir.search import parameters, searchset
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.consent import Consent
from gateway.model.identity import PatientId
from gateway.services.consent import ConsentDesk
from gateway.services.consent.provisions import Unenforceable
from gateway.services.consent.service import answered
from gateway.services.search.values import FHIR_ID

TRANSACTION: Final = "ITI-108"
_ETAG = re.compile(r'W/"([0-9]{1,9})"', re.ASCII)
_IGNORED: Final = frozenset({"_format", "_pretty", "_total"})
_PAGE, _MOST = 100, 1000


class Told(NamedTuple):
    response: FhirResponse
    patient: str = ""
    stored: bool = False
    """The commit that stored the consent stored its audit record too."""


def write(request: FhirRequest, resource: dict[str, Any], id_: str, desk: ConsentDesk, caller: Caller) -> Told:
    """Create (no id) or update."""
    if resource.get("resourceType") != "Consent":
        raise Refused(400, "invalid", "the body is a Consent")
    if id_ and resource.get("id") != id_:
        raise Refused(400, "invalid", "the Consent does not carry the id of the address")
    before = desk.consents.read(id_) if id_ else None
    expected = _expected(request) if id_ else 0
    try:
        kept = desk.record(resource, caller, id_=id_, expected=expected)
    except Unenforceable as error:
        raise Refused(422, "not-supported", str(error)) from None
    except InvalidParameter as error:
        raise Refused(422, "invalid", str(error)) from None
    except UnknownPatient as error:
        raise Refused(422, "not-found", str(error)) from None
    place = f"{request.base}/Consent/{kept.id}/_history/{kept.version}"
    headers = [("Location", place), *_validators(kept)]
    return Told(json_answer(201 if before is None else 200, answered(kept), headers), kept.patient, True)


def read(desk: ConsentDesk, id_: str, rest: Sequence[str], request: FhirRequest, scope: Scope) -> Told:
    match rest:
        case []:
            found = desk.consents.read(id_)
        case ["_history", version] if version.isascii() and version.isdigit() and len(version) < 9:
            found = desk.consents.read(id_, int(version))
        case ["_history"]:
            return _history(desk, id_, request, scope)
        case _:
            found = None
    if found is None or not _shown(found, desk, scope):
        raise UnknownResource("no such resource here")
    return Told(json_answer(200, answered(found), _validators(found)), found.patient)


def search(desk: ConsentDesk, request: FhirRequest, scope: Scope) -> Told:
    eids: set[str] | None = None
    ids: list[str] | None = None
    active: bool | None = None
    after, count, patient = 0, _PAGE, ""
    for name, value in parameters(request):
        if name in ("patient", "patient.identifier", "subject"):
            person = _person(name, value, desk)
            eid = desk.identities.enterprise_id(person, UNRESTRICTED) if person else None
            eids = ({eid} if eid else set()) if eids is None else eids & {eid or ""}
            patient = str(person) if person else ""
        elif name == "_id":
            ids = [one for one in value.split(",") if FHIR_ID.fullmatch(one)]
        elif name == "status":
            active = _status(value)
        elif name == "_count" and value.isascii() and value.isdigit():
            count = min(int(value[:6]), _MOST)
        elif name == "_cursor" and value.isascii() and value.isdigit():
            after = int(value[:15])
        elif name not in _IGNORED:
            raise InvalidParameter("Consent is not searched by one of these parameters")
    if scope.patients is not None:
        eids = set(scope.patients) if eids is None else eids & scope.patients
    found = desk.consents.find(sorted(eids) if eids is not None else None, active, ids, after, count + 1)
    page = found[:count]
    query = [(name, value) for name, value in parameters(request) if name != "_cursor"]
    links = [("self", _url(request, query))]
    if len(found) > count and page:
        links.append(("next", _url(request, [*query, ("_cursor", str(page[-1][0]))])))
    entries = [
        b'{"fullUrl":"%b","resource":%b,"search":{"mode":"match"}}'
        % (f"{request.base}/Consent/{one.id}".encode(), answered(one))
        for _, one in page
    ]
    whole = len(found) <= count and not after
    return Told(json_answer(200, searchset(len(page) if whole else None, links, entries)), patient)


def _url(request: FhirRequest, query: list[tuple[str, str]]) -> str:
    return f"{request.base}/Consent?{urlencode(query)}"


def _status(value: str) -> bool | None:
    wanted = {one.rpartition("|")[2] for one in value.split(",")}
    if wanted == {"active"}:
        return True
    return None if "active" in wanted else False


def _person(name: str, value: str, desk: ConsentDesk) -> PatientId | None:
    if name == "patient.identifier":
        system, _, number = value.rpartition("|")
        given: dict[str, Any] = {"identifier": {"system": system, "value": number}}
    else:
        given = {"reference": value if "/" in value else f"Patient/{value}"}
    try:
        return desk.patient_of({"patient": given})
    except (InvalidParameter, UnknownPatient):
        return None


def _history(desk: ConsentDesk, id_: str, request: FhirRequest, scope: Scope) -> Told:
    versions = desk.consents.history(id_)
    if not versions or not _shown(versions[0], desk, scope):
        raise UnknownResource("no such resource here")
    entries = [
        b'{"fullUrl":"%b","resource":%b,"request":{"method":"%b","url":"%b"},"response":{"status":"%b"}}'
        % (
            f"{request.base}/Consent/{id_}".encode(),
            answered(one),
            b"POST" if one.version == 1 else b"PUT",
            b"Consent" if one.version == 1 else f"Consent/{id_}".encode(),
            b"201" if one.version == 1 else b"200",
        )
        for one in versions
    ]
    head = f'{{"resourceType":"Bundle","type":"history","total":{len(versions)},"entry":['.encode()
    return Told(json_answer(200, head + b",".join(entries) + b"]}"), versions[0].patient)


def _shown(one: Consent, desk: ConsentDesk, scope: Scope) -> bool:
    if scope.patients is None:
        return True
    try:
        eid = desk.identities.enterprise_id(PatientId.parse(one.patient), UNRESTRICTED)
    except ValueError:
        return False
    return eid in scope.patients


def _validators(one: Consent) -> list[tuple[str, str]]:
    return [("ETag", f'W/"{one.version}"')]


def _expected(request: FhirRequest) -> int | None:
    given = request.headers.get("if-match", "")
    if not given:
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise Refused(400, "invalid", 'If-Match is W/"version"')
    return int(found[1])
