"""Invariants written out by hand, by their key in FHIR R4 or JP Core. Each takes the element as a dict that the
structure check has already seen; a malformed value makes an invariant silent, since the structure check speaks.

An invariant whose key is not here is not checked: docs/validation.md lists them.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

Json = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


class Invariant(NamedTuple):
    holds: Callable[[Json], bool]
    text: str


def _has(element: Json, name: str) -> bool:
    return name in element or f"_{name}" in element


def _any(element: Json, *names: str) -> bool:
    return any(_has(element, name) for name in names)


def _choice(element: Json, stem: str) -> bool:
    """Is one of `stem[x]` there?"""
    size = len(stem)
    return any(key.startswith(stem) and key[size : size + 1].isupper() for key in element)


def _list(element: Json, name: str) -> list[Any]:
    value = element.get(name)
    return value if isinstance(value, list) else []


def _codes(concept: Any, system: str) -> set[str]:
    if not isinstance(concept, dict):
        return set()
    return {c.get("code", "") for c in _list(concept, "coding") if isinstance(c, dict) and c.get("system") == system}


def _entered_in_error(element: Json, system: str) -> bool:
    return "entered-in-error" in _codes(element.get("verificationStatus"), _TERMINOLOGY + system)


def _number(value: Any) -> Any:
    return value if not isinstance(value, str | bool | dict | list) else None


def _in_order(start: Any, end: Any) -> bool:
    """start <= end, at the precision both have; what cannot be compared is not judged."""
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return True
    common = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
    return start[:common] <= end[:common]


def _per_1(period: Json) -> bool:
    return _in_order(period.get("start"), period.get("end"))


def _mdd_1(dispense: Json) -> bool:
    return _in_order(dispense.get("whenPrepared"), dispense.get("whenHandedOver"))


def _rng_2(value: Json) -> bool:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict) or low.get("code") != high.get("code"):
        return True
    lowest, highest = _number(low.get("value")), _number(high.get("value"))
    return lowest is None or highest is None or bool(lowest <= highest)


def _rat_1(ratio: Json) -> bool:
    return _has(ratio, "numerator") == _has(ratio, "denominator") and _any(ratio, "numerator", "extension")


def _ucum_only(quantity: Json) -> bool:
    return (_has(quantity, "code") or not _has(quantity, "value")) and quantity.get("system", UCUM) == UCUM


def _age_1(quantity: Json) -> bool:
    value = _number(quantity.get("value"))
    return _ucum_only(quantity) and (value is None or value > 0)


def _cnt_3(quantity: Json) -> bool:
    value = _number(quantity.get("value"))
    return _ucum_only(quantity) and quantity.get("code", "1") == "1" and (value is None or "." not in str(value))


def _drt_1(duration: Json) -> bool:
    return not _has(duration, "code") or (duration.get("system") == UCUM and _has(duration, "value"))


def _obs_7(observation: Json) -> bool:
    if not _has(observation, "component") or not _choice(observation, "value"):
        return True
    code = observation.get("code")
    own = _list(code, "coding") if isinstance(code, dict) else []
    for component in _list(observation, "component"):
        code = component.get("code") if isinstance(component, dict) else None
        if isinstance(code, dict) and any(coding in own for coding in _list(code, "coding")):
            return False
    return True


def _con_3(condition: Json) -> bool:
    """Of severity warning: a problem list item has a clinicalStatus."""
    if _has(condition, "clinicalStatus") or _entered_in_error(condition, "condition-ver-status"):
        return True
    return not any(
        "problem-list-item" in _codes(category, _TERMINOLOGY + "condition-category")
        for category in _list(condition, "category")
    )


def _con_4(condition: Json) -> bool:
    ended = {"resolved", "remission", "inactive"}
    status = _codes(condition.get("clinicalStatus"), _TERMINOLOGY + "condition-clinical")
    return not _choice(condition, "abatement") or bool(ended & status)


def _con_5(condition: Json) -> bool:
    return not (_entered_in_error(condition, "condition-ver-status") and _has(condition, "clinicalStatus"))


def _ait(allergy: Json) -> bool:
    return _entered_in_error(allergy, "allergyintolerance-verification")


def _tim_9(repeat: Json) -> bool:
    when = _list(repeat, "when")
    return not _has(repeat, "offset") or (bool(when) and not {"C", "CM", "CD", "CV"} & set(when))


def _not_negative(element: Json, name: str) -> bool:
    value = _number(element.get(name))
    return value is None or value >= 0


def _entries(bundle: Json) -> list[Json]:
    return [entry for entry in _list(bundle, "entry") if isinstance(entry, dict)]


def _bundle_part(name: str, types: frozenset[str]) -> Callable[[Json], bool]:
    return lambda b: all((name in entry) == (b.get("type") in types) for entry in _entries(b))


def _bdl_7(bundle: Json) -> bool:
    if bundle.get("type") == "history":
        return True
    seen = set()
    for entry in _entries(bundle):
        if "fullUrl" in entry:
            resource = entry.get("resource")
            meta = resource.get("meta") if isinstance(resource, dict) else None
            key = str(entry["fullUrl"]), str(meta.get("versionId") if isinstance(meta, dict) else None)
            if key in seen:
                return False
            seen.add(key)
    return True


def _first_entry(type_: str, resource_type: str) -> Callable[[Json], bool]:
    def holds(bundle: Json) -> bool:
        first = next(iter(_entries(bundle)), {}).get("resource")
        return bundle.get("type") != type_ or (isinstance(first, dict) and first.get("resourceType") == resource_type)

    return holds


def _bdl_9(bundle: Json) -> bool:
    identifier = bundle.get("identifier")
    return bundle.get("type") != "document" or (
        isinstance(identifier, dict) and {"system", "value"} <= identifier.keys()
    )


def _inv_1(parameter: Json) -> bool:
    value, resource = _choice(parameter, "value"), "resource" in parameter
    return not (value or resource) if "part" in parameter else value != resource


_PRESCRIPTION = "urn:oid:1.2.392.100495.20.3.11."
_FACILITY = re.compile(r"1(0[1-9]|[1-3][0-9]|4[0-7])[0-9]{8}").fullmatch
_TAG = re.compile(r"<[^>]*>")


def _local_prescription_id(identifier: Json) -> bool:
    """施設処方箋ID: the prescription root ends in 1 + prefecture, score table and facility number (10 digits)."""
    system = identifier.get("system")
    if not isinstance(system, str) or not system.startswith(_PRESCRIPTION):
        return True
    return _FACILITY(system[len(_PRESCRIPTION) :]) is not None


def _txt_2(narrative: Json) -> bool:
    div = narrative.get("div")
    return not isinstance(div, str) or "<img" in div or _TAG.sub("", div).strip() != ""


def _one_of(*names: str) -> Callable[[Json], bool]:
    return lambda e: _any(e, *names)


def _needs(name: str, other: str) -> Callable[[Json], bool]:
    return lambda e: not _has(e, name) or _has(e, other)


def _not_both(name: str, other: str) -> Callable[[Json], bool]:
    return lambda e: not (_has(e, name) and _has(e, other))


INVARIANTS: dict[str, Invariant] = {
    "age-1": Invariant(_age_1, "An age has a UCUM unit and a value above zero."),
    "ait-1": Invariant(lambda e: _ait(e) or _has(e, "clinicalStatus"), "clinicalStatus is needed unless in error."),
    "ait-2": Invariant(lambda e: not (_ait(e) and _has(e, "clinicalStatus")), "No clinicalStatus when in error."),
    "app-1": Invariant(_one_of("type", "actor"), "A participant has a type or an actor."),
    "app-2": Invariant(lambda e: _has(e, "start") == _has(e, "end"), "start and end come together."),
    "apr-1": Invariant(_one_of("participantType", "actor"), "participantType or actor is needed."),
    "att-1": Invariant(_needs("data", "contentType"), "An attachment with data has a contentType."),
    "bdl-1": Invariant(lambda e: "total" not in e or e.get("type") in ("searchset", "history"), "No total here."),
    "bdl-2": Invariant(
        lambda e: e.get("type") == "searchset" or not any("search" in x for x in _entries(e)),
        "entry.search belongs to a searchset.",
    ),
    "bdl-3": Invariant(
        _bundle_part("request", frozenset({"batch", "transaction", "history"})),
        "entry.request is for batch, transaction and history, and needed there.",
    ),
    "bdl-4": Invariant(
        _bundle_part("response", frozenset({"batch-response", "transaction-response", "history"})),
        "entry.response is for responses and history, and needed there.",
    ),
    "bdl-5": Invariant(_one_of("resource", "request", "response"), "An entry is not empty."),
    "bdl-7": Invariant(_bdl_7, "fullUrl and version are unique in a Bundle."),
    "bdl-8": Invariant(lambda e: "/_history/" not in str(e.get("fullUrl", "")), "fullUrl names no version."),
    "bdl-9": Invariant(_bdl_9, "A document has an identifier with system and value."),
    "bdl-10": Invariant(lambda e: e.get("type") != "document" or "timestamp" in e, "A document has a timestamp."),
    "bdl-11": Invariant(_first_entry("document", "Composition"), "A document starts with a Composition."),
    "bdl-12": Invariant(_first_entry("message", "MessageHeader"), "A message starts with a MessageHeader."),
    "cmp-1": Invariant(_one_of("text", "entry", "section"), "A section has text, entries or sections."),
    "cmp-2": Invariant(_not_both("emptyReason", "entry"), "A section with entries has no emptyReason."),
    "cnt-3": Invariant(_cnt_3, "A count is a whole number of unit 1."),
    "con-1": Invariant(_one_of("summary", "assessment"), "A stage has a summary or an assessment."),
    "con-2": Invariant(_one_of("code", "detail"), "Evidence has a code or details."),
    "con-3": Invariant(_con_3, "A problem list item should have a clinicalStatus."),
    "con-4": Invariant(_con_4, "A condition that abated is inactive, resolved or in remission."),
    "con-5": Invariant(_con_5, "No clinicalStatus when entered in error."),
    "cpl-3": Invariant(_not_both("detail", "reference"), "An activity has detail or reference, not both."),
    "cpt-2": Invariant(_needs("value", "system"), "A contact point with a value has a system."),
    "dis-1": Invariant(_ucum_only, "A distance has a UCUM unit."),
    "drt-1": Invariant(_drt_1, "A duration with a code is UCUM and has a value."),
    "fhs-1": Invariant(lambda e: not (_choice(e, "age") and _choice(e, "born")), "age or born, not both."),
    "fhs-2": Invariant(lambda e: _choice(e, "age") or not _has(e, "estimatedAge"), "estimatedAge needs an age."),
    "grp-1": Invariant(lambda e: "member" not in e or e.get("actual") is True, "Only an actual group has members."),
    "imm-1": Invariant(_one_of("documentType", "reference"), "documentType or reference is needed."),
    "inv-1": Invariant(_inv_1, "A parameter has exactly one of value, resource and parts."),
    "jp-inv-local-prescriptionid": Invariant(
        _local_prescription_id, "The system of a local prescription id ends in 1 and a 10 digit facility number."
    ),
    "lst-1": Invariant(_not_both("emptyReason", "entry"), "A list with entries has no emptyReason."),
    "mad-1": Invariant(lambda e: _has(e, "dose") or _choice(e, "rate"), "A dosage has a dose or a rate."),
    "mdd-1": Invariant(_mdd_1, "whenHandedOver is not before whenPrepared."),
    "mqty-1": Invariant(lambda e: e.get("system", "urn:iso:std:iso:4217") == "urn:iso:std:iso:4217", "ISO 4217 only."),
    "obs-3": Invariant(_one_of("low", "high", "text"), "A reference range has low, high or text."),
    "obs-6": Invariant(
        lambda e: not (_has(e, "dataAbsentReason") and _choice(e, "value")), "dataAbsentReason only without a value."
    ),
    "obs-7": Invariant(_obs_7, "No value when a component has the same code."),
    "org-1": Invariant(_one_of("identifier", "name"), "An organization has an identifier or a name."),
    "org-2": Invariant(lambda e: e.get("use") != "home", "An organization has no home address."),
    "org-3": Invariant(lambda e: e.get("use") != "home", "An organization has no home telephone."),
    "pat-1": Invariant(_one_of("name", "telecom", "address", "organization"), "A contact has details."),
    "per-1": Invariant(_per_1, "start is not after end."),
    "ppc-1": Invariant(_one_of("policy", "policyRule"), "A consent has a policy or a policyRule."),
    "prr-1": Invariant(_needs("orderDetail", "code"), "orderDetail needs a code."),
    "qty-3": Invariant(_needs("code", "system"), "A unit code has a system."),
    "rat-1": Invariant(_rat_1, "numerator and denominator come together, or an extension stands for both."),
    "rng-2": Invariant(_rng_2, "low is not above high."),
    "sev-1": Invariant(_not_both("name", "query"), "An entity has a name or a query, not both."),
    "sqty-1": Invariant(lambda e: not _has(e, "comparator"), "A simple quantity has no comparator."),
    "tim-1": Invariant(_needs("duration", "durationUnit"), "duration has a unit."),
    "tim-2": Invariant(_needs("period", "periodUnit"), "period has a unit."),
    "tim-4": Invariant(lambda e: _not_negative(e, "duration"), "duration is not negative."),
    "tim-5": Invariant(lambda e: _not_negative(e, "period"), "period is not negative."),
    "tim-6": Invariant(_needs("periodMax", "period"), "periodMax needs period."),
    "tim-7": Invariant(_needs("durationMax", "duration"), "durationMax needs duration."),
    "tim-8": Invariant(_needs("countMax", "count"), "countMax needs count."),
    "tim-9": Invariant(_tim_9, "offset needs a when that is not a meal alone."),
    "tim-10": Invariant(_not_both("timeOfDay", "when"), "timeOfDay or when, not both."),
    "txt-2": Invariant(_txt_2, "A narrative has some text or an image."),
    "vs-2": Invariant(
        lambda e: _any(e, "component", "hasMember", "dataAbsentReason") or _choice(e, "value"),
        "Without components or members there is a value or a dataAbsentReason.",
    ),
    "vs-3": Invariant(
        lambda e: _has(e, "dataAbsentReason") or _choice(e, "value"), "A component has a value or a dataAbsentReason."
    ),
}
