"""FHIR Consent (R4; IHE PCF 1.1) -> rules. Pure. What cannot be enforced here is refused aloud: a provision that is
stored and then ignored would be a promise nobody keeps.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, Final, NamedTuple

from gateway import mapping_files
from gateway.errors import BadInput, InvalidParameter
from gateway.model.consent import BREAK_GLASS, ONE, Category, Rule
from gateway.services.policy.tables import DATA_CLASSES, LEVELS, bare, purpose_of, same_role, twins
from gateway.translate.times import utc_range

DATA_CLASS: Final = "https://musubi.invalid/CodeSystem/data-class"
"""Consent.provision.class in the words of the paper forms (mappings/policy/data-classes.csv)."""
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
STATUSES: Final = frozenset({"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"})
_RECIPIENTS: Final = frozenset({"IRCP", "PRCP"})
_CUSTODIANS: Final = frozenset({"CST", "AUT", "CUST"})
_DEPTH: Final = 4
_MOST: Final = 500
"""Rules of one consent."""

Resolve = Callable[[Mapping[str, Any]], str]
"""A reference to an Organization -> its OID; "" when it leads to none known here."""


class Unenforceable(InvalidParameter):
    """The consent says something this node could not hold to."""


class Understood(NamedTuple):
    active: bool
    category: Category
    given: str
    organizations: tuple[str, ...]
    rules: tuple[Rule, ...]


def understand(consent: Mapping[str, Any], organization: Resolve) -> Understood:
    """Raises Unenforceable, and InvalidParameter for what is missing or malformed. No text repeats a value."""
    status = consent.get("status")
    if status not in STATUSES:
        raise InvalidParameter("Consent.status is required and has to be a status of a Consent")
    scopes = {one.get("code") for one in _dict(consent.get("scope")).get("coding", ())}
    if not scopes & {"patient-privacy", "research"}:
        raise Unenforceable("Consent.scope has to be patient-privacy or research")
    research = "research" in scopes
    given = consent.get("dateTime")
    if not isinstance(given, str):
        raise InvalidParameter("Consent.dateTime is required: it says which consent is the newer one")
    root = consent.get("provision")
    rules = _policies(consent) if not root else tuple(_rules(_dict(root), 0, _root_type(consent), organization))
    if not rules:
        raise Unenforceable("the Consent has neither a provision nor a policy that is known here")
    if research:
        rules = tuple(rule._replace(purpose=rule.purpose or "RESEARCH") for rule in rules)
    if len(rules) > _MOST:
        raise Unenforceable(f"a Consent of more than {_MOST} rules")
    of_root = [rule.organization for rule in rules if rule.level == 0]
    organizations = tuple(sorted(set(of_root))) if all(of_root) else ()
    return Understood(status == "active", "research" if research else "privacy", _start(given), organizations, rules)


def policy_rules(policy: str) -> tuple[Rule, ...]:
    """Of an overarching policy; () for one that is not known."""
    return _POLICIES.get(policy.replace("http://", "https://", 1) if "profiles.ihe.net" in policy else bare(policy), ())


def _policies(consent: Mapping[str, Any]) -> tuple[Rule, ...]:
    named = [_dict(one).get("uri", "") for one in consent.get("policy", ())]
    named += [one.get("code", "") for one in _dict(consent.get("policyRule")).get("coding", ())]
    codes = {"OPTIN": (Rule(0, False),), "OPTOUT": (Rule(0, True),)}
    return tuple(rule for policy in named for rule in (codes.get(policy) or policy_rules(str(policy))))


def _root_type(consent: Mapping[str, Any]) -> str:
    """R4 gives the root no type of its own where the policy says it; then every exception turns that round."""
    rules = _policies(consent)
    return "" if not rules else "deny" if rules[0].deny else "permit"


def _rules(provision: Mapping[str, Any], level: int, inherited: str, organization: Resolve) -> Iterable[Rule]:
    if level >= _DEPTH:
        raise Unenforceable(f"provisions more than {_DEPTH} deep")
    if unknown := set(provision) - _READ:
        raise Unenforceable(f"provision: {', '.join(sorted(unknown))[:100]} cannot be enforced here")
    effect = provision.get("type") or inherited
    if effect not in ("permit", "deny"):
        raise InvalidParameter("provision.type has to be permit or deny")
    periods: dict[str, Any] = {**_period(provision, "period", "valid"), **_period(provision, "dataPeriod", "data")}
    base = Rule(level, effect == "deny", **periods)
    actors = _actors(provision, organization)
    parts = product(_purposes(provision), actors, [*_data(provision, organization)], _labels(provision))
    for purpose, actor, data, label in parts:
        clash = set(actor) & set(data)
        if any(actor[key] != data[key] for key in clash):
            continue
        limits: dict[str, Any] = {**actor, **data}
        yield base._replace(purpose=purpose, confidentiality=label, **limits)
    for one in provision.get("provision", ()):
        opposite = "permit" if effect == "deny" else "deny"
        yield from _rules(_dict(one), level + 1, opposite, organization)


_READ: Final = frozenset(
    {"type", "period", "actor", "purpose", "class", "code", "data", "dataPeriod", "securityLabel", "provision", "id"}
    | {"action"}
)


def _purposes(provision: Mapping[str, Any]) -> list[str]:
    found = []
    for one in provision.get("purpose", ()):
        code = _dict(one).get("code", "")
        purpose = BREAK_GLASS if code == "BTG" else purpose_of(str(code))
        if not purpose:
            raise Unenforceable("provision.purpose: a purpose of use that is not known here")
        found.append(purpose)
    return found or [""]


def _actors(provision: Mapping[str, Any], organization: Resolve) -> list[dict[str, str]]:
    """Who asks (recipient) and who holds the data (custodian); of each, any of those named."""
    recipients: list[dict[str, str]] = []
    custodians: list[dict[str, str]] = []
    declared = {_dict(one).get("code") for one in provision.get("purpose", ())} == {"BTG"}
    for actor in provision.get("actor", ()):
        codes = {one.get("code") for one in _dict(_dict(actor).get("role")).get("coding", ())}
        reference = _dict(_dict(actor).get("reference"))
        kind = reference.get("type") or str(reference.get("reference", "")).partition("/")[0]
        if codes & _CUSTODIANS:
            custodians.append({"facility": _organization(reference, organization)})
        elif codes & _RECIPIENTS and kind == "PractitionerRole" and reference.get("identifier"):
            id_ = _dict(reference["identifier"])
            recipients.append({"role": same_role(f"{id_.get('value', '')}^^{id_.get('system', '')}")})
        elif codes & _RECIPIENTS and kind == "Group" and declared:
            continue  # those who may declare an emergency: grants say who they are
        elif codes & _RECIPIENTS:
            recipients.append({"organization": _organization(reference, organization)})
        else:
            raise Unenforceable("provision.actor: the role has to be IRCP (who may see) or CST (whose data)")
    return [{**one, **other} for one in recipients or [{}] for other in custodians or [{}]]


def _organization(reference: Mapping[str, Any], organization: Resolve) -> str:
    found = organization(reference)
    if not found:
        raise Unenforceable("a provision names an actor that is no organisation known by its OID")
    return bare(found)


def _data(provision: Mapping[str, Any], organization: Resolve) -> Iterable[dict[str, str]]:
    """What data are meant: of class, code and data each any of those named, and all three at once."""
    classes = [two for one in provision.get("class", ()) for two in _class(_dict(one))] or [{}]
    codes = [
        two
        for one in provision.get("code", ())
        for coding in _dict(one).get("coding", ())
        for two in _code(_dict(coding))
    ] or [{}]
    instances = [_instance(_dict(one), organization) for one in provision.get("data", ())] or [{}]
    for parts in product(classes, codes, instances):
        if sum("param" in part and bool(part["param"]) for part in parts) > 1:
            raise Unenforceable("provision: a class that is a code, with a code or an instance beside it")
        types = {part["type"] for part in parts if part.get("type")}
        if len(types) < 2:  # of two types at once nothing is
            yield {key: value for part in parts for key, value in part.items() if value}


def _instance(given: Mapping[str, Any], organization: Resolve) -> dict[str, str]:
    meaning, reference = given.get("meaning"), _dict(given.get("reference"))
    if meaning == "instance":
        type_, _, id_ = str(reference.get("reference", "")).rpartition("/")
        if not type_ or not id_:
            raise Unenforceable("provision.data: an instance is named by a literal reference")
        return {"type": type_.rpartition("/")[2], "param": ONE, "code": id_}
    if meaning == "authoredby" and organization(reference):
        return {"facility": bare(organization(reference))}
    raise Unenforceable("provision.data: only single instances, and what an organisation authored")


def _class(coding: Mapping[str, Any]) -> list[dict[str, str]]:
    system, code = coding.get("system", ""), str(coding.get("code", ""))
    if system == DATA_CLASS and code in DATA_CLASSES:
        return [dict(zip(("type", "param", "system", "code"), one, strict=True)) for one in DATA_CLASSES[code]]
    if system == RESOURCE_TYPES and code:
        return [{"type": code}]
    raise Unenforceable("provision.class: a resource type, or a data class of this node")


def _code(coding: Mapping[str, Any]) -> list[dict[str, str]]:
    system, code = str(coding.get("system", "")), str(coding.get("code", ""))
    if not code:
        raise InvalidParameter("provision.code without a code")
    found = [{"param": "code", "system": system, "code": code}]
    found += [
        {"type": "DocumentReference", "param": param, "system": one, "code": code}
        for param in ("type", "category")
        for one in twins(system)
    ]
    return found


def _labels(provision: Mapping[str, Any]) -> list[str]:
    found = []
    for one in provision.get("securityLabel", ()):
        if _dict(one).get("system") != CONFIDENTIALITY or _dict(one).get("code") not in tuple(LEVELS):
            raise Unenforceable("provision.securityLabel: a code of v3-Confidentiality")
        found.append(str(one["code"]))
    return found or [""]


def _period(provision: Mapping[str, Any], name: str, prefix: str) -> dict[str, str]:
    period = _dict(provision.get(name))
    start, end = period.get("start"), period.get("end")
    found = {}
    if start:
        found[f"{prefix}_from"] = _start(start)
    if end:
        found[f"{prefix}_to"] = utc_range(end)[1]
    return found


def _start(value: str) -> str:
    try:
        return utc_range(value)[0]
    except BadInput:
        raise InvalidParameter("a date of the Consent is none") from None


def _dict(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidParameter("the Consent has another structure than FHIR R4 gives it")
    return value


def _load() -> dict[str, tuple[Rule, ...]]:
    found: dict[str, tuple[Rule, ...]] = {}
    for row in mapping_files.read_csv(mapping_files.path("policy", "consent-policies.csv")):
        rule = Rule(int(row["level"]), row["effect"] == "deny", row["purpose"])
        found[row["policy"]] = (*found.get(row["policy"], ()), rule)
    return found


_POLICIES: Final = _load()
