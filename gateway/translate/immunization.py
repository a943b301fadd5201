"""Immunization (予防接種): what an injection of the kind 06 says beside its order or administration.

An order says that somebody is to be vaccinated, not that it happened: its Immunization is not-done, with the plan as
the reason, and its occurrence says in words that it is a plan. Where nobody says whether a vaccine was given there is
no Immunization, as its status is required and knows no `unknown`. SS-MIX2 data types OMP-02 and OMP-12 (RXE-2 = 06, JHSI0002); JP_Immunization of JP Core 1.2.0.
"""

from typing import Any

from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent
from gateway.translate.people import resource
from gateway.translate.rules import table

_PARTIAL = "http://terminology.hl7.org/CodeSystem/immunization-subpotent-reason"
_LOT = ("lotNumber", "expirationDate", "manufacturer")


def ordered_immunization(request: Fragment, context: Context) -> Fragment:
    """The Immunization of an order: not done so far, and its occurrence (mandatory, and no time) says in words that it
    is a plan. FHIR R4 has no status for a plan."""
    made = _start(request, context)
    made["status"] = "entered-in-error" if request["status"] == "entered-in-error" else "not-done"
    made["statusReason"] = {"text": "予定（実施の記録ではない）"}
    made["vaccineCode"] = _ordered_vaccine(request)
    made["patient"] = context.subject()
    dosage: Fragment = next(iter(request.get("dosageInstruction", ())), {})
    made["occurrenceString"] = _planned(dosage)
    _site_and_route(made, dosage)
    return made


def given_immunization(
    administration: Fragment, vaccine: Fragment | None, lot: Fragment, context: Context
) -> Fragment | None:
    """The Immunization of an administration (RXA). What was given in part counts as given, and as not enough."""
    status = table("immunization-status").get(administration["status"])
    if status is None:
        return None
    made = _start(administration, context)
    made["status"] = status
    if reason := administration.get("statusReason"):
        made["statusReason"] = reason[0]
    made["vaccineCode"] = vaccine or absent()
    made["patient"] = context.subject()
    start = administration.get("effectivePeriod", {}).get("start")
    made |= {"occurrenceDateTime": start} if start else {"occurrenceString": "実施日時の記録なし"}
    made |= {key: lot[key] for key in _LOT if key in lot}
    dosage = administration.get("dosage", {})
    _site_and_route(made, dosage)
    if "value" in (amount := dosage.get("dose", {})):
        made["doseQuantity"] = amount
    if performers := administration.get("performer"):
        made["performer"] = [{"actor": performer["actor"]} for performer in performers]
    if notes := administration.get("note"):
        made["note"] = notes
    if status == "completed" and administration["status"] == "stopped":
        made["isSubpotent"] = True
        made["subpotentReason"] = [{"coding": [{"system": _PARTIAL, "code": "partial"}]}]
    return made


def _start(of: Fragment, context: Context) -> dict[str, Any]:
    """One Immunization a request or administration: its identity is that one's."""
    made = resource("Immunization", context.id("Immunization", of["resourceType"], of["id"]), "JP_Immunization")
    made["identifier"] = of["identifier"]
    return made


def _ordered_vaccine(request: Fragment) -> Fragment:
    """The drug of RXE-2, or the one of RXC. Of several nobody says which is the vaccine: all stand in the text."""
    medication: Fragment = next((m for m in request.get("contained", ()) if m["resourceType"] == "Medication"), {})
    if "code" in medication:
        return dict(medication["code"])
    drugs = [ingredient["itemCodeableConcept"] for ingredient in medication.get("ingredient", ())]
    named = [drug for drug in drugs if "text" in drug or "coding" in drug]
    if len(named) == 1:
        return dict(named[0])
    words = [drug.get("text") or drug["coding"][0]["code"] for drug in named]
    return {"text": "、".join(words)} if words else absent()


def _planned(dosage: Fragment) -> str:
    """TQ1-7 as the time an order plans, in words: FHIR has no element for the plan of a vaccination."""
    start = dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {}).get("start", "")
    return f"予定 {start}" if start else "予定（実施の記録ではない）"


def _site_and_route(made: Fragment, dosage: Fragment) -> None:
    for key in ("site", "route"):
        if concept := {name: part for name, part in dosage.get(key, {}).items() if name != "extension"}:
            made[key] = concept
