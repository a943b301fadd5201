"""What reading a field leaves: residue (valued, and no rule reads it) or deliberately unmapped with a reason.

Down to the component and the repetition: a reader says with a `Rest` what it does not read of a field, and the rest is
kept with its place and counted. Nothing of a message vanishes.
"""

from collections.abc import Callable
from functools import cache, lru_cache

from gateway.codec.er7 import Segment
from gateway.model.outcome import Residue, Unmapped
from gateway.translate.context import Context

NULL = '""'
"""HL7 v2.5 2.5.3: an explicit null. A whole-message snapshot simply has no such element."""


Rest = Callable[[str], tuple[tuple[int, str], ...]]
"""One repetition of a field -> the (component, value) pairs that its reading leaves unread. Pure, and cached by raw."""


REASONS: dict[tuple[str, int, int], str] = {}
"""(segment, field, component) that rows leave out on purpose -> why. One meaning in all message structures."""


@cache
def all_but(*components: int, words: tuple[tuple[int, frozenset[str]], ...] = ()) -> Rest:
    """The rest of a reader of these components; of a component in `words` only these words are read."""
    known = dict(words)

    def rest(repetition: str) -> tuple[tuple[int, str], ...]:
        return tuple(
            (number, value)
            for number, value in enumerate(repetition.split("^"), start=1)
            if value and value != NULL and number not in components and value not in known.get(number, ())
        )

    return rest


def residue_of(segment: Segment, context: Context) -> None:
    """A whole segment no rule reads: every valued field is residue. A line that is no segment has its text in field 0
    too, and its place must not repeat that text, which may be about the patient."""
    if segment.foreign:
        context.residue.append(Residue(f"segment {segment.line + 1}", "|".join(segment.fields)))
        return
    for number, raw in enumerate(segment.fields):
        if raw and number:
            leave_field(raw, number, segment, context)


def place(segment: Segment, field: int, component: int = 0) -> str:
    """`OBX[3]-5` or `OBX[3]-5.1`."""
    return f"{segment.name}[{segment.ordinal}]-{field}" + (f".{component}" if component else "")


def leave_field(raw: str, number: int, segment: Segment, context: Context) -> None:
    if raw != NULL and raw.strip("^~& "):
        context.residue.append(Residue(place(segment, number), raw))


@lru_cache(maxsize=4096)
def extra(raw: str, rest: Rest | None, repeats: bool) -> tuple[tuple[int, str], ...]:
    """What the converters of a field do not read: (component, value) of single components, (0, value) of a whole
    repetition."""
    first, *others = raw.split("~")
    found = [] if repeats else [(0, other) for other in others if other != NULL and other.strip("^& ")]
    if rest is not None:
        for repetition in (first, *others) if repeats else (first,):
            if repetition != NULL:
                found += (pair for pair in rest(repetition) if pair[1].strip("& "))
    return tuple(found)


def left(value: str, number: int, component: int, segment: Segment, context: Context) -> None:
    reason = REASONS.get((segment.name, number, component))
    if reason is None:
        context.residue.append(Residue(place(segment, number, component), value))
    elif context.lineage is not None:
        context.unmapped.append(Unmapped(place(segment, number, component), reason))


def spare(segment: Segment, number: int, rest: Rest, context: Context, repeats: bool = False) -> None:
    """Accounts for a field that a converter read beside its own: what `rest` leaves of it is residue."""
    raw = segment[number]
    if raw != NULL and ("^" in raw or "~" in raw or "&" in raw):
        for component, value in extra(raw, rest, repeats):
            left(value, number, component, segment, context)


def left_over(segment: str, number: int, raw: str, rest: Rest) -> bool:
    """Whether reading a field with `rest` leaves anything that is residue."""
    spared = extra(raw, rest, False) if "^" in raw or "~" in raw or "&" in raw else ()
    return any((segment, number, component) not in REASONS for component, _ in spared)


def keep(segment: Segment, number: int, context: Context) -> None:
    """A whole field that could not be used: residue, when it holds anything."""
    leave_field(segment[number], number, segment, context)
