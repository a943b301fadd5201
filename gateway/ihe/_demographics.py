"""QPD-3 of a demographics query (ITI TF-2: 3.21.4.1.2.2): `@PID.5.1.1^value` repetitions -> PersonQuery. Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from gateway.codec.er7 import unescape
from gateway.model.identity import Authority, PatientId
from gateway.model.person import PersonQuery
from gateway.translate.datatypes import plain
from gateway.translate.person_v2 import BadField, authority_of

MALFORMED: Final = "QPD^1^3"
MAX_PARAMETERS: Final = 50
MAX_VALUE: Final = 1000
"""Characters of one value; nobody's name is longer."""
_PARAMETER = re.compile(r"@([A-Z][A-Z0-9]{2})\.([0-9]{1,2})((?:\.[0-9]{1,2}){0,2})")
_DATE = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}")

TEXT: Final = {
    (6, ""): "mothers_maiden_name",
    (6, "1"): "mothers_maiden_name",
    (6, "1.1"): "mothers_maiden_name",
    (11, ""): "address",
    (11, "1"): "line",
    (11, "1.1"): "line",
    (11, "3"): "city",
    (11, "4"): "state",
    (11, "5"): "postal_code",
    (11, "6"): "country",
    (11, "8"): "address",
    (13, ""): "telecom",
    (13, "1"): "telecom",
    (13, "4"): "telecom",
    (13, "12"): "telecom",
    (14, ""): "telecom",
    (14, "1"): "telecom",
    (14, "12"): "telecom",
}
"""(field, components) of PID -> the attribute of PersonQuery it asks for."""
NAMES: Final = {
    (5, ""): "name",
    (5, "1"): "family",
    (5, "1.1"): "family",
    (5, "2"): "given",
    (5, "3"): "given",
    (9, ""): "name",
    (9, "1"): "family",
    (9, "1.1"): "family",
    (9, "2"): "given",
}
IDS: Final = {
    (3, ""): "whole",
    (3, "1"): "value",
    (3, "4"): "authority",
    (3, "4.1"): "namespace",
    (3, "4.2"): "oid",
    (3, "4.3"): "kind",
}
OTHER_IDS: Final = {18: "account", 21: "mothers_id"}
"""Fields of PID with components as PID-3, that hold numbers beside the patient's own."""


class Parameter(NamedTuple):
    """One repetition of QPD-3."""

    segment: str
    field: int
    components: str
    """`4.1`; empty: the whole field."""
    value: str
    number: int
    """Which repetition, from 1."""


def parameters(raw: str) -> list[Parameter]:
    """Raises BadField (102) for what is no parameter, and (101) for a query that asks nothing."""
    found = []
    for number, repetition in enumerate(raw.split("~"), 1):
        if not repetition.strip("^ "):
            continue
        name, _, value = repetition.partition("^")
        read = _PARAMETER.fullmatch(name.strip())
        if read is None:
            raise BadField("102", MALFORMED, "a parameter is @SEGMENT.FIELD.COMPONENT^value")
        # LENIENT: a value with components (`@PID.5^FAMILY^GIVEN`) is one value; a following comment is not known of.
        found.append(Parameter(read[1], int(read[2]), read[3].removeprefix("."), value.strip(), number))
        if len(found) > MAX_PARAMETERS:
            raise BadField("102", MALFORMED, "the query has more parameters than a person has fields")
    if not found:
        raise BadField("101", MALFORMED, "the query has no parameter")
    return found


def person_query(
    wanted: Iterable[Parameter], find: Callable[[str], Authority | None], domains: Iterable[str]
) -> PersonQuery | None:
    """All parameters together; None when nobody can be found by them. A value of wildcards alone asks for nothing.
    Raises BadField (102) for a parameter that is not supported or a value that cannot be asked for, and for wildcards only. `domains`: OIDs that an id without one is looked for in."""
    values: dict[str, Any] = {}
    names: dict[str, list[str]] = {"name": [], "family": [], "given": []}
    said: dict[int, dict[str, str]] = {3: {}, **{field: {} for field in OTHER_IDS}}
    possible = True
    asked = [one for one in wanted if one.value.strip("*^& ") or "*" not in one.value]
    if not asked:
        raise BadField("102", MALFORMED, "wildcards alone name nobody")
    for one in map(_plain, asked):
        key = (one.field, one.components)
        value = _words(one.value)
        if one.segment != "PID" or not value or len(value) > MAX_VALUE:
            raise _unsupported(one)
        part = IDS.get((3, one.components)) if one.field in said else None
        if part is not None:
            _once(said[one.field], part, one.value if part in ("whole", "authority") else value, one)
        elif key in NAMES:
            names[NAMES[key]].append(value)
        elif one.field == 7 and one.components in ("", "1"):
            _once(values, "birth_date", _birth_date(value, one), one)
        elif one.field == 8 and one.components in ("", "1"):
            _once(values, "sex", value.upper(), one)
        elif key in TEXT:
            _once(values, TEXT[key], value, one)
        else:
            raise _unsupported(one)
    if said[3]:
        ids = _ids(said[3], find, domains)
        possible = possible and bool(ids)
        values["ids"] = ids
    for field, name in OTHER_IDS.items():
        if said[field]:
            values[name] = _other_id(said[field], find)
            possible = possible and bool(values[name])
    values |= {name: tuple(said) for name, said in names.items() if said}
    return PersonQuery(**values) if possible else None


