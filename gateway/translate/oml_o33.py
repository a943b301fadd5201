"""OML^O33 (OML-01, 検体検査オーダ): MSH PID [PV1] { SPM { ORC [{TQ1}] OBR [{NTE}] [{OBX [{NTE}]}] } }.

One ServiceRequest an OBR. An OBX without a value is a test that is asked for (orderDetail); one with a value is what the
laboratory must know (尿量, 臨床情報): an Observation that the request names as supportingInfo. The result finds the request
by the order number, which both carry as identifier. HL7 v2.5 4.4.8; JAHIS laboratory.
"""

from gateway.codec.er7 import Message, Segment
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, bad_field, component
from gateway.translate.ids import local_system
from gateway.translate.laboratory_groups import Group, grouped
from gateway.translate.leavings import NULL, keep, place, residue_of
from gateway.translate.observation import COMMON, lab_result, settle_profile
from gateway.translate.oul_r22 import identifier_type
from gateway.translate.people import resource
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.specimen import NONE, Taken, add_specimen, from_source, when_taken

RULES = Rules(
    **HEAD,
    PV1=("None",),
    SPM=("Specimen",),
    ORC=("LaboratoryOrder",),
    TQ1=("LaboratoryOrder",),
    OBR=("LaboratoryOrder",),
    OBX=("LaboratoryOrder",),
    NTE=("LaboratoryOrder",),
)
GIVEN = Rules(OBX=("Observation",), NTE=("Observation",))
"""OBX with a value."""
_ENDS = frozenset({"revoked", "on-hold", "entered-in-error"})


def translate(message: Message, context: Context) -> None:
    groups, rest = grouped(message)
    known: dict[int, Taken] = {}
    for group in groups:
        for segment in group.specimens:
            if segment.line not in known:
                known[segment.line] = add_specimen(segment, context, RULES["SPM"])
        taken = [known[segment.line] for segment in group.specimens]
        if group.obr is not None or group.orc is not None:
            _request(group, taken, context)
        else:
            _leave_results(group, context)
    for segment in rest:
        if segment.name == "NTE":
            context.issue("warning", "comment-without-owner", place(segment, 3), "the NTE follows no order")
    leave(rest, RULES, context)


def _leave_results(group: Group, context: Context) -> None:
    """OBX that follow no order: what is asked for by nobody."""
    for obx, ntes in group.results:
        for segment in (obx, *ntes):
            residue_of(segment, context)


def _request(group: Group, specimens: list[Taken], context: Context) -> None:
    """One group -> ServiceRequest, and an Observation for each OBX with a value."""
    body: Fragment = {}
    target = {"ServiceRequest": body}
    since = mark(context)
    if group.orc is not None:
        RULES["ORC"].apply(group.orc, target, context)
    _order(group, body, context)
    for number, segment in enumerate(group.timings):
        _timing(segment, body, number == 0, group, context)
    for segment in group.notes:
        RULES["NTE"].apply(segment, target, context)
    if group.obr is not None and group.obr[15] not in ("", NULL):
        if specimens:
            keep(group.obr, 15, context)
        elif (taken := from_source(group.obr, context)).id:
            specimens = [taken]
    given = _tests(group, body, specimens[0] if specimens else NONE, context)
    test = group.obr[4].split("^", 1)[0] if group.obr is not None else ""
    key = (specimens[0].key if specimens else "", test)
    made = resource(
        "ServiceRequest",
        context.id("ServiceRequest", *context.key, *key, context.nth("request", *key)),
        "JP_ServiceRequest_Common",
    )
    aim(context, since, "ServiceRequest/.", f"ServiceRequest/{made['id']}.")
    _finish(made, body, group, specimens, given, context)


def _order(group: Group, body: Fragment, context: Context) -> None:
    """OBR beside what ORC said: numbers and requester are said once, and a contradiction is residue."""
    if group.obr is None:
        return
    ordered: Fragment = {}
    RULES["OBR"].apply(group.obr, {"ServiceRequest": ordered}, context)
    if "requester" in ordered and ordered["requester"] != body.get("requester", ordered["requester"]):
        keep(group.obr, 16, context)
    body["identifier"] = [*body.get("identifier", ()), *ordered.pop("identifier", ())]
    for element in ("note", "reasonCode"):
        if element in ordered:
            body[element] = [*body.get(element, ()), *ordered.pop(element)]
    for element, value in ordered.items():
        body.setdefault(element, value)


