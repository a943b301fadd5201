"""One question to many communities at once: bounded threads, one total deadline, every community named in the answer.

Knows no wire: each community brings a callable that asks it (app.py makes them from gateway/ihe, and the own registry
is one of them). What comes after the deadline is dropped; the good half of an answer never is.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from gateway.codec import ebxml_read, fhir
from gateway.errors import DamagedContent, Forbidden, GatewayError, UnknownPatient
from gateway.model.caller import Scope
from gateway.model.clock import Clock
from gateway.model.document import APPROVED, DocumentEntry, DocumentQuery, StoredEntry
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices, Held, Wanted, retrieve
from gateway.translate.times import utc_range

FHIR_JSON: Final = "application/fhir+json"
ER7: Final = frozenset({"application/hl7-v2", "x-application/hl7-v2+er7"})
"""Media types of an HL7 v2 message with delimiters: the one written now, and the one written before, which consumers that
check the top-level type refuse."""
TYPES: Final = ("lab", "rx", "document")
MAX_THREADS: Final = 32
"""Communities asked at the same time; more wait for a free thread, inside the same deadline."""

_LOG = logging.getLogger("gateway.services.federate")
_LAB_CATEGORY: Final = "laboratory"
_NOT_FACTS: Final = frozenset({"entered-in-error", "cancelled"})
"""Resources of these states say that something is not so; a row has no place to say that."""

OutcomeWord = Literal["ok", "nothing", "timeout", "failed", "refused"]


class Question(NamedTuple):
    patient: PatientId
    types: tuple[str, ...] = TYPES


class Item(NamedTuple):
    """One document a community gave: its metadata, and its content when it is a FHIR Bundle that was wanted."""

    entry: DocumentEntry
    bundle: dict[str, Any] | None = None


Ask = Callable[[Question, float], Sequence[Item]]
"""(question, seconds left) -> documents. Raises TimeoutError, Forbidden, UnknownPatient, any GatewayError."""


class Community(NamedTuple):
    id: str
    """homeCommunityId"""
    name: str
    ask: Ask


class Row(NamedTuple):
    """One fact of a patient as `musubi query` shows it."""

    type: str
    """lab, rx or document"""
    date: str
    """FHIR date or dateTime; empty when the source has none."""
    name: str
    code: str
    value: str
    """As written, digits kept."""
    unit: str
    community: str
    facility: str
    id: str
    """Logical id of the resource, uniqueId of a document."""


class Outcome(NamedTuple):
    community: str
    name: str
    outcome: OutcomeWord
    ms: int


@dataclass(frozen=True, slots=True)
class FederatedAnswer:
    communities: tuple[Outcome, ...]
    """In the order they were given."""
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """The form of `musubi query --json` and /api/query."""
        return {
            "communities": [outcome._asdict() for outcome in self.communities],
            "rows": [row._asdict() for row in self.rows],
        }


# -- asking ------------------------------------------------------------------------------------------------------


class _Reply(NamedTuple):
    place: int
    outcome: OutcomeWord
    rows: list[Row]
    ms: int


def ask_all(
    question: Question, communities: Sequence[Community], deadline_s: float, clock: Clock, *, threads: int = MAX_THREADS
) -> FederatedAnswer:
    """Asks all communities and waits until all have answered or the deadline is over, whichever is first.

    Threads that still wait for a silent community end by themselves when its call gives up; their answers go nowhere.
    """
    started = clock.monotonic()
    waiting: queue.SimpleQueue[tuple[int, Community]] = queue.SimpleQueue()
    replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
    for place, community in enumerate(communities):
        waiting.put((place, community))

    def work() -> None:
        while True:
            try:
                place, community = waiting.get_nowait()
            except queue.Empty:
                return
            began = clock.monotonic()
            outcome, rows = _ask_one(question, community, deadline_s - (began - started))
            replies.put(_Reply(place, outcome, rows, round((clock.monotonic() - began) * 1000)))

    for _ in range(min(threads, len(communities))):
        threading.Thread(target=work, name="federate", daemon=True).start()
    got = _gather(replies, len(communities), started + deadline_s, clock)
    late_ms = round(deadline_s * 1000)
    outcomes = tuple(
        Outcome(community.id, community.name, got[place].outcome, got[place].ms)
        if place in got
        else Outcome(community.id, community.name, "timeout", late_ms)
        for place, community in enumerate(communities)
    )
    return FederatedAnswer(outcomes, merge(row for place in sorted(got) for row in got[place].rows))


def _gather(replies: "queue.SimpleQueue[_Reply]", count: int, until: float, clock: Clock) -> dict[int, _Reply]:
    got: dict[int, _Reply] = {}
    while len(got) < count and (left := until - clock.monotonic()) > 0:
        try:
            reply = replies.get(timeout=left)
        except queue.Empty:
            break
        if clock.monotonic() <= until:
            got[reply.place] = reply
    return got


def _ask_one(question: Question, community: Community, left_s: float) -> tuple[OutcomeWord, list[Row]]:
    if left_s <= 0:
        return "timeout", []
    try:
        rows = rows_of(community.ask(question, left_s), question.types, community.id)
    except TimeoutError:
        return "timeout", []
    except Forbidden:
        return "refused", []
    except UnknownPatient:
        return "nothing", []
    except GatewayError as error:
        _LOG.warning("community %s failed: %s", community.id, type(error).__name__)
        return "failed", []
    except Exception as error:  # noqa: BLE001 - whatever one community makes us stumble over, the others still count
        _LOG.error("community %s failed with an error of ours: %s", community.id, type(error).__name__)
        return "failed", []
    return ("ok" if rows else "nothing"), rows


# -- rows --------------------------------------------------------------------------------------------------------


def merge(rows: Iterable[Row]) -> tuple[Row, ...]:
    """One row for each (community, id), newest first, then community, then id; rows without a date come last."""
    unique: dict[tuple[str, str], Row] = {}
    for row in rows:
        unique.setdefault((row.community, row.id), row)
    ordered = sorted(unique.values(), key=lambda row: (row.community, row.id))
    return tuple(sorted(ordered, key=_moment, reverse=True))


def _moment(row: Row) -> str:
    """Start of the row's date in UTC; a peer's text that is no date sorts as none."""
    try:
        return utc_range(row.date)[0] if row.date else ""
    except GatewayError:
        return ""


def rows_of(items: Sequence[Item], types: tuple[str, ...], community: str) -> list[Row]:
    """All rows of the wanted types in the documents of one community."""
    rows: list[Row] = []
    translated = {_source(item.entry) for item in items if item.entry.mimeType == FHIR_JSON}
    for item in items:
        facility = _facility(item.entry)
        if item.bundle is not None:
            rows += [row for row in rows_of_bundle(item.bundle, community, facility) if row.type in types]
        # The original message of a Bundle in the same answer is not one more document of the patient.
        original = item.entry.mimeType in ER7 and _source(item.entry) in translated
        if "document" in types and not original:
            rows.append(_row_of_entry(item.entry, community, facility))
    return rows


def _source(entry: DocumentEntry) -> tuple[str, str, str]:
    return entry.sourcePatientId, entry.creationTime, entry.typeCode.code


def _facility(entry: DocumentEntry) -> str:
    """Name of the author's institution (XON.1), else the OID that gave the source patient id."""
    for author in entry.author:
        for institution in author.institution:
            return institution.partition("^")[0]
    try:
        return PatientId.parse(entry.sourcePatientId).authority
    except ValueError:
        return ""


