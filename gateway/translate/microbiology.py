"""Microbiology (微生物検査): smear 6A, culture 6B, susceptibility 6C of JLAC10, and how results hang together.

The organism (CWE, JANIS code) and its amount share OBX-4, and so do a drug named by JANIS code and its MIC. A
susceptibility group says its organism in OBR-26 (code & name & JC10 ^ OBX-4 of the organism ^ name). Both directions are
written: Observation.hasMember from the organism, Observation.derivedFrom back to it. Panels of other laboratory tests
are joined by the same fields. HL7 v2.5 7.4.1.26, 7.4.2.4; JAHIS laboratory; JP_Observation_Microbiology.

JLAC10 stands under its OID in these resources: JP_Observation_Microbiology binds a coding of the http name to a value
set that holds the OID only, so no code would be valid there. A search by either name finds both.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, component, plain, published_codes
from gateway.translate.ids import local_system
from gateway.translate.leavings import keep, place
from gateway.translate.observation import COMMON, HELD, JLAC10, NOT_IN_LAB_RESULT
from gateway.translate.people import CORE
from gateway.translate.rules import table

ORGANISM = "urn:oid:1.2.392.100495.10.3.100.5.27.6.1"
DRUG = "urn:oid:1.2.392.100495.10.3.100.5.11.5.2"
"""JANIS codes of organisms (菌名) and of antimicrobial drugs (抗菌薬): one name in HL7 v2, two systems in JP Core."""
JLAC10_OID = "urn:oid:1.2.392.200119.4.504"
MICROBIOLOGY = {"profile": [CORE + "JP_Observation_Microbiology"]}
_LABORATORY = {
    "coding": [
        {"system": "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS", "code": "laboratory"}
    ]
}
_STUDIES = {"coding": [{"system": "http://loinc.org", "code": "18725-2", "display": "Microbiology studies (set)"}]}
_CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_MicrobiologyCategory_CS"


class Result(NamedTuple):
    """One OBX and what it became."""

    obx: Segment
    made: Fragment
    specimen: str
    """Key of its specimen."""
    obr: Segment | None


@lru_cache(maxsize=4096)
def area(code: str) -> str:
    """The first two characters of a microbiology test (6A, 6B, 6C ...) out of OBX-3 or OBR-4; "" for other tests."""
    parts = code.split("^", 6)
    for at in (0, 3):
        if len(parts) > at + 2 and parts[at + 2] in ("JC10", "JLAC10") and parts[at][:1] == "6":
            return parts[at][:2].upper()
    return ""


def reports_microbiology(obr: Segment | None) -> bool:
    """Whether an OBR says so: section MB in OBR-24 (table 0074), or a test of chapter 6 of JLAC10."""
    return obr is not None and (component(obr[24], 1) == "MB" or area(obr[4]) != "")


def _area_of(result: Result) -> str:
    """`area` of a result, by its own test or else by its order."""
    return area(result.obx[3]) or (area(result.obr[4]) if result.obr is not None else "")


def classify(result: Result, context: Context) -> None:
    """Makes a result of microbiology a JP_Observation_Microbiology, its JANIS codes those of organism or drug."""
    made = result.made
    kind = _area_of(result)
    wanted = DRUG if kind == "6C" else ORGANISM
    janis = local_system(context.facility.oid, "CodeSystem/JANIS")
    for element, field in (("code", 3), ("valueCodeableConcept", 5)):
        if element in made and (concept := _standard(made[element], janis, wanted)) is not None:
            made[element] = concept
            if any(coding.get("system") == janis for coding in concept["coding"]):
                context.issue("warning", "code-label-mismatch", place(result.obx, field), "no code of the JANIS tables")
    if codings := made["code"].get("coding"):
        made["code"] = {
            **made["code"],
            "coding": [{**c, "system": JLAC10_OID} if c.get("system") == JLAC10 else c for c in codings],
        }
    named = any(c.get("system") == wanted for c in made.get("valueCodeableConcept", {}).get("coding", ()))
    made["category"] = [_LABORATORY, _STUDIES]
    if third := table("microbiology-categories").get(f"{kind} {'named' if named else 'value'}"):
        made["category"].append({"coding": [{"system": _CATEGORY, "code": third}]})
    made["meta"] = MICROBIOLOGY if NOT_IN_LAB_RESULT.isdisjoint(made) else COMMON


def _standard(concept: Fragment, janis: str, system: str) -> Fragment | None:
    """The concept with its JANIS codings, first, under their published system where they are of its codes; None when it
    has none."""
    codings = concept.get("coding", ())
    if not any(coding.get("system") == janis for coding in codings):
        return None
    known = published_codes()[system]
    # The displays of the tables are published; the sender's words stand in text.
    ours = [
        {"system": system, "code": c["code"]} if c["code"] in known else c for c in codings if c.get("system") == janis
    ]
    return {**concept, "coding": ours + [c for c in codings if c.get("system") != janis]}


# -- what belongs together --------------------------------------------------------------------------------------------


def join_group(results: list[Result], microbiology: bool, context: Context) -> None:
    """Results of one OBR that OBX-4 joins: to the organism or drug their sub-id names, else to a panel's header, which
    has no value; `1.2` belongs to the header `1`."""
    heads: dict[str, Result] = {}
    for result in results:
        if _heads(result.made, microbiology) and (sub := plain(result.obx[4])):
            heads.setdefault(sub, result)
    if not heads:
        return
    for result in results:
        sub = plain(result.obx[4])
        head = heads.get(sub) or (heads.get(sub.rpartition(".")[0]) if "." in sub else None)
        if head is result and "." in sub:
            head = heads.get(sub.rpartition(".")[0])
        if head is None or head is result or head.specimen != result.specimen:
            continue
        if microbiology:
            _name_drug(head, result.made, context)
        _join(head.made, result.made, back=microbiology)


def _heads(made: Fragment, microbiology: bool) -> bool:
    return "valueCodeableConcept" in made if microbiology else HELD.isdisjoint(made)


def _name_drug(head: Result, member: Fragment, context: Context) -> None:
    """A MIC whose test names no drug is told which drug it is for. A code that JANIS does not have still names one;
    another coded value (感性) is a finding and names none."""
    systems = [DRUG]
    if _area_of(head) == "6C":
        systems.append(local_system(context.facility.oid, "CodeSystem/JANIS"))
    drug = head.made["valueCodeableConcept"]
    drugs = [coding for coding in drug.get("coding", ()) if coding.get("system") in systems]
    codings = member["code"].get("coding", ())
    if drugs and not any(coding.get("system") in systems for coding in codings):
        code = {**member["code"], "coding": [*codings, *drugs[:1]]}
        if words := drug.get("text"):
            code["text"] = f"{code['text']}（{words}）" if "text" in code else words
        member["code"] = code


def _join(head: Fragment, member: Fragment, back: bool) -> None:
    head.setdefault("hasMember", []).append({"reference": f"Observation/{member['id']}"})
    if back:
        member["derivedFrom"] = [*member.get("derivedFrom", ()), {"reference": f"Observation/{head['id']}"}]
    if head["meta"] is MICROBIOLOGY and member["meta"] is not MICROBIOLOGY:
        head["meta"] = COMMON  # the profile takes members of its own kind only


def identity_of_parent(obr: Segment | None) -> str:
    """What OBR-26 adds to the identity of the results below it: "" when there is no parent."""
    if obr is None or not obr[26].strip("^&~ "):
        return ""
    code, sub, value = ([*obr[26].split("^"), "", ""])[:3]
    return f"{code.split('&', 1)[0]}^{sub or value.split('&', 1)[0]}"


_CANDIDATES = 100
"""Results one OBR-26 may mean; with more it means none, and asking stays quick."""


class Parents:
    """The results of a message by what OBR-26 may call them."""

    def __init__(self, results: list[Result]) -> None:
        self._by_test: dict[tuple[str, str], list[Result]] = {}
        for result in results:
            sub = plain(result.obx[4])
            codes = {component(result.obx[3], 1), component(result.obx[3], 4)}
            if result.obr is not None and "valueCodeableConcept" in result.made:
                codes.add(component(result.obr[4], 1))
            for code in codes - {""}:
                self._by_test.setdefault((code, sub), []).append(result)
                if sub:
                    self._by_test.setdefault((code, ""), []).append(result)

    def find(self, obr: Segment, specimen: str) -> Result | None:
        """The parent result of a group; of several, the one of the same specimen. None when that is not sure."""
        test, sub = ([*obr[26].split("^"), ""])[:2]
        found = self._by_test.get((plain(test.split("&", 1)[0]), plain(sub)), [])
        if len(found) > _CANDIDATES:
            return None
        if len(found) > 1:
            found = [result for result in found if result.specimen == specimen] or found
        if len(found) > 1:
            exact = [result for result in found if component(result.obx[3], 1) == plain(test.split("&", 1)[0])]
            found = exact or found
        return found[0] if len(found) == 1 else None


def join_parents(groups: list[tuple[Segment, str, list[Fragment]]], results: list[Result], context: Context) -> None:
    """(OBR with OBR-26, specimen, its results): joins them to the result OBR-26 names, or reports that it is not
    there."""
    parents = Parents(results) if groups else None
    for obr, specimen, members in groups:
        parent = parents.find(obr, specimen) if parents else None
        if parent is None or any(member is parent.made for member in members):
            context.issue(
                "warning", "no-parent-result", place(obr, 26), "no result of the message is surely the parent"
            )
            keep(obr, 26, context)
            continue
        _unsaid(obr, parent.obx, context)
        for member in members:
            _join(parent.made, member, back=True)


def _unsaid(obr: Segment, parent: Segment, context: Context) -> None:
    """What OBR-26 says of its parent that the parent does not say itself is residue."""
    said = (set(parent[3].split("^")), {parent[4]}, set(parent[5].split("^")) | {parent[5]})
    for number, part in enumerate(obr[26].split("~", 1)[0].split("^"), start=1):
        known: Any = said[number - 1] if number <= len(said) else ()
        if any(plain(one) and one not in known for one in part.split("&")):
            context.keep(place(obr, 26, number), part)
