"""What was done in an examination: ZE1 and the OBX under it -> JP_Procedure (実施した手技, 実施者, 薬品・器材, 時刻).

Staff (ZE1-6 kind, ZE1-7 person) are performers. Drugs and materials (ZE1-8 kind, ZE1-9 of type ZRD: code ^ words ^
system ^ amount ^ unit) are usedCode; R4 has no amount there, so the whole stands in words in `note` as well.
JAHIS radiology (HS016), endoscopy.
"""

from collections.abc import Iterator

from gateway.codec.er7 import Segment
from gateway.translate import times
from gateway.translate.common import Rules, reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, as_code, component, concept_of, cwe_rest, plain, visible
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place
from gateway.translate.people import practitioner, xcn_rest
from gateway.translate.rules import converter, table

PERFORMER = Rules(OBX=("Performer",))
MATERIAL = Rules(OBX=("Material",))
TIME_OF = Rules(OBX=("PerformedTime",))

_TYPES = {
    "performer": ("XCN",),
    "material": ("ZRD", "CWE", "CE"),
    "start": ("TS", "DTM", "DT"),
    "end": ("TS", "DTM", "DT"),
}
_UNIT_TABLES = ("MR9P", "JSHR")
"""Names of the unit's table that say nothing a reader needs."""
_STANDING = frozenset({"final", "corrected", "preliminary", None})
"""States in which an OBX says something that holds."""


def part_of(obx: Segment, context: Context) -> str:
    """Which part of a Procedure an OBX under ZE1 is; "" when it is an Observation: another item, type or state."""
    parts = table("examination-parts")
    code, _, label = ([*obx[3].split("^"), "", ""])[:3]
    names = (code, code.split(".", 1)[0], code.split("-", 1)[0])
    found = next((parts[name] for name in names if name in parts), "") if label.startswith("JSHR") else ""
    if not found or obx[2] not in _TYPES[found] or not visible(obx[5]) or obx[5].startswith(NULL):
        return ""
    if (obx[11] or None) is not None and table("observation-status").get(obx[11]) not in _STANDING - {None}:
        return ""
    if found in ("start", "end") and times.fhir_datetime(component(obx[5], 1), context.zone) is None:
        return ""
    return found


def add_part(part: str, obx: Segment, body: Fragment, context: Context) -> None:
    """Adds what one such OBX says to the Procedure; times go to `body["times"]` until `settle_period`."""
    if part == "performer":
        said: Fragment = {}
        PERFORMER["OBX"].apply(obx, {"Performer": said}, context)
        function = {"function": said["function"]} if "function" in said else {}
        body["performer"] = body.get("performer", []) + [{**function, "actor": one} for one in said.get("actors", ())]
    elif part == "material":
        MATERIAL["OBX"].apply(obx, {"Procedure": body}, context)
    else:
        said = {}
        TIME_OF["OBX"].apply(obx, {"Time": said}, context)
        known: dict[str, str] = body.setdefault("times", {})
        if known.setdefault(part, said["time"]) != said["time"]:
            keep(obx, 5, context)


def settle_period(body: Fragment, obr: Segment | None, ends: list[Segment], context: Context) -> None:
    """Beginning and end (TM-P1, TM-P2) say when it was done; OBR-7, the day, is residue where it is another day."""
    said: dict[str, str] = body.pop("times", {})
    if "start" in said and "end" in said and reversed_period(said["start"], said["end"]):
        for obx in ends:
            context.issue("warning", "period-reversed", place(obx, 5), "the end lies before the beginning")
            keep(obx, 5, context)
        del said["end"]
    if not said:
        return
    day = body.pop("performedDateTime", "") or body.pop("performedPeriod", {}).get("start", "")
    if obr is not None and day and not any(one.startswith(day[:10]) for one in said.values()):
        keep(obr, 7, context)
    body["performedPeriod"] = {name: said[name] for name in ("start", "end") if name in said}


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def performed_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ZE1-2: RS, something that was done; another word is residue, and reported."""
    if (word := component(raw, 1)) not in ("RS", ""):
        context.issue("warning", "code-unknown", place(segment, 2), "another kind of entry than RS, what was done")
        context.keep(place(segment, 2), word)
    return True


@converter(1)
def performed_control(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ORC-1, by which an examination is withdrawn; a code of no table is residue."""
    if component(raw, 1) not in ("", *table("examination-control")):
        context.issue("warning", "code-unknown", place(segment, 1), "the code is not in the table examination-control")
        context.keep(place(segment, 1), raw)
    return True


def _persons(raw: str, number: int, segment: Segment, context: Context) -> Iterator[Fragment]:
    """The persons of a repeating XCN. Repetitions with one number, or without any after one, name one person in
    several scripts."""
    groups: list[tuple[str, list[str]]] = []
    for repetition in raw.split("~"):
        if not plain(repetition.strip("^& ")):
            continue
        for at, value in xcn_rest(repetition):
            context.keep(place(segment, number, at), value)
        staff = component(repetition, 1)
        if groups and staff == groups[-1][0] and staff:
            groups[-1][1].append(repetition)
        else:
            groups.append((staff, [repetition]))
    for _, repetitions in groups:
        person = practitioner("~".join(repetitions), context)
        if person is not None:
            yield person
        else:
            context.keep(place(segment, number), "~".join(repetitions))


