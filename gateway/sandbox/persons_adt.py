"""Records of invented people as the messages a patient identity source sends: ADT^A28 (ITI-30, HL7 v2.5)."""

from collections.abc import Iterable

from gateway.codec.persons import PersonLine
from gateway.model.person import PersonAddress, PersonName
from gateway.sandbox.segments import segment

_REPRESENTATION = {"kanji": "I", "kana": "P", "romaji": "A"}
"""XPN.8, table 0465."""
_TYPE = {"official": "L", "maiden": "M", "old": "B"}
"""XPN.7, table 0200."""
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


def message(line: PersonLine, number: int, made: str) -> str:
    """One message, UTF-8, segments ended by CR. `made`: YYYYMMDDHHMMSS of MSH-7 and EVN-2; `number` makes MSH-10."""
    person = line.demographics
    own = line.ids[0]
    head = f"MSH|^~\\&|SANDBOX|{own.authority}|MUSUBI|MUSUBI|{made}||ADT^A28^ADT_A05|P{number:09d}|P|2.5||||||UNICODE UTF-8"
    pid = segment(
        "PID",
        {
            3: "~".join(f"{_text(one.value)}^^^&{one.authority}&ISO" for one in line.ids),
            5: "~".join(map(_name, person.names)),
            7: person.birth_date,
            8: person.sex,
            11: "~".join(map(_address, person.addresses)),
            13: "~".join(f"^PRN^PH^^^^^^^^^{_text(number)}" for number in person.telecoms),
            24: "Y" if person.multiple_birth else "",
            25: str(person.birth_order or ""),
        },
    )
    return "".join(f"{one}\r" for one in (head, f"EVN||{made}", pid.rstrip("|"), "PV1||N"))


def messages(lines: Iterable[PersonLine], made: str) -> Iterable[str]:
    return (message(line, number, made) for number, line in enumerate(lines, start=1))


def _name(name: PersonName) -> str:
    kind = _REPRESENTATION.get(name.kind, "")
    return f"{_text(name.family or name.text)}^{_text(name.given)}^^^^^{_TYPE.get(name.use, '')}^{kind}"


def _address(address: PersonAddress) -> str:
    return f"^^^^{address.postal_code}^{address.country}^H^{_text(address.text)}"


def _text(value: str) -> str:
    return value.translate(_ESCAPES)