def page(query: PersonQuery, raw: str) -> PersonQuery:
    """RCP-2 `n^RD`: n records in one answer. Raises BadField (102, 103)."""
    number, _, unit = raw.partition("^")
    if not number.strip():
        return query
    if not re.fullmatch(r"[0-9]{1,6}", number.strip()):
        raise BadField("102", "RCP^1^2", "RCP-2 is a number of records")
    if unit.split("^")[0] not in ("", "RD"):
        raise BadField("103", "RCP^1^2^1^2", "records (RD) are the unit that is supported")
    return replace(query, limit=int(number))


def _plain(one: Parameter) -> Parameter:
    """The first component of what has no components is itself: `@PID.5.2.1` is `@PID.5.2` (HL7 v2.5 2.5.3.4)."""
    shorter = one.components.removesuffix(".1")
    known = any((field, one.components) in names for field, names in ((one.field, TEXT), (one.field, NAMES), (3, IDS)))
    return one if known or shorter == one.components else one._replace(components=shorter)


def _words(raw: str) -> str:
    return plain(" ".join(part for part in re.split(r"[\^&]", raw) if part)).strip()


def _unsupported(one: Parameter) -> BadField:
    return BadField("102", f"{MALFORMED}^{one.number}", "this parameter, or its value, is not supported")


def _once(values: dict[str, Any], name: str, value: str, one: Parameter) -> None:
    if values.setdefault(name, value) != value:
        raise _unsupported(one)


def _birth_date(value: str, one: Parameter) -> str:
    """Digits; a shorter one asks for the year or month, with or without the wildcard. A time of day is left out."""
    digits = value.removesuffix("*")
    if not _DATE.fullmatch(digits):
        raise _unsupported(one)
    return digits[:8]


def _other_id(said: dict[str, str], find: Callable[[str], Authority | None]) -> str:
    """An account number or a mother's number, with the OID of its authority where one is asked for; "" when the
    authority is not known here, or no number is asked for: nobody can be found by that."""
    value, hd = _value_and_hd(said)
    if not hd.strip("&") or not value:
        return value
    namespace, oid, _ = [*hd.split("&"), "", ""][:3]
    known = find(oid) if oid else find(namespace)
    oid = known.oid if known is not None else oid
    return str(PatientId(value, oid)) if oid else ""


def _value_and_hd(said: dict[str, str]) -> tuple[str, str]:
    value = said.get("value", "")
    hd = said.get("authority", "") or "&".join(said.get(part, "") for part in ("namespace", "oid", "kind"))
    if "whole" in said:
        # The CX stands escaped in one value (`id\S\\S\\S\&oid&ISO`), or plain, as its components.
        parts = unescape(said["whole"]).split("^")
        value, hd = value or plain(parts[0]), hd if hd.strip("&") else (parts[3] if len(parts) > 3 else "")
    return value, hd


def _ids(
    said: dict[str, str], find: Callable[[str], Authority | None], domains: Iterable[str]
) -> tuple[PatientId, ...]:
    """Any of these; none when the domain is not known here."""
    value, hd = _value_and_hd(said)
    if not hd.strip("&"):
        return tuple(PatientId(value, oid) for oid in domains) if value else ()
    namespace, oid, kind = [*hd.split("&"), "", ""][:3]
    # LENIENT: in a query an OID needs no `ISO` beside it.
    authority = authority_of("&".join((namespace, oid, kind or ("ISO" if oid else ""))), find)
    return (PatientId(value, authority.oid),) if authority is not None else ()
