"""Converters of RXA and RXD: who gave what from which lot, how fast and where; and what settles their status.

HL7 v2.5 4.14.6, 4.14.7; JAHIS injections (17-009); JP Core 1.2.0 JP_MedicationAdministration, JP_MedicationDispense.
"""

from gateway.codec.er7 import Segment
from gateway.model.outcome import Unmapped
from gateway.translate import times
from gateway.translate.adt import encounter_location
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    Fragment,
    bad_date,
    component,
    concept_of,
    cwe_rest,
    merit9,
    plain,
    quantity,
    reference_named,
    unit_rest,
    words_rest,
)
from gateway.translate.dosage import rate_quantity
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.people import EXTENSION, persons, practitioner, practitioner_reference, xcn_rest
from gateway.translate.rules import converter, table

# -- status -----------------------------------------------------------------------------------------------------------


@converter(1)
def administration_control(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ORC-1: a cancellation takes back what the message says was done; a discontinued order stopped it where RXA-20
    says nothing; any other control says nothing of what was done."""
    found = table("administration-control").get(component(raw, 1))
    if found is None:
        context.issue(
            "warning", "code-unknown", place(segment, 1), "the code is not in the table administration-control"
        )
        context.keep(place(segment, 1), raw)
    elif not found:
        context.unmapped.append(Unmapped(place(segment, 1), "order control that says nothing of what was done"))
    return found or None


@converter(1)
def administration_action(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """RXA-21 (table 0323): D takes the administration back; A and U say nothing of its status."""
    code = component(raw, 1)
    if code in ("A", "U"):
        context.unmapped.append(Unmapped(place(segment, 21), "added or updated: what is sent is what stands"))
    elif code != "D":
        context.issue("warning", "code-unknown", place(segment, 21), "table 0323 knows A, U and D")
        context.keep(place(segment, 21), raw)
    return "entered-in-error" if code == "D" else None


@converter(1)
def administration_order_state(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    return _order_state("administration-order-state", raw, segment, context)


@converter(1)
def dispense_order_state(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    return _order_state("dispense-order-state", raw, segment, context)


def _order_state(name: str, raw: str, segment: Segment, context: Context) -> str | None:
    """ORC-5. A state that says nothing of what was done (scheduled, replaced) has an empty target and is residue."""
    found = table(name).get(component(raw, 1))
    if found is None:
        context.issue("warning", "code-unknown", place(segment, 5), f"the code is not in the table {name}")
    if not found:
        context.keep(place(segment, 5), raw)
    return found or None


def settle_status(made: Fragment, body: Fragment, where: str, context: Context) -> None:
    """A cancelled message or a deleted administration was entered in error; else RXA-20 decides, else ORC-5. What
    nobody says is unknown."""
    control, action, sent, state = (body.pop(key, None) for key in ("control", "action", "status", "orderState"))
    status = next((one for one in (control, action) if one == "entered-in-error"), sent or state or control)
    if status is None:
        context.issue("warning", "no-status", where, "nothing says whether it was given; the status is unknown")
    made["status"] = status or "unknown"


# -- amount and rate --------------------------------------------------------------------------------------------------


@converter(1)
def given_dose(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-6/7 -> dosage.dose; what is no number, below zero or without a coded unit is said in words."""
    amount = component(raw, 1)
    if not amount:
        keep(segment, 7, context)
        return None
    unit = merit9(segment[7], context.facility.oid) if segment[7] != NULL else {}
    found = quantity(amount, unit)
    coded = found is not None and "code" in found and found["value"] >= 0
    spare(segment, 7, unit_rest if coded else words_rest, context)
    if found is None:
        context.issue("warning", "not-a-number", place(segment, 6), "an amount that is not a number; kept in words")
    elif found["value"] < 0:
        context.issue("warning", "amount-not-positive", place(segment, 6), "an amount below zero; kept in words")
    elif not coded:
        context.issue("information", "unit-uncoded", place(segment, 7), "no MERIT-9 unit; the amount is kept as text")
    return {"dose": found} if coded else {"text": f"{amount}{unit.get('unit', '')}"}


@converter(1)
def administered_rate(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-12: the rate as one text, `102ml/hr`."""
    words = component(raw, 1)
    found = rate_quantity(words)
    return {"rateQuantity": found} if found else {"words": words} if words else None


def rated(dosage: Fragment, rate: Fragment, way: Fragment) -> None:
    """Puts the rate into a dosage; one that cannot be read stands in the comment that JP Core has for it."""
    if words := rate.get("words"):
        comment = {"url": EXTENSION + "JP_MedicationDosage_RateComment", "valueString": words}
        dosage["extension"] = [*way.get("extension", ()), comment]
    elif rate:
        dosage |= rate


# -- people, places, notes --------------------------------------------------------------------------------------------


@converter(repeats=True, rest=xcn_rest)
def administering_people(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """RXA-10, RXD-10."""
    found = [practitioner(one, context) for one in persons(raw)]
    return [{"actor": person} for person in found if person]


@converter(repeats=True, rest=xcn_rest)
def request_author(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-12 of an administration."""
    person = practitioner_reference(raw, fields, segment, context)
    return {"url": EXTENSION + "JP_MedicationAdministration_Requester", "valueReference": person} if person else None


_LOCATION = all_but(1, 2, 3, 4, 5, 6, 7, 8, 9)


@converter(rest=_LOCATION)
def administration_location(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-11 (LA2): ward, room, bed."""
    found = encounter_location(raw, fields, segment, context)
    url = EXTENSION + "JP_MedicationAdministration_Location"
    return {"url": url, "valueReference": found["location"]} if found else None


@converter(rest=_LOCATION)
def dispense_destination(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXD-13 (LA2)."""
    found = encounter_location(raw, fields, segment, context)
    return found["location"] if found else None


def _note_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """A note is its words; the code beside them is left."""
    code, words = component(repetition, 1), component(repetition, 2)
    return _BEYOND_NOTE(repetition) + (((1, code),) if words and code not in ("", words) else ())


_BEYOND_NOTE = all_but(1, 2)


@converter(repeats=True, rest=_note_rest)
def administration_notes(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """RXA-9: `^左手に実施^99IC2`."""
    found = (component(part, 2) or component(part, 1) for part in raw.split("~"))
    return [{"text": words} for words in found if words]


@converter(repeats=True, rest=cwe_rest)
def concepts(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """Every repetition of a coded field."""
    return [found for part in raw.split("~") if (found := concept_of(part, segment, context))]


# -- lots -------------------------------------------------------------------------------------------------------------


@converter(repeats=True)
def lot_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-15, RXD-18; several lots are one text, as there is room for one."""
    words = "、".join(lot for part in raw.split("~") if (lot := plain(part)))
    return {"lot": {"lotNumber": words}} if words else None


@converter(rest=TIME)
def lot_expiry(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-16, RXD-19, to the day: Immunization.expirationDate is a date."""
    sent = raw.split("^", 1)[0]
    day = times.fhir_date(sent)
    if day is None:
        bad_date(raw, segment, context)
        return None
    if sent[8:].strip("0. "):
        context.keep(place(segment, context.at), raw)
    return {"lot": {"expirationDate": day}}


def _maker_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    left = _BEYOND_TRIPLET(repetition)
    return left if component(repetition, 1) else left + tuple(pair for pair in _NAME_ONLY(repetition) if pair[0] == 3)


_BEYOND_TRIPLET, _NAME_ONLY = all_but(1, 2, 3), all_but(1, 2)


@converter(rest=_maker_rest)
def lot_maker(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-17, RXD-20: the maker by name, and by the code sent."""
    reference = reference_named(raw, segment, context)
    return {"lot": {"manufacturer": reference}} if reference else None


def lot_words(lot: Fragment) -> list[str]:
    """A lot in words, for resources without an element for it."""
    words = []
    if number := lot.get("lotNumber"):
        words.append(f"ロット番号 {number}")
    if day := lot.get("expirationDate"):
        words.append(f"使用期限 {day}")
    if maker := lot.get("manufacturer"):
        code = maker.get("identifier", {})
        more = " ".join(code[key] for key in ("value", "system") if key in code)
        words.append(f"製造者 {maker['display']}" + (f"（{more}）" if more else ""))
    return words
