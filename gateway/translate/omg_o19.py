"""OMG^O19: orders of examinations (OMG-01 放射線, OMG-02 内視鏡, OMG-03 生理検査).

    MSH PID [PV1] { ORC {TQ1} OBR [{NTE}] [{OBX}] }

One ServiceRequest an order: NW and PA of one number are one, each CH is one that is based on it. OBX (weight,
disability, clinical notes) are Observations that the order refers to. A cancelled order is revoked, and with it the
parts of which nothing else is said. JAHIS radiology (HS016), endoscopy, physiology; HL7 v2.5 4.4.6.
"""

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import TIME, Fragment, bad_date, bad_field, component, concept_of, cwe_rest
from gateway.translate.examination import Group, Order, combine, grouped, order_reference, orders, span
from gateway.translate.examination_result import finding
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place, residue_of, spare
from gateway.translate.people import resource
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.vital_signs import settle, vital_of

RULES = Rules(
    **HEAD,
    PV1=("None",),
    ORC=("ExaminationOrder",),
    TQ1=("ExaminationOrder",),
    OBR=("ExaminationOrder",),
    NTE=("ExaminationOrder",),
    OBX=("Examination",),
)
NOTES = Rules(NTE=("Observation",))

_FIELDS: dict[str, dict[str, tuple[int, ...]]] = {
    "ORC": {"status": (1,), "requisition": (4,), "authoredOn": (9,), "requester": (12,)},
    "OBR": {"code": (4,), "requester": (16,)},
    "TQ1": {"priority": (9,), "occurrence": (7, 8)},
}
"""Elements of which a request has one -> the fields that say it: where a second segment contradicts the first."""
_STOPPED = frozenset({"revoked", "entered-in-error", "on-hold"})
_FARTHEST = ("entered-in-error", "revoked", "completed", "on-hold", "active", "unknown")


def translate(message: Message, context: Context) -> None:
    groups, rest = grouped(message)
    made = [(order, _request(order, context)) for order in orders(groups)]
    known: dict[str, str] = {}
    for order, request in made:
        for number in order.numbers:
            known.setdefault(number, request["id"])
    states = {request["id"]: request.get("status", "unknown") for _, request in made}
    for order, request in made:
        heads = [known[number] for number in order.parents if number in known]
        if _only_part(order) and (stopped := [states[head] for head in heads if states[head] in _STOPPED]):
            request["status"] = stopped[0]
        based = [_parent(number, request, known) for number in order.parents]
        _finish(order, request, based, context)
    leave(rest, RULES, context)


def _only_part(order: Order) -> bool:
    """Whether nothing tells the state of a part but that it is one: then what stops the whole stops it as well."""
    return all(g.control == "CH" and (g.orc is None or g.orc[5] in ("", NULL)) for g in order.groups)


def _request(order: Order, context: Context) -> Fragment:
    """The elements of one order out of all its groups, under its id; not added yet."""
    key = (order.number, order.code)
    id_ = context.id("ServiceRequest", *context.key, *key, context.nth("ORC", *key))
    body: Fragment = {"id": id_}
    since = mark(context)
    for group in order.groups:
        for segment in (group.orc, *group.timings, group.obr, *group.notes):
            if segment is not None:
                _add(segment, body, context)
        for segment in group.studies:
            residue_of(segment, context)
        for performed in group.performed:
            for other in (performed.ze1, *performed.exposures, *performed.notes):
                residue_of(other, context)
    aim(context, since, "ServiceRequest/.", f"ServiceRequest/{id_}.")
    return body


def _add(segment: Segment, body: Fragment, context: Context) -> None:
    extra: Fragment = {}
    RULES[segment.name].apply(segment, {"ServiceRequest": extra}, context)
    said = {body.get("status"), extra.get("status")} - {None}
    if len(said) == 2:
        # NW and PA of one order may stand at different states: what stops it counts.
        body["status"] = extra["status"] = next(status for status in _FARTHEST if status in said)
    combine(body, extra, segment, _FIELDS.get(segment.name, {}), context)


