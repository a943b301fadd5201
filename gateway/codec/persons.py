"""One record of a person as a line of JSON (NDJSON): what the matching is trained on and measured with.

    {"person": 12, "twins": 0, "ids": [["4711", "1.2.392.200119.99999.1"]], "demographics": {"names": [...], ...}}

`person` and `twins` are the truth of invented people; real files leave them out. Members of `demographics` are those of
`model.person.Demographics`; what is empty is left out.
"""

from dataclasses import fields
from typing import Any, NamedTuple

import orjson

from gateway.errors import BadInput
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName

MAX_LINE_BYTES = 65_536
_KNOWN = frozenset(field.name for field in fields(Demographics))


class PersonLine(NamedTuple):
    person: int
    """Which person it is, from 1; 0 when nobody knows."""
    ids: tuple[PatientId, ...]
    demographics: Demographics
    twins: int = 0
    """Number of the multiple birth the person belongs to; 0 for none."""


def render(line: PersonLine) -> bytes:
    """One line, without its end."""
    said: dict[str, Any] = {}
    for field in fields(Demographics):
        value = getattr(line.demographics, field.name)
        if value not in (None, "", ()):
            said[field.name] = (
                [_tuple(one) for one in value] if isinstance(value, tuple) and not _named(value) else _tuple(value)
            )
    return orjson.dumps(
        {
            "person": line.person,
            "twins": line.twins,
            "ids": [(one.value, one.authority) for one in line.ids],
            "demographics": said,
        }
    )


def _named(value: object) -> bool:
    return isinstance(value, PersonName | PersonAddress)


def _tuple(value: Any) -> Any:
    return {key: part for key, part in value._asdict().items() if part} if _named(value) else value


def read(line: bytes) -> PersonLine:
    """Raises BadInput for what is no such line; the text of the line is not repeated."""
    if len(line) > MAX_LINE_BYTES:
        raise BadInput(f"a line of more than {MAX_LINE_BYTES} bytes")
    try:
        values = orjson.loads(line)
        return PersonLine(
            int(values.get("person", 0)),
            tuple(PatientId(str(value), str(authority)) for value, authority in values.get("ids", ())),
            _demographics(values["demographics"]),
            int(values.get("twins", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"no record of a person ({type(error).__name__})") from None


def _demographics(said: dict[str, Any]) -> Demographics:
    if not said.keys() <= _KNOWN:
        raise ValueError("a member that Demographics does not have")
    made: dict[str, Any] = dict(said)
    made["names"] = tuple(PersonName(**one) for one in said.get("names", ()))
    made["addresses"] = tuple(PersonAddress(**one) for one in said.get("addresses", ()))
    made["telecoms"] = tuple(map(str, said.get("telecoms", ())))
    if "mothers_maiden_name" in said:
        made["mothers_maiden_name"] = PersonName(**said["mothers_maiden_name"])
    for name in ("birth_date", "sex"):
        if not isinstance(made.get(name, ""), str):
            raise TypeError(name)
    return Demographics(**made)
