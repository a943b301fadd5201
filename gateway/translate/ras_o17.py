"""RAS^O17: drugs as they were given (OMP-11 処方実施, OMP-12 注射実施).

MSH [PID [PV1] [{AL1}]] { ORC [RXE {TQ1} {RXR} [{RXC}]] {RXA} RXR [{OBX}] } -> one MedicationAdministration an RXA.
Several RXA share the RXR that stands after them. What RXE says is the order, which OMP-01 and OMP-02 tell; only the
kind of injection is taken from it. JAHIS injections (17-009).
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.administering import lot_words, rated, settle_status
from gateway.translate.administration_route import settle_site
from gateway.translate.allergy import add_allergy
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave, reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import TIME, Fragment, absent, component, concept_of, cwe_rest
from gateway.translate.immunization import given_immunization
from gateway.translate.leavings import keep, place, residue_of, spare
from gateway.translate.medication import contained, drug_key, group_identifiers, is_vaccination, once
from gateway.translate.observation import add_basic_observation
from gateway.translate.people import CORE, EXTENSION, resource
from gateway.translate.rules import aim, converter, mark

RULES = Rules(
    **HEAD,
    PV1=("None",),
    AL1=("AllergyIntolerance",),
    ORC=("MedicationAdministration",),
    RXE=("Administered",),
    RXA=("MedicationAdministration",),
    RXR=("MedicationRequest",),
    NTE=("MedicationAdministration",),
    OBX=("Observation",),
)


@dataclass(slots=True)
class Given:
    """One RXA with the route and the notes that belong to it."""

    rxa: Segment
    route: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    findings: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """An ORC with what was given of it. `ordered`: the segments of the order itself; `rp`: its RP number, once known."""

    orc: Segment | None = None
    rxe: Segment | None = None
    given: list[Given] = field(default_factory=list)
    ordered: list[Segment] = field(default_factory=list)
    rp: str = ""


@dataclass(slots=True)
class Groups:
    """RP numbers of one message: how many drugs of each came before, and the place of each drug."""

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)


def translate(message: Message, context: Context) -> None:
    orders, rest = grouped(message)
    for segment in message.all("AL1"):
        add_allergy(segment, context, RULES["AL1"])
    groups = Groups()
    for order in orders:
        _take_route_before(order)
        for segment in order.ordered:
            residue_of(segment, context)
        shared = _shared(order, context)
        if not order.given:
            where = place(order.orc, 1) if order.orc else "ORC"
            context.issue("warning", "no-administration", where, "an order without RXA")
        for given in order.given:
            _add(given, order, shared, groups, context)
    leave(rest, RULES, context)


def grouped(message: Message) -> tuple[list[Order], list[Segment]]:
    """Segments -> orders, and the segments that belong to none."""
    orders: list[Order] = []
    rest: list[Segment] = []
    for segment in message.segments:
        if segment.name in ("MSH", "PID", "AL1"):
            continue
        if segment.name == "ORC" or (segment.name == "RXA" and not orders):
            orders.append(Order(orc=segment if segment.name == "ORC" else None))
        if segment.name == "ORC":
            continue
        if not orders or segment.name not in ("RXA", "RXE", "RXR", "NTE", "OBX", "TQ1", "RXC"):
            rest.append(segment)
        else:
            _place(segment, orders[-1])
    return orders, rest


def _place(segment: Segment, order: Order) -> None:
    """A segment of an order goes to what it says something about."""
    waiting = [given for given in order.given if given.route is None]
    match segment.name:
        case "RXA":
            order.given.append(Given(segment))
        case "RXE" if order.rxe is None and not order.given:
            order.rxe = segment
        case "RXR" if waiting:
            for given in waiting:
                given.route = segment
        case "NTE" if order.given:
            order.given[-1].notes.append(segment)
        case "OBX" if order.given:
            order.given[-1].findings.append(segment)
        case _:
            order.ordered.append(segment)


def _take_route_before(order: Order) -> None:
    """LENIENT: an RXR that stands before its RXA, where no RXE is there whose route it could be and none follows."""
    before = next((segment for segment in order.ordered if segment.name == "RXR"), None)
    if before is None or not order.given or order.rxe is not None or any(given.route for given in order.given):
        return
    order.ordered.remove(before)
    for given in order.given:
        given.route = before


def _shared(order: Order, context: Context) -> Fragment:
    """What ORC and RXE say of everything given of the order."""
    body: Fragment = {"identifier": []}
    target = {"MedicationAdministration": body}
    if order.orc is not None:
        RULES["ORC"].apply(order.orc, target, context)
    if order.rxe is not None:
        RULES["RXE"].apply(order.rxe, target, context)
    return body


def _add(given: Given, order: Order, shared: Fragment, numbers: Groups, context: Context) -> None:
    """The MedicationAdministration of one RXA, its findings, and the Immunization where it was a vaccination."""
    since = mark(context)
    groups = _group(given, order, numbers, context)
    body: Fragment = {key: list(value) if isinstance(value, list) else value for key, value in shared.items()}
    body["identifier"] = [*groups, *shared["identifier"]]
    RULES["RXA"].apply(given.rxa, {"MedicationAdministration": body}, context)
    for note in given.notes:
        RULES["NTE"].apply(note, {"MedicationAdministration": body}, context)
    way: Fragment = {}
    if given.route is not None and (given is _first_of(given.route, order)):
        RULES["RXR"].apply(given.route, {"MedicationRequest": way}, context)
    elif given.route is not None:  # read once: what it leaves is said once
        aside = Context(context.facility, context.facilities, context.data_type, zone=context.zone)
        RULES["RXR"].apply(given.route, {"MedicationRequest": way}, aside)
    drug: Fragment = body.pop("drug", {})
    # Neither the position nor the number of administrations: a message about the same order grows.
    key = ("|".join(i["value"] for i in groups[:1]), drug_key(drug, given.rxa[5]), component(given.rxa[3], 1))
    type_ = "MedicationAdministration"
    injection = context.data_type == "OMP-12"
    made = resource(type_, context.id(type_, *context.key, *key, context.nth("RXA", *key)))
    made["meta"] = {"profile": [CORE + (f"JP_{type_}_Injection" if injection else f"JP_{type_}")]}
    for old in (type_, "MedicationRequest"):
        aim(context, since, f"{old}/.", f"{type_}/{made['id']}.")
    lot: Fragment = body.pop("lot", {})
    if not injection and body.pop("form", None):
        keep(given.rxa, 8, context)  # JP_MedicationAdministration has no Medication that could have a form
    _fill(made, body, way.pop("dosage", {}), drug, lot, injection, context)
    if not drug:
        context.issue("warning", "no-drug", place(given.rxa, 5), "RXA-5 names no drug")
    settle_status(made, body, place(given.rxa, 20), context)
    made |= {key: value for key, value in body.items() if value}
    context.add(_ordered(made))
    for obx in given.findings:
        _finding(obx, made, context)
    if order.rxe is None or not is_vaccination(order.rxe[2]):
        return
    if vaccination := given_immunization(made, drug or None, lot, context):
        context.add(vaccination)
    else:
        text = "whether the vaccine was given is unknown; there is no Immunization"
        context.issue("information", "no-status", place(given.rxa, 20), text)


def _group(given: Given, order: Order, numbers: Groups, context: Context) -> list[Fragment]:
    """RP number and place. A drug that is given twice keeps its place in the RP; without ORC-4 an order is one RP."""
    rp, at = group_identifiers(order.orc, numbers.counts, context, order.rp)
    order.rp = rp["value"]
    if order.orc is not None and component(order.orc[4], 1).count("_") >= 2:
        return [rp, at]
    drug = (rp["value"], component(given.rxa[5], 1) or given.rxa[5])
    if drug in numbers.places:
        numbers.counts[rp["value"]] -= 1
    return [rp, {**at, "value": numbers.places.setdefault(drug, at["value"])}]


def _first_of(route: Segment, order: Order) -> Given:
    return next(given for given in order.given if given.route is route)


def _fill(
    made: Fragment, body: Fragment, way: Fragment, drug: Fragment, lot: Fragment, injection: bool, context: Context
) -> None:
    made["identifier"] = once(body.pop("identifier"))
    order = [identifier for identifier in made["identifier"] if identifier["system"] == ORDER_NUMBER]
    if order:
        made["request"] = {"type": "MedicationRequest", "identifier": order[0]}
    _medication(made, body, drug, lot, injection)
    made["subject"] = context.subject()
    if "effectivePeriod" not in body:
        made["effectivePeriod"] = absent()
    dosage = {**way, **body.pop("dosage", {})}
    rated(dosage, body.pop("rate", {}), way)
    settle_site(dosage, made, context.subject())
    if dosage and not {"dose", "rateQuantity", "rateRatio"} & dosage.keys():
        dosage["rateQuantity"] = absent()  # FHIR mad-1: a dosage has a dose or a rate
    if dosage:
        made["dosage"] = dosage


def _medication(made: Fragment, body: Fragment, drug: Fragment, lot: Fragment, injection: bool) -> None:
    """JP_MedicationAdministration takes a code, the one of injections a reference; the lot needs a Medication, and
    where there is none it stands in a note."""
    if not injection:
        made["medicationCodeableConcept"] = drug or absent()
        if words := lot_words(lot):
            body["note"] = [*body.get("note", ()), {"text": " ".join(words)}]
        return
    medication: Fragment = {"status": "active"}
    if drug:
        medication["code"] = drug
    if "manufacturer" in lot:
        medication["manufacturer"] = lot["manufacturer"]
    if form := body.pop("form", None):
        medication["form"] = form
    if batch := {key: lot[key] for key in ("lotNumber", "expirationDate") if key in lot}:
        medication["batch"] = batch
    made["medicationReference"] = contained(made, medication) if len(medication) > 1 else absent()


_ORDER = (
    *("resourceType", "id", "meta", "contained", "extension", "identifier", "status", "statusReason", "category"),
    *("medicationCodeableConcept", "medicationReference", "subject", "effectivePeriod"),
    *("performer", "reasonCode", "request", "note", "dosage"),
)


def _ordered(made: Fragment) -> Fragment:
    """Elements in the order of the resource's definition."""
    return {key: made[key] for key in _ORDER if key in made}


