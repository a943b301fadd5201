"""Examinations (検査: 放射線, 内視鏡, 生理): what orders (OMG^O19) and reports of performance (OMI^Z23) have in common.

    { ORC {TQ1} OBR [{NTE}] [{OBX [{NTE}]}] [{ZE1 [{OBX [{NTE}]}] [{ZE2}]}] [{IPC}] }

ORC-1 is NW for the order, PA for the same order as head of its parts, CH for a part (JAHIS radiology, section 8).
"""

import re
from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.common import ORDER_NUMBER, reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    Fragment,
    bad_date,
    coded,
    component,
    concept_of,
    cwe_rest,
    plain,
)
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.rules import converter

JLAC10_ANALYTE = "https://musubi.invalid/CodeSystem/JLAC10-analyte"
"""The analyte part of JLAC10 (first five characters), as which examinations are ordered; it has no published system
of its own, and the 17-character system would be wrong for it."""

Result = tuple[Segment, list[Segment]]
"""An OBX with its NTEs."""


@dataclass(slots=True)
class Performed:
    """One ZE1 (実施した手技) with what belongs to it."""

    ze1: Segment
    results: list[Result] = field(default_factory=list)
    exposures: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """One ORC and OBR with what belongs to them."""

    orc: Segment | None = None
    obr: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    performed: list[Performed] = field(default_factory=list)
    studies: list[Segment] = field(default_factory=list)

    @property
    def number(self) -> str:
        """Placer order number, else the filler's."""
        for segment, at in ((self.orc, 2), (self.obr, 2), (self.orc, 3), (self.obr, 3)):
            if segment is not None and (number := component(segment[at], 1)):
                return number
        return ""

    @property
    def numbers(self) -> list[str]:
        """All placer order numbers, which may differ between ORC-2 and OBR-2; without one the filler's."""
        found = [component(segment[2], 1) for segment in (self.orc, self.obr) if segment is not None]
        return list(dict.fromkeys(number for number in found if number)) or [self.number][: bool(self.number)]

    @property
    def code(self) -> str:
        return component(self.obr[4], 1) or component(self.obr[4], 2) if self.obr is not None else ""

    @property
    def parents(self) -> list[str]:
        """Numbers of the orders this one is a part of (ORC-8, OBR-29): the placer's, else the filler's."""
        found = [_parent(segment[at]) for segment, at in ((self.orc, 8), (self.obr, 29)) if segment is not None]
        return [number for number in dict.fromkeys(found) if number and number not in self.numbers]

    @property
    def control(self) -> str:
        return component(self.orc[1], 1) if self.orc is not None else ""


def _parent(raw: str) -> str:
    """EIP: placer and filler number, each an EI in subcomponents."""
    numbers = [plain(part.split("&", 1)[0]) for part in raw.split("~", 1)[0].split("^")[:2]]
    return next((number for number in numbers if number), "")


@dataclass(slots=True)
class Order:
    """One order: its NW and PA together, or a part (CH)."""

    groups: list[Group]

    @property
    def number(self) -> str:
        return self.groups[0].number

    @property
    def numbers(self) -> list[str]:
        return list(dict.fromkeys(number for group in self.groups for number in group.numbers))

    @property
    def code(self) -> str:
        return next((group.code for group in self.groups if group.code), "")

    @property
    def parents(self) -> list[str]:
        return list(dict.fromkeys(number for group in self.groups for number in group.parents))

    @property
    def results(self) -> list[Result]:
        return [result for group in self.groups for result in group.results]

    @property
    def performed(self) -> list[Performed]:
        return [one for group in self.groups for one in group.performed]


