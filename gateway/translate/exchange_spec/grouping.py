"""The groups of a person (健康情報, 検査情報): an object, or an array of objects (2.1).

The shape says nothing about the person, but a file has to come back as it was (section 9). So the Provenance of a file
whose groups are arrays says which records stood in which object; when files of one person are joined, objects of the
same place in the array are joined too, and what came in an object goes to the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.translate.exchange_spec.envelope import Person
from gateway.translate.exchange_spec.items import GROUPS, record_types

Fragment = dict[str, Any]

Shapes = Mapping[str, Sequence[Fragment]]
"""Group that came as an array -> its objects: `from`, `to` (numbers of Observations among the targets of the
Provenance), `empty` (arrays that came with nothing in them)."""


def shapes(person: Person, places: Iterable[str]) -> dict[str, list[Fragment]]:
    """The groups of a person that came as arrays. `places`: for each Observation in order the pointer of its record."""
    made = {group: [{"from": 0, "to": 0, **({"empty": names} if names else {})} for names in pieces]
            for group, pieces in person.arrays.items()}  # fmt: skip
    for number, place in enumerate(places):
        group, piece, *_ = place.removeprefix(f"{person.where}/").split("/")
        if group in made:
            here = made[group][int(piece)]
            here["from"] = here["from"] if here["to"] else number
            here["to"] = number + 1
    return made


def piece_of(shape: Shapes, group: str, number: int) -> int:
    """Which object of a group's array the Observation of that number came from; 0 when the group was no array."""
    return next((n for n, one in enumerate(shape.get(group, ())) if one["from"] <= number < one["to"]), 0)


class Groups:
    """The groups of one person on their way back."""

    def __init__(self, told: Iterable[Shapes]) -> None:
        self._pieces: dict[str, list[Fragment]] = {}
        self._arrays: set[str] = set()
        for shape in told:
            for group, pieces in shape.items():
                self._arrays.add(group)
                for n, one in enumerate(pieces):
                    for name in one.get("empty", ()):
                        self._at(group, n).setdefault(name, [])
                self._at(group, len(pieces) - 1)

    def add(self, type_name: str, piece: int, record: Fragment) -> None:
        type_ = record_types()[type_name]
        self._at(type_.group, piece).setdefault(type_.array, []).append(record)

    def empty(self, pointer: str) -> None:
        """A group, or an array in one (`group/array`), that came with nothing in it."""
        group, _, array = pointer.partition("/")
        content = self._at(group, 0)
        if array:
            content.setdefault(array, [])

    def put_back(self, person: Fragment, unknown: Fragment) -> None:
        """What the convention does not know, to where it stood in the file it came in."""
        for pointer, content in unknown.items():
            group, *steps = steps_of(pointer)
            if not steps:
                put(person, group, content)
            else:
                put(self._at(group, int(steps[0]) if len(steps) > 1 else 0), steps[-1], content)

    def written(self) -> Fragment:
        """The groups as they came: arrays where any file had them so."""
        return {
            group: [_in_order(group, one) for one in self._pieces[group]]
            if group in self._arrays
            else _in_order(group, self._pieces[group][0])
            for group in GROUPS
            if group in self._pieces
        }

    def _at(self, group: str, piece: int) -> Fragment:
        pieces = self._pieces.setdefault(group, [])
        pieces += [{} for _ in range(piece + 1 - len(pieces))]
        return pieces[piece] if piece >= 0 else {}


def _in_order(group: str, piece: Fragment) -> Fragment:
    """The arrays of the convention in its order, then what it does not know."""
    known = [one.array for one in record_types().values() if one.group == group and one.array in piece]
    return {name: piece[name] for name in dict.fromkeys([*known, *piece])}


def steps_of(pointer: str) -> tuple[str, ...]:
    """RFC 6901."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def put(target: Fragment, name: str, content: Any) -> None:
    """Content of a file that has no item for it. What another file said there: lists are joined, else the newer stands."""
    known = target.get(name)
    if isinstance(content, list) and isinstance(known, list):
        content = [*known, *(one for one in content if one not in known)]
    target[name] = content