@converter(repeats=True)
def staff_actors(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """OBX-5 of type XCN."""
    return list(_persons(raw, 5, segment, context))


@converter(repeats=True)
def staff(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """ZE1-7 with the kinds of staff in ZE1-6 (`NS-03^EM-01`: kind and employment), in the same order."""
    functions = [_function(part, context) for part in segment[6].split("~")] if segment[6] not in ("", NULL) else []
    found = []
    for at, person in enumerate(_persons(raw, 7, segment, context)):
        function = functions[at] if at < len(functions) else None
        found.append({"function": function, "actor": person} if function else {"actor": person})
    for further in segment[6].split("~")[len(found) :] if found else [segment[6]]:
        if further:
            context.keep(place(segment, 6), further)
    return found


def _function(raw: str, context: Context) -> Fragment | None:
    """Kind and employment are one code of JSHR, as OBX-3 writes it (`NS-03.EM-01`)."""
    words = [word for part in raw.split("^") if (word := plain(part))]
    if not words:
        return None
    code = as_code(".".join(words))
    if not code:
        return {"text": " ".join(words)}
    return {"coding": [{"system": local_system(context.facility.oid, "CodeSystem/JSHR"), "code": code}]}


@converter(repeats=True)
def staff_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ZE1-6 is read with ZE1-7; without a person it is residue."""
    if segment[7] in ("", NULL):
        keep(segment, 6, context)
    return True


@converter(repeats=True)
def materials(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment:
    """ZE1-9 (ZRD) with the kinds in ZE1-8, in the same order."""
    found: Fragment = {}
    sent = segment[8].split("~") if segment[8] not in ("", NULL) else []
    pieces = [piece for piece in raw.split("~") if plain(piece.strip("^& "))]
    kinds = [_kind(kind, segment, context) if _is_kind(kind) else "" for kind in sent[: len(pieces)]]
    for at, piece in enumerate(pieces):
        _add_material(found, piece, kinds[at] if at < len(kinds) else "", 9, segment, context)
    for further in sent[len(pieces) :]:
        if _is_kind(further):
            context.keep(place(segment, 8), further)
    return found


@converter(repeats=True)
def material_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment:
    """ZE1-8: a kind is read with ZE1-9, and residue without it. LENIENT: a material itself may stand here."""
    found: Fragment = {}
    for piece in raw.split("~"):
        if not _is_kind(piece):
            _add_material(found, piece, "", 8, segment, context)
        elif segment[9] in ("", NULL):
            context.keep(place(segment, 8), piece)
    return found


def _is_kind(raw: str) -> bool:
    """Whether a repetition of ZE1-8 is a kind of material (`DE-02^薬品^JSHR`) and not a ZRD of its own."""
    parts = raw.split("^")
    label = plain(parts[2]) if len(parts) > 2 else ""
    return not label or label.startswith("JSHR") or not plain(raw.strip("^& "))


@converter(repeats=True)
def material_used(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment:
    """OBX-5 of type ZRD or CWE; OBX-3 says what kind of thing it is."""
    found: Fragment = {}
    for piece in raw.split("~"):
        if segment[2] == "ZRD":
            _add_material(found, piece, _words_of(segment[3]), 5, segment, context)
        elif concept := concept_of(piece, segment, context, 5):
            found["usedCode"] = [*found.get("usedCode", []), concept]
            for at, value in cwe_rest(piece):
                context.keep(place(segment, 5, at), value)
        elif plain(piece.strip("^& ")):
            context.keep(place(segment, 5), piece)
    keep(segment, 6, context)
    return found


def _words_of(kind: str) -> str:
    """What a kind of material says, for a note: 薬品, with its code where the field itself is not kept."""
    return component(kind, 2) or component(kind, 1)


def _kind(raw: str, segment: Segment, context: Context) -> str:
    """One repetition of ZE1-8: words and code; what else it says is residue."""
    for at, value in _BEYOND_KIND(raw):
        context.keep(place(segment, 8, at), value)
    words, code = component(raw, 2), component(raw, 1)
    return f"{words} ({code})" if words and code else words or code


_BEYOND_KIND = all_but(1, 2, words=((3, frozenset({"JSHR"})),))


def _add_material(found: Fragment, raw: str, kind: str, number: int, segment: Segment, context: Context) -> None:
    """One ZRD: usedCode and, when there is a kind or an amount, the whole in words as a note."""
    parts = raw.split("^") + [""] * 5
    concept = concept_of("^".join(parts[:3]), segment, context, number)
    amount = plain(parts[3])
    unit_code, unit_words, unit_table = ([plain(one) for one in parts[4].split("&")] + ["", "", ""])[:3]
    for at, value in _BEYOND_ZRD(raw):
        context.keep(place(segment, number, at), value)
    for further in parts[4].split("&")[3:]:
        if plain(further):
            context.keep(place(segment, number, 5), further)
    if concept is None:
        context.keep(place(segment, number), raw)
        return
    if plain(parts[2]) and not plain(parts[0]):
        context.keep(place(segment, number, 3), parts[2])
    found["usedCode"] = [*found.get("usedCode", []), concept]
    unit = unit_words or unit_code
    exact = [one for one in (unit_code, unit_table) if one not in ("", unit, *_UNIT_TABLES)]
    amount += unit + (f"({', '.join(exact)})" if exact else "")
    if kind or amount:
        name = component(raw, 2) or component(raw, 1)
        words = f"{kind}: {name}" if kind else name
        found["note"] = [*found.get("note", []), {"text": f"{words} {amount}".rstrip()}]


_BEYOND_ZRD = all_but(1, 2, 3, 4, 5)


@converter(1, 2)
def exposure_amount(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ZE2 (CQ): an amount with its unit, as sent. The unit alone tells what was measured."""
    return " ".join(filter(None, (component(raw, 1), component(raw, 2)))) or None