def _timing(tq1: Segment, body: Fragment, first: bool, group: Group, context: Context) -> None:
    """TQ1 replaces what OBR-5 and OBR-6 say for older messages. A request has one time: a further TQ1 is residue."""
    if not first:
        residue_of(tq1, context)
        return
    said: Fragment = {}
    RULES["TQ1"].apply(tq1, {"ServiceRequest": said}, context)
    older = {"priority": 5, "occurrenceDateTime": 6}
    for element, number in older.items():
        replaced = element in said or (number == 6 and "occurrencePeriod" in said)
        if replaced and group.obr is not None and body.pop(element, said.get(element)) != said.get(element):
            keep(group.obr, number, context)
    body |= said


def _tests(group: Group, body: Fragment, specimen: Taken, context: Context) -> list[Fragment]:
    """OBX without a value go to orderDetail; the Observations of the others are returned."""
    given = []
    details: Fragment = {}
    when = when_taken(specimen, {}, context)
    for obx, ntes in group.results:
        if obx[5] in ("", NULL) and obx[11].strip() in ("", "O", "N", "I"):
            RULES["OBX"].apply(obx, {"ServiceRequest": details}, context)
            for nte in ntes:
                RULES["NTE"].apply(nte, {"ServiceRequest": body}, context)
            continue
        made = lab_result(obx, specimen.id, specimen.key, context, GIVEN["OBX"])
        for nte in ntes:
            GIVEN["NTE"].apply(nte, {"Observation": made}, context)
        if "effectiveDateTime" not in made:
            made |= when
        settle_profile(made)
        if not any(key in made for key in ("effectiveDateTime", "effectivePeriod")):
            made["meta"] = COMMON  # the laboratory profile asks for a time, and nobody gives one
        given.append(made)
    if details:
        body["orderDetail"] = details["orderDetail"]
    return given


def _finish(
    made: Fragment, body: Fragment, group: Group, specimens: list[Taken], given: list[Fragment], context: Context
) -> None:
    """Adds the ServiceRequest in the order of its elements, with what FHIR asks for."""
    numbers = body.pop("identifier", [])
    if numbers := [number for n, number in enumerate(numbers) if number not in numbers[:n]]:
        made["identifier"] = numbers
    made["status"] = body.pop("status", None) or _status_unsaid(group, context)
    made["intent"] = "order"
    if "orderDetail" in body and "code" not in body:
        # FHIR prr-1: details need a code; the tests themselves are then what is asked for.
        details = body.pop("orderDetail")
        codings = [coding for one in details for coding in one.get("coding", ())]
        words = "、".join(one["text"] for one in details if "text" in one)
        body["code"] = ({"coding": codings} if codings else {}) | ({"text": words} if words else {})
    made |= body
    made["subject"] = context.subject()
    if references := [{"reference": f"Specimen/{one.id}"} for one in specimens if one.id]:
        made["specimen"] = references
    if given:
        made["supportingInfo"] = [{"reference": f"Observation/{one['id']}"} for one in given]
    context.add(made)
    for observation in given:
        context.add(observation)


def _status_unsaid(group: Group, context: Context) -> str:
    where = place(group.orc, 1) if group.orc is not None else "ORC-1"
    context.issue("warning", "no-order-status", where, "neither ORC-1 nor ORC-5 tells the status of the order")
    return "unknown"


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def laboratory_order_control(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ORC-1; a code that says nothing of the order's state (SC) gives none."""
    return _status("1", raw, segment, context)


@converter(1)
def laboratory_order_state(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ORC-5, after ORC-1: a cancelled order stays cancelled whatever its results did."""
    control = table("service-request-status").get(f"1 {component(segment[1], 1)}")
    if control not in _ENDS:
        return _status("5", raw, segment, context)
    if table("service-request-status").get(f"5 {component(raw, 1)}") != control:
        keep(segment, 5, context)
    return None


def _status(field: str, raw: str, segment: Segment, context: Context) -> str | None:
    found = table("service-request-status").get(f"{field} {component(raw, 1)}")
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table service-request-status")
    return found or None


@converter(1)
def placer_identifier(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """The order number, by which a result finds its request."""
    number = component(raw, 1)
    return {"type": identifier_type("PLAC"), "system": ORDER_NUMBER, "value": number} if number else None


@converter(1)
def group_identifier(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-4: the number of what was ordered together."""
    number = component(raw, 1)
    system = local_system(context.facility.oid, "order-group-number")
    return {"system": system, "value": number} if number else None