def _parent(number: str, request: Fragment, known: dict[str, str]) -> Fragment:
    id_ = known.get(number)
    return {"reference": f"ServiceRequest/{id_}"} if id_ and id_ != request["id"] else order_reference(number)


def _finish(order: Order, body: Fragment, based: list[Fragment], context: Context) -> None:
    head = resource("ServiceRequest", body.pop("id"), "JP_ServiceRequest_Common")
    head["identifier"] = body.pop("identifier", [])
    if not head["identifier"]:
        del head["identifier"]
    if based:
        head["basedOn"] = based
    requisition = body.pop("requisition", None)
    if requisition:
        head["requisition"] = requisition
    head["status"] = body.pop("status", "unknown")
    if head["status"] == "unknown":
        where = _place(order.groups[0])
        context.issue("warning", "no-status", where, "neither ORC-1 nor ORC-5 tells the state of the order")
    head["intent"] = "order"
    head |= body
    head["subject"] = context.subject()
    context.add(head)
    results = order.results + [result for performed in order.performed for result in performed.results]
    observations = []
    for result in results:
        made = finding(result, order.number, "exam", RULES["OBX"], NOTES["NTE"], context, within=order.code)
        if vital := vital_of(result[0]):
            settle(made, vital)
        observations.append(context.add(made))
    if observations:
        head["supportingInfo"] = [{"reference": f"Observation/{one['id']}"} for one in observations]


def _place(group: Group) -> str:
    return place(group.orc, 1) if group.orc is not None else "ORC"


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def own_number_identifier(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-2, OBR-2: the placer order number."""
    number = component(raw, 1)
    if not number:
        return None
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}
    return {"identifier": [{"type": kind, "system": ORDER_NUMBER, "value": number}]}


@converter(1)
def requisition(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-4: the number of the group in which orders were placed together."""
    number = component(raw, 1)
    return {"system": local_system(context.facility.oid, "placer-group-number"), "value": number} if number else None


@converter(1)
def examination_state(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ORC-5 (table 0038), which says more than an ORC-1 that only tells the order; what ORC-1 stops stays stopped."""
    found = table("examination-order-state").get(component(raw, 1))
    if found is None:
        where = place(segment, 5)
        context.issue("warning", "code-unknown", where, "the code is not in the table examination-order-state")
        context.keep(where, raw)
        return None
    control = table("examination-control").get(component(segment[1], 1))
    if control not in (None, "active", found):
        keep(segment, 5, context)
        return None
    return found


@converter(rest=cwe_rest)
def control_reason(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-16: why the order was changed or stopped, in words; a code without words is residue."""
    concept = concept_of(raw, segment, context) or {}
    for coding in concept.get("coding", ()):
        context.keep(place(segment, 16), coding["code"])
    words = concept.get("text") or next((c["display"] for c in concept.get("coding", ()) if "display" in c), "")
    return {"text": words} if words else None


@converter(rest=TIME)
def examination_occurrence(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-7 and TQ1-8: for when it is ordered."""
    return span("occurrence", raw, segment, 8, context)


@converter(repeats=True)
def examination_occurrence_end(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-8 without TQ1-7: only the end is known."""
    if segment[7] not in ("", NULL):
        return None
    spare(segment, 8, TIME, context)
    end = times.fhir_datetime(component(raw, 1), context.zone)
    if end is None:
        bad_date(raw, segment, context)
        return None
    return {"occurrencePeriod": {"end": end}}


_BEYOND_PRIORITY = all_but(1, words=((3, frozenset({"HL70485"})),))


@converter(rest=_BEYOND_PRIORITY)
def examination_priority(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """TQ1-9 (table 0485): S, R, A. LENIENT: the table's name may be left out."""
    found = table("request-priority").get(component(raw, 1))
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table request-priority")
    return found