def orders(groups: list[Group]) -> list[Order]:
    """NW and PA of one number are one order, as are repetitions of the same examination under one number. Another
    examination under the same number is an order of its own; groups without a number are never joined."""
    found: list[Order] = []
    known: dict[tuple[str, str], Order] = {}
    heads: dict[str, Order] = {}
    for group in groups:
        number, part = group.number, bool(group.parents) or group.control == "CH"
        head = None if part else next((heads[one] for one in group.numbers if one in heads), None)
        order = known.get((number, group.code)) if number else None
        if order is None and head is not None and "PA" in (group.control, *(g.control for g in head.groups)):
            order = head
        if order is None or bool(order.parents) != bool(group.parents):
            order = Order([])
            found.append(order)
        order.groups.append(group)
        known.setdefault((number, group.code), order)
        if not part:
            for one in group.numbers:
                heads.setdefault(one, order)
    return found


def grouped(message: Message) -> tuple[list[Group], list[Segment]]:
    """Segments -> groups, and the segments that belong to none."""
    groups: list[Group] = []
    rest: list[Segment] = []
    named = [segment.name for segment in message.segments if segment.name in ("ORC", "OBR")]
    after = named[:1] == ["OBR"] and named[-1:] == ["ORC"]  # some write each ORC behind its OBR
    group: Group | None = None
    step: Performed | None = None
    notes: list[Segment] | None = None
    for segment in message.segments:
        name = segment.name
        if name in ("MSH", "PID"):
            continue
        if _begins(name, group, after):
            group, step = Group(), None
            groups.append(group)
        if group is None or (name == "ZE2" and step is None):
            rest.append(segment)
            continue
        match name:
            case "ORC" | "OBR":
                setattr(group, name.lower(), segment)
                notes = group.notes
            case "TQ1":
                group.timings.append(segment)
            case "NTE" if notes is not None:
                notes.append(segment)
            case "OBX":
                notes = []
                (step or group).results.append((segment, notes))
            case "ZE1":
                step = Performed(segment)
                group.performed.append(step)
                notes = step.notes
            case "ZE2" if step is not None:
                step.exposures.append(segment)
            case "IPC":
                group.studies.append(segment)
                step, notes = None, group.notes
            case _:
                rest.append(segment)
    return groups, rest


def _begins(name: str, group: Group | None, after: bool) -> bool:
    """Whether a segment begins a group: its own place in the present one is taken, or something follows that place."""
    if name not in ("ORC", "OBR", "OBX", "ZE1", "IPC"):
        return False
    if group is None:
        return True
    filled = bool(group.results or group.performed or group.studies)
    if name == "ORC":
        return not (after and group.orc is None and not filled)
    return name == "OBR" and (group.obr is not None or filled)


def order_reference(number: str) -> Fragment:
    """An order that another message told, or will tell."""
    return {"type": "ServiceRequest", "identifier": {"system": ORDER_NUMBER, "value": number}}


def combine(
    body: Fragment, extra: Fragment, segment: Segment, fields: dict[str, tuple[int, ...]], context: Context
) -> None:
    """Adds what a further segment says of the same resource. What contradicts it is residue of its fields, which
    `fields` names by element (a choice element without its type)."""
    for key, value in extra.items():
        stem = key.removesuffix("DateTime").removesuffix("Period")
        here = body.get(key)
        if here is None and (stem == key or not any(f"{stem}{form}" in body for form in ("DateTime", "Period"))):
            body[key] = value
        elif isinstance(here, list):
            body[key] = here + [one for one in value if one not in here]
        elif here != value:
            for number in fields.get(stem, ()):
                keep(segment, number, context)


def span(element: str, raw: str, segment: Segment, end: int, context: Context) -> Fragment | None:
    """A start field and its end field -> `<element>DateTime`, or `<element>Period` when they differ."""
    begin, last = times.fhir_datetime(component(raw, 1), context.zone), None
    if begin is None:
        bad_date(raw, segment, context)
    if segment[end] not in ("", NULL):
        last = times.fhir_datetime(component(segment[end], 1), context.zone)
        if last is None:
            bad_date(segment[end], segment, context, end)
        elif begin is not None and reversed_period(begin, last):
            context.issue("warning", "period-reversed", place(segment, end), "the end lies before the beginning")
            keep(segment, end, context)
            last = None
        else:
            spare(segment, end, TIME, context)
    if last is None:
        return {f"{element}DateTime": begin} if begin else None
    if begin is None:
        return {f"{element}Period": {"end": last}}
    return {f"{element}DateTime": begin} if begin == last else {f"{element}Period": {"start": begin, "end": last}}


