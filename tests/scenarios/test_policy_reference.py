"""Random consents, callers and data against a reference that was written apart from the code: no leak, no over-blocking.

The reference reads the provisions of the FHIR Consents themselves; it knows neither rules nor SQL. A case is one piece
of data asked for by one caller over one interface.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import Forbidden
from gateway.model.caller import Caller, Scope
from gateway.model.document import DocumentQuery
from gateway.model.resource import SearchPlan
from gateway.services.documents import Wanted, retrieve
from tests.policy_parts import (
    ARC,
    CLINIC,
    GRANTS,
    HOSPITAL,
    LABEL,
    PERSONS,
    PHARMACY,
    REASON,
    Region,
    caller,
    logical,
    region,
    resources,
)

TYPES = ("Patient", "Observation", "MedicationRequest", "AllergyIntolerance", "Condition", "Coverage")
PURPOSES = {"TREAT": "TREATMENT", "ETREAT": "EMERGENCY", "HPAYMT": "PAYMENT", "HOPERAT": "OPERATIONS"}
LEVELS = "ULMNRV"
Item = dict[str, Any]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with region(tmp_path_factory.mktemp("node")) as made:
        yield made


# -- the reference -----------------------------------------------------------------------------------------------------


def fits(provision: dict[str, Any], who: Caller, now: str, item: Item, purpose: str) -> bool:
    """Whether one provision is about this data and this caller."""
    if "purpose" in provision and purpose not in {PURPOSES[one["code"]] for one in provision["purpose"]}:
        return False
    for role, own in (("IRCP", who.organization), ("CST", f"urn:oid:{item['facility']}")):
        named = [
            one["reference"]["identifier"]["value"]
            for one in provision.get("actor", ())
            if one["role"]["coding"][0]["code"] == role
        ]
        if named and own not in named:
            return False
    start, end = provision.get("period", {}).get("start", ""), provision.get("period", {}).get("end", "9")
    if not start <= now < end:
        return False
    if item["type"] == "Patient":
        return provision["type"] == "permit" or (
            provision.get("class", [{"code": "Patient"}])[0]["code"] == "Patient"
            and not {"code", "securityLabel", "dataPeriod"} & set(provision)
        )
    if "class" in provision and item["type"] not in {one["code"] for one in provision["class"]}:
        return False
    if "code" in provision and provision["code"][0]["coding"][0]["code"] not in item["codes"]:
        return False
    if "securityLabel" in provision and provision["securityLabel"][0]["code"] not in item["labels"]:
        return False
    if "dataPeriod" in provision:
        if not item["date"]:
            return bool(provision["type"] == "deny")
        return bool(provision["dataPeriod"]["start"] <= item["date"][:10])
    return True


def spoken(provision: dict[str, Any], level: int, *about: Any) -> Iterator[tuple[int, bool]]:
    if fits(provision, *about):
        yield level, provision["type"] == "deny"
    for one in provision.get("provision", ()):
        yield from spoken(one, level + 1, *about)


def consented(consents: list[dict[str, Any]], who: Caller, now: str, item: Item, purpose: str) -> bool:
    counting: list[tuple[dict[str, Any], set[str]]] = []
    for one in sorted(consents, key=lambda one: str(one["given"]), reverse=True):
        reach = {
            actor["reference"]["identifier"]["value"]
            for actor in one["provision"].get("actor", ())
            if actor["role"]["coding"][0]["code"] == "IRCP"
        }
        if not any(
            other["given"] > one["given"] and (not wider or (reach and reach <= wider)) for other, wider in counting
        ):
            counting.append((one, reach))
    said = [
        word for one, reach in counting for word in spoken(one["provision"], 1 if reach else 0, who, now, item, purpose)
    ]
    if not said:
        return bool(item["type"] == "Patient")  # the node's default is deny; who somebody is stays to be found
    highest = max(level for level, _ in said)
    return not any(deny for level, deny in said if level == highest)


def visible(item: Item, who: Caller, consents: list[dict[str, Any]], now: str, action: str) -> bool:
    grants = [
        one for one in GRANTS
        if one["role"] in who.roles and who.purpose in one["purposes"] and action in one["actions"]
    ]  # fmt: skip
    if not any(covers(word, item) for one in grants for word in one["types"]):
        return False
    own = who.purpose == "REQUEST"
    if own:
        return item["person"] == who.patient
    if who.patient and item["person"] != who.patient:
        return False
    ceiling = min((str(one.get("confidentiality", "N")) for one in grants), key=LEVELS.index)
    if any(LEVELS.index(label) > LEVELS.index(ceiling) for label in item["labels"]):
        return False
    related = any("relation" in one for one in grants)
    if related and item["type"] != "Patient" and who.organization.removeprefix("urn:oid:") not in item["known_at"]:
        return False
    return consented(consents, who, now, item, who.purpose)


def covers(word: str, item: Item) -> bool:
    type_, _, query = word.partition("?")
    if type_ not in ("*", item["type"]):
        return False
    return not query or query.rpartition("=")[2].rpartition("|")[2] in item["categories"]


# -- what is in the node, told once more ----------------------------------------------------------------------------


KNOWN_AT = {"1": {HOSPITAL, CLINIC}, "2": {HOSPITAL}}


def items() -> list[Item]:
    """Every resource and document that was fed, as the reference sees it."""
    found = []
    for id_, shared in PERSONS:
        person = shared or str(id_)
        base = {
            "facility": id_.authority,
            "person": person,
            "known_at": KNOWN_AT[id_.value] if shared else {id_.authority},
        }
        for one in resources(id_):
            labels = [label["code"] for label in one.get("meta", {}).get("security", ())] or ["N"]
            date = one.get("effectiveDateTime") or one.get("authoredOn") or one.get("onsetDateTime") or ""
            codes = {coding["code"] for coding in one.get("code", {}).get("coding", ())}
            categories = {coding["code"] for kind in one.get("category", ()) for coding in kind["coding"]}
            found.append({**base, "type": one["resourceType"], "id": one["id"], "labels": labels, "date": date,
                          "codes": codes, "categories": categories})  # fmt: skip
        for n, (class_, label) in enumerate((("11502-2", "N"), ("medication", "N"), ("problem", "R"))):
            found.append({**base, "type": "DocumentReference", "id": f"{id_}#{n}", "labels": [label],
                          "date": f"2026-03-0{n + 1}", "codes": {class_, "type"}, "categories": {class_}})  # fmt: skip
    return found


ITEMS = items()


# -- chance ----------------------------------------------------------------------------------------------------------


def actor(role: str, oid: str) -> dict[str, Any]:
    identifier = {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid}"}
    return {"role": {"coding": [{"code": role}]}, "reference": {"type": "Organization", "identifier": identifier}}


def provision(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    made: dict[str, Any] = {"type": chance.choice(("permit", "permit", "deny"))}
    if chance.random() < 0.3:
        made["purpose"] = [{"system": REASON, "code": code} for code in chance.sample(sorted(PURPOSES), 2)]
    actors = []
    if chance.random() < 0.3:
        actors.append(actor("IRCP", chance.choice((HOSPITAL, CLINIC, PHARMACY))))
    if chance.random() < 0.25:
        actors.append(actor("CST", chance.choice((HOSPITAL, CLINIC))))
    if actors:
        made["actor"] = actors
    if depth and chance.random() < 0.4:
        made["class"] = [{"system": "http://hl7.org/fhir/resource-types",
                          "code": chance.choice((*TYPES, "DocumentReference"))}]  # fmt: skip
    if depth and "class" not in made and chance.random() < 0.2:
        code = chance.choice((("urn:x", "lab"), ("urn:x", "hiv"), (f"{ARC}.10.1", "medication")))
        made["code"] = [{"coding": [{"system": code[0], "code": code[1]}]}]
    if chance.random() < 0.15:
        made["securityLabel"] = [{"system": LABEL, "code": chance.choice("NRV")}]
    if chance.random() < 0.2:
        made["dataPeriod"] = {"start": chance.choice(("2021-01-01", "2026-03-02", "2026-03-03"))}
    if depth < 2 and chance.random() < 0.6:
        made["provision"] = [provision(chance, depth + 1) for _ in range(chance.randint(1, 2))]
    return made


def someone(chance: random.Random) -> Caller:
    role, purpose = chance.choice((
        ("DOCTOR", "TREATMENT"), ("DOCTOR", "TREATMENT"), ("DOCTOR", "EMERGENCY"), ("PHARMACIST", "TREATMENT"),
        ("CLERK", "OPERATIONS"), ("PATIENT", "REQUEST"), ("INSURER", "PAYMENT"), ("COMPANY-DOCTOR", "OPERATIONS"),
        ("DOCTOR", "RESEARCH"), ("NOBODY", "TREATMENT"),
    ))  # fmt: skip
    who = caller(role, purpose, organization=f"urn:oid:{chance.choice((HOSPITAL, CLINIC, PHARMACY))}")
    return who


# -- the cases -------------------------------------------------------------------------------------------------------


def test_no_leak_and_no_over_blocking(node: Region, long: bool) -> None:
    chance = random.Random(20260401)
    cases = 0
    while cases < (20_000 if long else 2_500):
        cases += one_round(node, chance, callers=5)
    alarms = [one for one in node.records() if one.record.transaction == "guard"]
    assert not alarms, "the second look held back what the query let through"


def one_round(node: Region, chance: random.Random, callers: int) -> int:
    """New consents for everybody, and some callers over every interface."""
    for one in node.parts.consents.find(None, True, None, 0, 1000):
        withdraw(node, one[1].id)
    consents: dict[str, list[dict[str, Any]]] = {}
    for id_, shared in PERSONS:
        person = shared or str(id_)
        if person in consents:
            continue
        mine = consents[person] = []
        for _ in range(chance.choice((0, 1, 1, 2))):
            if chance.random() < 0.8:
                node.watch.passes(seconds=5)
            given = node.watch.now.isoformat()
            made = provision(chance)
            node.consent(id_, made)
            mine.append({"given": given, "provision": made})
    node.watch.passes(seconds=5)
    cases = 0
    for _ in range(callers):
        cases += one_caller(node, someone(chance), consents, chance)
    return cases


def withdraw(node: Region, id_: str) -> None:
    desk = caller("DESK", "OPERATIONS")
    status, kept = node.fhir(desk, f"/Consent/{id_}")
    assert status == 200
    assert node.fhir(desk, f"/Consent/{id_}", "PUT", {**kept, "status": "inactive"})[0] == 200


def one_caller(node: Region, who: Caller, consents: dict[str, list[dict[str, Any]]], chance: random.Random) -> int:
    cases = 0
    named = ""
    if who.purpose == "REQUEST" or chance.random() < 0.15:
        id_, shared = chance.choice(PERSONS)
        named = shared or str(id_)
        who = Caller(**{**{name: getattr(who, name) for name in who.__slots__}, "patient": str(id_)})
    told = Caller(**{**{name: getattr(who, name) for name in who.__slots__}, "patient": named})
    now = node.watch.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def expected(type_: str, action: str) -> set[str]:
        return {
            one["id"] for one in ITEMS
            if one["type"] == type_ and visible(one, told, consents[one["person"]], now, action)
        }  # fmt: skip

    for type_ in TYPES:
        try:
            scope = node.node.access().fhir(who, "search", type_)
        except Forbidden:
            assert not expected(type_, "query")
            continue
        page = node.parts.resources.search(SearchPlan(type_, None, (), 3), scope)
        found = {row.id for row in page.rows}
        while page.next_after:
            page = node.parts.resources.search(SearchPlan(type_, None, (), 3, after=page.next_after), scope)
            found |= {row.id for row in page.rows}
        wanted = expected(type_, "query")
        about = (who.roles, who.purpose, who.organization, named, consents)
        assert found == wanted, (type_, found ^ wanted, about)
        assert page.total == len(wanted), type_
        cases += sum(one["type"] == type_ for one in ITEMS)
        if chance.random() < 0.1:
            cases += over_http(node, who, type_, wanted, expected(type_, "read"))
    return cases + documents(node, who, expected) + persons(node, who, expected)


def over_http(node: Region, who: Caller, type_: str, searched: set[str], read: set[str]) -> int:
    assert node.ids(who, f"/{type_}?_count=2") == searched
    ids = [one["id"] for one in ITEMS if one["type"] == type_]
    for id_ in ids:
        for path in (f"/{type_}/{id_}", f"/{type_}/{id_}/_history", f"/{type_}/{id_}/_history/1"):
            status = node.fhir(who, path)[0]
            assert status == (200 if id_ in read else 404), (path, status)
    return 4 * len(ids)


def documents(node: Region, who: Caller, expected: Any) -> int:
    try:
        scope: Scope = node.node.access().scope(who, "ITI-18")
        fetching = node.node.access().scope(who, "ITI-43")
    except Forbidden:
        return 0
    wanted = expected("DocumentReference", "query")
    every = everything(node)
    found: set[str] = set()
    for eid in {eid for _, eid in every.values()}:
        query = DocumentQuery(eid, ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",))
        found |= {one.uniqueId for one in node.parts.documents.find(query, scope)}
    assert {every[one][0] for one in found} == wanted
    by_id = node.parts.documents.by_unique_id(tuple(every), scope)
    assert {every[one.uniqueId][0] for one in by_id} == wanted
    services = node.node.documents()
    asked = [Wanted(services.home, services.repository, one) for one in every]
    given = retrieve(services, asked, fetching, home_required=True)
    assert {every[held.entry.uniqueId][0] for held in given.found} == expected("DocumentReference", "retrieve")
    return 3 * len(every)


_EVERY: dict[int, dict[str, tuple[str, str]]] = {}


def everything(node: Region) -> dict[str, tuple[str, str]]:
    """uniqueId -> (name of the document here, enterprise id)."""
    if id(node) not in _EVERY:
        rows = node.parts.lookups.rows(
            "SELECT uniqueId, key, serviceStartTime, eid, patient FROM registry_object WHERE mimeType <> ''"
        )
        own = {logical(id_): id_ for id_, _ in PERSONS}
        _EVERY[id(node)] = {unique: (f"{own[of]}#{int(start[6:8]) - 1}", eid) for unique, _, start, eid, of in rows}
    return _EVERY[id(node)]


def persons(node: Region, who: Caller, expected: Any) -> int:
    try:
        scope = node.node.access().scope(who, "ITI-47")
    except Forbidden:
        return 0
    wanted = expected("Patient", "query")
    index = node.parts.persons
    for id_, _ in PERSONS:
        seen = logical(id_) in wanted
        row = index.by_id(id_, scope)
        assert (row is not None) == seen, id_
        others = index.others(id_, (), scope)
        assert (others is not None) == seen, id_
        hidden = {other for other, _ in PERSONS if logical(other) not in wanted}
        assert not hidden & set(others or ())
    return 2 * len(PERSONS)


def test_the_reference_can_fail(node: Region) -> None:
    item = next(one for one in ITEMS if one["type"] == "Observation")
    doctor, now = caller(), "2026-04-01T03:00:00.000Z"
    assert not visible(item, doctor, [], now, "query")
    assert visible(item, doctor, [{"given": "1", "provision": {"type": "permit"}}], now, "query")