def _finding(obx: Segment, made: Fragment, context: Context) -> None:
    """An OBX after RXA: an Observation that is part of the administration."""
    add_basic_observation(obx, context, RULES["OBX"])
    observation = next(r for key, r in reversed(context.resources.items()) if key[0] == "Observation")
    observation["partOf"] = [{"reference": f"MedicationAdministration/{made['id']}"}]


# -- converters -------------------------------------------------------------------------------------------------------


@converter(rest=TIME)
def administered_period(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-3/4: when it was given, from and until."""
    period: Fragment = {}
    for key, at in (("start", 3), ("end", 4)):
        sent = component(segment[at], 1)
        if when := times.fhir_datetime(sent, context.zone) if sent else None:
            period[key] = when
        elif sent:
            context.issue("warning", "bad-date", place(segment, at), "not a date or time that FHIR can carry")
            context.keep(place(segment, at), segment[at])
    spare(segment, 4, TIME, context)
    if "start" in period and "end" in period and reversed_period(period["start"], period["end"]):
        context.issue("warning", "period-reversed", place(segment, 4), "the end lies before the beginning")
        context.keep(place(segment, 4), segment[4])
        del period["end"]
    return period or None


@converter(rest=cwe_rest)
def administered_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-2: the kind of injection (注射種別), for which an administration has no element but this comment."""
    concept = concept_of(raw, segment, context)
    url = EXTENSION + "JP_MedicationAdministration_UncategorizedComment"
    return {"url": url, "valueCodeableConcept": concept} if concept else None


@converter(rest=TIME)
def request_authored(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-9."""
    when = times.fhir_datetime(raw.split("^", 1)[0], context.zone)
    if when is None:
        context.issue("warning", "bad-date", place(segment, 9), "not a date or time that FHIR can carry")
        context.keep(place(segment, 9), raw)
        return None
    return {"url": EXTENSION + "JP_MedicationAdministration_RequestAuthoredOn", "valueDateTime": when}


@converter(rest=cwe_rest)
def request_department(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-17."""
    concept = concept_of(raw, segment, context)
    url = EXTENSION + "JP_MedicationAdministration_RequestDepartment"
    return {"url": url, "valueCodeableConcept": concept} if concept else None