def _row_of_entry(entry: DocumentEntry, community: str, facility: str) -> Row:
    date = _fhir_time(entry.serviceStartTime or entry.creationTime)
    name = entry.title or entry.typeCode.display
    return Row("document", date, name, entry.typeCode.code, entry.mimeType, "", community, facility, entry.uniqueId)


def _fhir_time(dtm: str) -> str:
    """DTM in UTC as FHIR; a date stays a date."""
    if not (dtm.isascii() and dtm.isdigit()) or len(dtm) not in (4, 6, 8, 10, 12, 14):
        return ""
    date = "-".join(filter(None, (dtm[:4], dtm[4:6], dtm[6:8])))
    return f"{date}T{dtm[8:10]}:{dtm[10:12] or '00'}:{dtm[12:14] or '00'}Z" if len(dtm) > 8 else date


def rows_of_bundle(bundle: dict[str, Any], community: str, facility: str = "") -> list[Row]:
    """Rows lab (検査結果) and rx (処方) of one Bundle of any FHIR server: pure, and deaf to what it does not know."""
    rows: list[Row] = []
    for entry in _dicts(bundle.get("entry")):
        resource = entry.get("resource")
        if not isinstance(resource, dict) or not resource.get("id") or _text(resource.get("status")) in _NOT_FACTS:
            continue
        kind = resource.get("resourceType")
        if kind == "Observation" and _is_laboratory(resource):
            rows.append(_lab_row(resource, community, facility))
        elif kind == "MedicationRequest":
            rows.append(_rx_row(resource, community, facility))
    return rows


def _is_laboratory(observation: dict[str, Any]) -> bool:
    return any(
        coding.get("code") == _LAB_CATEGORY
        for category in _dicts(observation.get("category"))
        for coding in _dicts(category.get("coding"))
    )