# -- converters -------------------------------------------------------------------------------------------------------

_JJ1017 = re.compile(r"[0-9A-Z]{16}([0-9A-Z]{16})?")
_ANALYTE = re.compile(r"[0-9A-Z]{5}")


@converter(rest=cwe_rest)
def examination_item(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-4, ZE1-3 and OBX-3 of an examination.

    Words in subcomponents (`R 振幅&V5`) are joined by a blank; the code keeps them (`58368&7`), as it is only whole
    that it names the item. JC10 with five characters is the analyte part of JLAC10, with which examinations are
    ordered. JJ1017 has 16 characters, and 32 with the position: both stay whole under the facility's own system.
    """
    raw = raw.split("~", 1)[0]
    parts = raw.split("^")
    for at in (1, 4, 8):
        if len(parts) > at and "&" in parts[at]:
            parts[at] = " ".join(words for words in parts[at].split("&") if plain(words))
    analytes = [at for at in (0, 3) if _is_analyte(parts, at)]
    if analytes:
        return _with_analytes(parts, analytes, context)
    for at in (0, 3):
        if len(parts) > at + 2 and parts[at + 2] == "JJ1017" and parts[at] and not _JJ1017.fullmatch(parts[at]):
            where = place(segment, context.at)
            context.issue("warning", "code-label-mismatch", where, "a JJ1017 code has 16 or 32 characters")
    return concept_of("^".join(parts), segment, context)


def _is_analyte(parts: list[str], at: int) -> bool:
    label = parts[at + 2] if len(parts) > at + 2 else ""
    return label in ("JC10", "JLAC10") and _ANALYTE.fullmatch(parts[at].split("&", 1)[0]) is not None


def _with_analytes(parts: list[str], analytes: list[int], context: Context) -> Fragment | None:
    """The triplets whose code is a JLAC10 analyte become codings of that; a qualifier (`9A100&IMP`) stays in the
    coding of the facility's own beside it."""
    added = []
    for at in analytes:
        analyte, _, qualifier = parts[at].partition("&")
        coding = {"system": JLAC10_ANALYTE, "code": analyte}
        if qualifier:
            added.append(coding)
        else:
            added.append({**coding, "display": words} if (words := plain(parts[at + 1])) else coding)
    concept = coded("^".join(parts), context.facility.oid).concept or {}
    whole = {parts[at] for at in analytes if "&" not in parts[at]}
    others = [coding for coding in concept.get("coding", ()) if coding["code"] not in whole]
    return {**concept, "coding": added + others}


@converter(repeats=True, rest=cwe_rest)
def reasons(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """OBR-31: each reason a concept."""
    found = [concept_of(part, segment, context) for part in raw.split("~") if part and part != NULL]
    return [concept for concept in found if concept]


@converter(1)
def own_number(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """A number that `Group.number` reads. The filler's where a placer's stands too is read by rows."""
    return True


def _parent_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `Group.parents` leaves of an EIP: the filler's number beside the placer's, and authorities."""
    read = _parent(repetition)
    left = list(_BEYOND_EIP(repetition))
    for number, part in enumerate(repetition.split("^")[:2], start=1):
        first, *others = part.split("&")
        if plain(first) != read:
            others.insert(0, first)
        left += ((number, other) for other in others if plain(other))
    return tuple(left)


_BEYOND_EIP = all_but(1, 2)


@converter(rest=_parent_rest)
def parent_number(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ORC-8, OBR-29: read by `Group.parents`."""
    return True
