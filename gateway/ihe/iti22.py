"""Patient Demographics and Visit Query (ITI TF-2: 3.22): QBP^ZV1^QBP_Q21 -> RSP^ZV2^RSP_ZV2.

Like ITI-21, and each hit is a person with one of the visits kept here (PID, PV1). A `@PV1...` parameter has to hold for
the visit; without one, a person of whom no visit is kept is a hit too (PV1-2 = N).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.codec.er7 import escape
from gateway.codec.head import Head
from gateway.ihe._demographics import MALFORMED, Parameter
from gateway.ihe._pdq import answer, confidence, person_segments
from gateway.ihe._qbp import Query, read_query, record, refused, respond
from gateway.ihe._transaction import Response, V2Services, V2Transaction
from gateway.model.person import PersonQuery, PersonRecord
from gateway.translate.person_v2 import BadField
from gateway.translate.rules import table

NUMBER: Final = "ITI-22"
STRUCTURE: Final = "RSP^ZV2^RSP_ZV2"
EVENTS: Final = frozenset({"QBP^ZV1"})
_NO_VISIT: Final = "PV1||N"
"""Table 0004: not applicable."""
_HELD: Final = frozenset({2, 3, 7, 10, 17, 44, 45})
_NOT_HELD: Final = frozenset({8, 9, 19, 50})
"""Fields of PV1 one may ask for (ITI TF-2: 3.22.4.1.2.2.1): those kept, and those of which no visit has a value."""


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Response:
    """Raises Refused for a message without QPD, and what the storage raises."""
    assert services.persons is not None
    query = read_query(message, head, services.feed.clock.now(), address, services.node)

    def write(one: PersonRecord, asked: PersonQuery, visit: Sequence[Parameter]) -> list[Sequence[str]]:
        person = person_segments(one, asked, services.find)
        return [(*person, pv1, confidence(one)) for pv1 in _visits(one, visit, query, services)]

    try:
        found = answer(query, services, services.persons, write, visit="PV1")
    except BadField as error:
        found = refused(error)
    record(services, query, NUMBER, found)
    return respond(query, found, STRUCTURE)


def _visits(one: PersonRecord, wanted: Sequence[Parameter], query: Query, services: V2Services) -> list[str]:
    """PV1 of the visits that fit. Raises BadField for a parameter that is not supported."""
    for parameter in wanted:
        if parameter.field not in _HELD | _NOT_HELD:
            raise BadField("102", f"{MALFORMED}^{parameter.number}", "this parameter, or its value, is not supported")
    found = [pv1(visit) for visit in services.visits(one.patient, services.scope_of(query.caller, NUMBER))]
    fitting = [segment for segment in found if all(_fits(segment, parameter) for parameter in wanted)]
    return fitting or ([] if wanted else [_NO_VISIT])


def _fits(segment: str, wanted: Parameter) -> bool:
    """Equal, or the beginning where the value ends in `*`; a time by its beginning in any case."""
    fields = segment.split("|")
    value = fields[wanted.field] if wanted.field < len(fields) else ""
    for depth, number in zip("^&", filter(None, wanted.components.split(".")), strict=False):
        parts = value.split(depth)
        value = parts[int(number) - 1] if 0 < int(number) <= len(parts) else ""
    asked = wanted.value.removesuffix("*")
    if wanted.value.endswith("*") or wanted.field in (44, 45):
        return bool(asked) and value.startswith(asked)
    return value.split("^")[0] == asked if not wanted.components else value == asked


def pv1(visit: Mapping[str, Any]) -> str:
    """PV1 of an Encounter."""
    fields = [""] * 46
    fields[0] = "PV1"
    classes = {code: letter for letter, code in table("encounter-class").items()}
    fields[2] = classes.get(visit.get("class", {}).get("code", ""), "U")
    places = [one["location"]["identifier"]["value"] for one in visit.get("location", ()) if _identified(one)]
    if places:
        fields[3] = "^".join(map(escape, places[-1].split("^")))
    for person in visit.get("participant", ()):
        codes = {coding.get("code") for kind in person.get("type", ()) for coding in kind.get("coding", ())}
        words = escape(person.get("individual", {}).get("display", ""))
        for code, number in (("ATND", 7), ("ADM", 17)):
            if code in codes and words:
                fields[number] = f"^{words}"
    for coding in visit.get("serviceType", {}).get("coding", ())[:1]:
        fields[10] = escape(coding.get("code", ""))
    period = visit.get("period", {})
    fields[44], fields[45] = _dtm(period.get("start", "")), _dtm(period.get("end", ""))
    return "|".join(fields).rstrip("|")


def _identified(one: Mapping[str, Any]) -> bool:
    return bool(one.get("location", {}).get("identifier", {}).get("value"))


def _dtm(time: str) -> str:
    """A FHIR time on the clock of the house that wrote it."""
    return re.sub(r"\D", "", re.sub(r"(Z|[+-]\d\d:\d\d)$", "", time) if "T" in time else time)[:14]


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)
