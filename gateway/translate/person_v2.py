"""Persons in HL7 v2: PID and MRG -> Demographics and PersonFeed, and back (HL7 v2.5 3.4.2, 3.4.9, 2.A.14 CX, 2.A.88 XPN).

What PIX and PDQ have in common on this wire: ids with their authorities, names in three scripts, PID segments. Pure.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from gateway.codec.er7 import Segment, escape
from gateway.errors import BadInput
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, NameKind, PersonAddress, PersonName
from gateway.translate import times
from gateway.translate.datatypes import component, plain
from gateway.translate.leavings import NULL
from gateway.translate.names import REPRESENTATION, address_of, contact_point, human_name

Find = Callable[[str], Authority | None]
"""An authority by OID, namespace or alias."""

_KINDS: Final[dict[str, NameKind]] = {"IDE": "kanji", "SYL": "kana", "ABC": "romaji"}
_REPRESENTATIONS: Final = {"kanji": "I", "kana": "P", "romaji": "A", "": ""}
_NAME_TYPES: Final = {
    "official": "L",
    "usual": "D",
    "maiden": "M",
    "nickname": "N",
    "old": "B",
    "temp": "T",
    "anonymous": "S",
}
"""FHIR name-use -> table 0200."""
_ADDRESS_TYPES: Final = {"home": "H", "work": "B", "temp": "C"}
_SEXES: Final = frozenset("MFOUAN")


class BadField(BadInput):
    """A field that a person cannot be known by. `place` as in ERR-2: `PID^1^3^1^4`."""

    def __init__(self, code: str, place: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        """HL7 v2.5 table 0357."""
        self.place = place


class Cx(NamedTuple):
    """One repetition of CX."""

    value: str
    hd: str
    """Assigning authority (CX.4) as sent."""
    number: int
    """Which repetition, from 1."""
    check: str = ""
    scheme: str = ""
    """CX.2 and CX.3: check digit and its scheme."""

    @property
    def checked(self) -> bool:
        """False for a number whose check digit is another. Schemes M10 and M11 (HL7 v2.5 table 0061, 2.A.14.3); what
        we cannot work out is taken as right."""
        digits = self.value.isascii() and self.value.isdigit() and len(self.value) <= _LONGEST
        if self.scheme not in _SCHEMES or not digits or not self.check:
            return True
        return self.check == _SCHEMES[self.scheme](self.value)


def _mod_10(digits: str) -> str:
    """The odd places from the right, times 2, behind the even places: digits summed up to the next ten."""
    backwards = digits[::-1]
    doubled = str(int(backwards[::2][::-1]) * 2)
    return str(-sum(map(int, backwards[1::2] + doubled)) % 10)


def _mod_11(digits: str) -> str:
    """Weights 2 to 7 from the right; 10 has no digit and stands as 0, as 11 does."""
    total = sum(int(digit) * (2 + at % 6) for at, digit in enumerate(reversed(digits)))
    return str((11 - total % 11) % 11 % 10)


_LONGEST: Final = 64
"""Digits of a number with a check digit."""
_SCHEMES: Final = {"M10": _mod_10, "M11": _mod_11}


# -- ids ---------------------------------------------------------------------------------------------------------------


def cx_of(raw: str) -> list[Cx]:
    """The repetitions of a CX field that hold a value or an authority."""
    found = []
    for number, repetition in enumerate(raw.split("~"), 1):
        parts = repetition.split("^")
        value, hd = plain(parts[0]), parts[3] if len(parts) > 3 and parts[3] != NULL else ""
        if value or hd.strip("&"):
            check, scheme = (parts[1], parts[2]) if len(parts) > 2 else ("", "")
            found.append(Cx(value, hd, number, plain(check), plain(scheme)))
    return found


def authority_of(hd: str, find: Find) -> Authority | None:
    """The authority of an HD (namespace&oid&ISO). None for one that nobody knows, whose halves disagree, or whose OID
    is not said to be one."""
    namespace, oid, kind = ([plain(part) for part in hd.split("&")] + ["", "", ""])[:3]
    by_name = find(namespace) if namespace else None
    if not oid:
        return by_name
    found = find(oid) if kind == "ISO" else None
    return None if found is not None and by_name is not None and by_name.oid != found.oid else found


def patient_id(cx: Cx, place: str, find: Find) -> PatientId:
    """The id of one repetition. `place`: of its field, `PID^1^3`. Raises BadField: 101 without a number, 204 without an
    authority that is known here."""
    where = f"{place}^{cx.number}"
    if not cx.value:
        raise BadField("101", f"{where}^1", "the id has no number")
    authority = authority_of(cx.hd, find) if cx.hd.strip("&") else None
    if authority is None:
        raise BadField("204", f"{where}^4", "the assigning authority of the patient number is not known here")
    if not cx.checked:
        raise BadField("102", f"{where}^2", "the check digit is not that of the number")
    return PatientId(cx.value, authority.oid)


def patient_ids(raw: str, place: str, find: Find) -> tuple[PatientId, ...]:
    """All ids of a field, each with an authority that is known. Raises BadField."""
    found = cx_of(raw)
    if not found:
        raise BadField("101", place, "the patient number is missing")
    return tuple(dict.fromkeys(patient_id(one, place, find) for one in found))


def cx(id_: PatientId, find: Find) -> str:
    """`id^^^namespace&oid&ISO`: of a pair of namespace and OID always both, whichever half was asked with."""
    return f"{escape(id_.value)}^^^{hd(id_.authority, find)}"


def hd(oid: str, find: Find) -> str:
    known = find(oid)
    return f"{escape(known.namespace) if known else ''}&{oid}&ISO"


# -- demographics ------------------------------------------------------------------------------------------------------


def demographics(pid: Segment) -> Demographics:
    """What a PID says about its person. Values that cannot be read are left out; translation keeps them as residue."""
    repetitions = [*pid[5].split("~"), *pid[9].split("~")]
    born = component(pid[7], 1)
    sex = component(pid[8], 1).upper()
    telecoms = [point["value"] for n in (13, 14) for part in pid[n].split("~") if (point := _point(part))]
    order = component(pid[25], 1)
    return Demographics(
        names=tuple(dict.fromkeys(name for part in repetitions if (name := name_of(part)))),
        birth_date=_birth_date(born),
        sex=sex if sex in _SEXES else "",
        addresses=tuple(address for part in pid[11].split("~") if (address := _address(part))),
        telecoms=tuple(dict.fromkeys(telecoms)),
        mothers_maiden_name=next((name for part in pid[6].split("~") if (name := name_of(part))), None),
        birth_order=int(order) if re.fullmatch(r"[1-9][0-9]?", order) else None,
        multiple_birth={"Y": True, "N": False}.get(component(pid[24], 1)),
        deceased=True if component(pid[29], 1) else {"Y": True, "N": False}.get(component(pid[30], 1)),
        accounts=_numbers(pid[18]),
        mothers_ids=_numbers(pid[21]),
    )


def _numbers(raw: str) -> tuple[str, ...]:
    """Numbers of a CX field as they stand, with the OID where one is given."""
    found = []
    for one in cx_of(raw):
        parts = one.hd.split("&")
        oid = plain(parts[1]) if len(parts) == 3 and parts[2] == "ISO" else ""
        found += [str(PatientId(one.value, oid)) if oid else one.value] if one.value else []
    return tuple(dict.fromkeys(found))


def _cx_again(number: str) -> str:
    """`value`, or `value^^^&OID&ISO`, as a field."""
    value, _, authority = number.partition("^^^&")
    return escape(value) + (f"^^^&{authority}" if authority else "")


def name_of(raw: str) -> PersonName | None:
    """One repetition of XPN."""
    found = human_name(raw) if raw and raw != NULL else None
    if found is None:
        return None
    codes = [one["valueCode"] for one in found.get("extension", ()) if one["url"] == REPRESENTATION]
    return PersonName(
        family=found.get("family", ""),
        given=" ".join(found.get("given", ())),
        text=found["text"],
        kind=_KINDS.get(codes[0], "") if codes else "",
        use=found.get("use", "official"),
    )


def _birth_date(raw: str) -> str:
    """YYYY, YYYYMM or YYYYMMDD; "" when it is no date."""
    digits = raw[:8]
    return (times.fhir_date(digits) or "").replace("-", "")


def _address(raw: str) -> PersonAddress | None:
    found = address_of(raw) if raw != NULL else None
    if found is None:
        return None
    return PersonAddress(
        postal_code=found.get("postalCode", ""),
        state=found.get("state", ""),
        city=found.get("city", ""),
        line=" ".join(found.get("line", ())),
        text=found.get("text", ""),
        country=found.get("country", ""),
        use=found.get("use", ""),
    )


def _point(raw: str) -> dict[str, str] | None:
    return contact_point(raw) if raw != NULL else None


# -- PID for answers ---------------------------------------------------------------------------------------------------


def pid(ids: Sequence[PatientId], known: Demographics, find: Find) -> str:
    """A PID of everything we know, without its line end."""
    fields = [""] * 31
    fields[0] = "PID"
    fields[3] = "~".join(cx(id_, find) for id_ in ids)
    fields[5] = "~".join(xpn(name) for name in known.names)
    fields[6] = xpn(known.mothers_maiden_name._replace(use="")) if known.mothers_maiden_name else ""
    fields[7] = known.birth_date
    fields[8] = known.sex
    fields[11] = "~".join(map(_xad, known.addresses))
    fields[13] = "~".join(map(_xtn, known.telecoms))
    fields[18] = "~".join(map(_cx_again, known.accounts))
    fields[21] = "~".join(map(_cx_again, known.mothers_ids))
    fields[24] = _yes_no(known.multiple_birth)
    fields[25] = str(known.birth_order or "")
    fields[30] = _yes_no(known.deceased)
    return "|".join(fields).rstrip("|")


def nameless_pid(ids: Iterable[PatientId], find: Find) -> str:
    """PID of PIX answers and notifications: ids, and a name that says it is none (ITI TF-2: 3.9.4.2.2.6, 3.10.4.1.2.4)."""
    return f"PID|||{'~'.join(cx(id_, find) for id_ in ids)}||~^^^^^^S"


def xpn(name: PersonName) -> str:
    family, given = (name.family, name.given) if name.family or name.given else (name.text, "")
    kind = _REPRESENTATIONS[name.kind]
    parts = [escape(family), escape(given), "", "", "", "", _NAME_TYPES.get(name.use, ""), kind]
    return "^".join(parts).rstrip("^")


def _xad(address: PersonAddress) -> str:
    parts = [address.line, "", address.city, address.state, address.postal_code, address.country]
    # A whole address in one string stands in XAD.8, where SS-MIX2 looks for it; parts are not said twice.
    whole = "" if any(parts[:4]) else address.text
    return "^".join([*map(escape, parts), _ADDRESS_TYPES.get(address.use, ""), escape(whole)]).rstrip("^")


def _xtn(number: str) -> str:
    """XTN.12 is the place of SS-MIX2, XTN.1 that of everybody else; XTN.4 that of mail."""
    if "://" in number:
        return escape(number)  # a web page is no telephone, and table 0202 has no code for it
    if "@" in number:
        return f"^NET^Internet^{escape(number)}"
    return f"{escape(number)}^^PH^^^^^^^^^{escape(number)}"


def _yes_no(value: bool | None) -> str:
    return {True: "Y", False: "N", None: ""}[value]
