"""The ledger of a translation: is every value of a message mapped, left out on purpose, or residue?

Two ways to look: `unaccounted` asks the lineage field by field; `Spot.put` writes a marker into one place of a message,
and `shows` looks for it in everything that came out, which also finds what lineage claims and nobody carries.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gateway.codec import fhir
from gateway.codec.er7 import Message
from gateway.translate.converted import Converted
from gateway.translate.leavings import NULL

MARKERS = {
    "ZQXMARK": ("ZQXMARK",),
    "73519264": ("73519264",),
    "20311119101112": ("2031-11-19T10:11:12", "20311119101112"),
    "20311119": ("2031-11-19", "20311119"),
}
"""Marker -> the forms it may come out in: letters, a number, a time, a day."""


def render(lines: list[list[str]]) -> bytes:
    """Fields of each segment -> bytes in UTF-8, as which every marker can be written."""
    rows = ([line[0], *line[2:]] if line[0] == "MSH" else line for line in lines)
    return "".join("|".join(row) + "\r" for row in rows).encode()


class Spot(NamedTuple):
    """One place of a message, counted from 0 but for the field."""

    line: int
    field: int
    repetition: int
    component: int
    subcomponent: int

    def put(self, message: Message, text: str) -> bytes:
        """The message with `text` there instead of what stands there; missing neighbours are added empty."""
        lines = [list(segment.fields) for segment in message.segments]
        fields = lines[self.line]
        fields += [""] * (self.field + 1 - len(fields))
        parts = [
            [component.split("&") for component in repetition.split("^")]
            for repetition in fields[self.field].split("~")
        ]
        parts += [[[""]] for _ in range(self.repetition + 1 - len(parts))]
        components = parts[self.repetition]
        components += [[""] for _ in range(self.component + 1 - len(components))]
        inner = components[self.component]
        inner += [""] * (self.subcomponent + 1 - len(inner))
        inner[self.subcomponent] = text
        fields[self.field] = "~".join("^".join("&".join(one) for one in repetition) for repetition in parts)
        return render(lines)

    def place(self, message: Message) -> str:
        segment = message.segments[self.line]
        return f"{segment.name}[{segment.ordinal}]-{self.field}"


def spots(message: Message) -> Iterator[Spot]:
    """Every place that is there, and one more field, repetition, component and subcomponent beside each."""
    for line, segment in enumerate(message.segments):
        for field in range(3 if segment.name == "MSH" else 1, len(segment.fields) + 1):
            repetitions = segment[field].split("~")
            for repetition in range(len(repetitions) + 1):
                inside = repetitions[repetition] if repetition < len(repetitions) else ""
                components = inside.split("^")
                for component in range(len(components) + 1):
                    inner = components[component] if component < len(components) else ""
                    for subcomponent in range(inner.count("&") + 2):
                        yield Spot(line, field, repetition, component, subcomponent)


def shows(converted: Converted, place: str, component: int, forms: tuple[str, ...]) -> bool:
    """Whether a value sent at `place` is in the output or the residue, or is left out there on purpose. A message
    that is rejected as a whole keeps everything, as it is."""
    if converted.error is not None:
        return True
    left_out = {entry.where for entry in converted.translated.unmapped}
    if place in left_out or f"{place}.{component}" in left_out:
        return True
    if any(form in value for _, value in converted.translated.residue for form in forms):
        return True
    text = fhir.render({"resourceType": "Everything", "all": list(converted.resources)}).decode()
    return any(form in text for form in forms)


def unaccounted(message: Message, converted: Converted) -> list[str]:
    """Places of valued fields that are neither mapped (in the lineage) nor left out on purpose nor residue, as a whole
    or component by component."""
    known = {entry.source for entry in converted.translated.lineage}
    known |= {entry.where for entry in converted.translated.unmapped}
    known |= {entry.where for entry in converted.translated.residue}
    return [
        where
        for segment in message.segments
        if not segment.foreign
        for number, raw in enumerate(segment.fields)
        if number and (where := f"{segment.name}[{segment.ordinal}]-{number}") not in known
        if any(f"{where}.{component}" not in known for component in _valued(raw))
    ]


def _valued(raw: str) -> set[int]:
    """Numbers of the components that hold something in some repetition."""
    return {
        number
        for repetition in raw.split("~")
        for number, component in enumerate(repetition.split("^"), start=1)
        if component != NULL and component.strip("& ")
    }