def _lab_row(observation: dict[str, Any], community: str, facility: str) -> Row:
    name, code = _concept(observation.get("code"))
    value, unit = _value(observation)
    date = _text(observation.get("effectiveDateTime")) or _text(_dict(observation.get("effectivePeriod")).get("start"))
    return Row("lab", date, name, code, value, unit, community, facility, str(observation["id"]))


def _value(observation: dict[str, Any]) -> tuple[str, str]:
    """(value, unit) of value[x]; components joined by ` / `; absent stays empty."""
    if quantity := _dict(observation.get("valueQuantity")):
        return _text(quantity.get("comparator")) + _digits(quantity.get("value")), _text(quantity.get("unit"))
    if concept := observation.get("valueCodeableConcept"):
        name, code = _concept(concept)
        return name or code, ""
    for kind in ("valueString", "valueInteger", "valueBoolean", "valueDateTime", "valueTime"):
        if kind in observation:
            return _scalar(observation[kind]), ""
    components = [_value(component) for component in _dicts(observation.get("component"))]
    return " / ".join(f"{value} {unit}".strip() for value, unit in components), ""


def _rx_row(request: dict[str, Any], community: str, facility: str) -> Row:
    name, code = _medication(request)
    value, unit = _dose(next(iter(_dicts(request.get("dosageInstruction"))), {}))
    date = _text(request.get("authoredOn"))
    return Row("rx", date, name, code, value, unit, community, facility, str(request["id"]))


def _medication(request: dict[str, Any]) -> tuple[str, str]:
    """(name, code) of the drug; of a contained mixture (注射) the names of its ingredients, which have no one code."""
    reference = _text(_dict(request.get("medicationReference")).get("reference"))
    if "medicationCodeableConcept" in request or not reference.startswith("#"):
        return _concept(request.get("medicationCodeableConcept"))
    contained = {_text(item.get("id")): item for item in _dicts(request.get("contained"))}
    medication = contained.get(reference[1:], {})
    if medication.get("code"):
        return _concept(medication["code"])
    found = [_concept(ingredient.get("itemCodeableConcept")) for ingredient in _dicts(medication.get("ingredient"))]
    return " + ".join(name or code for name, code in found), found[0][1] if len(found) == 1 else ""


def _dose(dosage: dict[str, Any]) -> tuple[str, str]:
    """The single dose with its unit; where there is none, the words of the instruction (用法)."""
    quantity = _dict(next(iter(_dicts(dosage.get("doseAndRate"))), {}).get("doseQuantity"))
    digits = _digits(quantity.get("value"))
    return (digits, _text(quantity.get("unit"))) if digits else (_text(dosage.get("text")), "")


def _digits(number: object) -> str:
    if isinstance(number, Decimal):
        return fhir.number(number)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else ""


def _scalar(value: object) -> str:
    """A primitive as FHIR JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else _text(value) or _digits(value)


def _concept(concept: object) -> tuple[str, str]:
    """(name, code): the words sent, else the first display; the first code."""
    codings = _dicts(_dict(concept).get("coding"))
    name = _text(_dict(concept).get("text")) or next((_text(c.get("display")) for c in codings if c.get("display")), "")
    return name, next((_text(c.get("code")) for c in codings if c.get("code")), "")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# -- the own registry --------------------------------------------------------------------------------------------


def own_registry(services: DocumentServices, scope: Scope) -> Ask:
    """The own community as one more that is asked: same question, no wire."""

    def ask(question: Question, left_s: float) -> list[Item]:
        until = services.clock.monotonic() + left_s
        eid = services.identities.enterprise_id(question.patient, scope)
        if eid is None:
            raise UnknownPatient("the patient id is not known here")
        rows = services.documents.find(DocumentQuery(eid, (APPROVED,), limit=services.max_results), scope)
        bundles: dict[str, dict[str, Any]] = {}
        if set(question.types) - {"document"}:
            for held in _bundles(services, rows, scope):
                if services.clock.monotonic() > until:
                    raise TimeoutError("the own registry did not answer in time")
                bundles[held.entry.entryUUID] = fhir.parse(b"".join(held.chunks()))
        return [Item(_entry(services, row), bundles.get(row.entryUUID)) for row in rows]

    return ask


def _bundles(services: DocumentServices, rows: Sequence[StoredEntry], scope: Scope) -> Iterable[Held]:
    wanted = [Wanted(services.home, row.repositoryUniqueId, row.uniqueId) for row in rows if row.mimeType == FHIR_JSON]
    retrieved = retrieve(services, wanted, scope, home_required=False)
    if retrieved.failed:
        raise DamagedContent(f"{len(retrieved.failed)} documents of the own registry cannot be read")
    return retrieved.found


def _entry(services: DocumentServices, row: StoredEntry) -> DocumentEntry:
    return ebxml_read.read_stored(row.xml, home=services.home, patient_id=row.patientId, status=row.availabilityStatus)
