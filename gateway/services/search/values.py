"""One search parameter with its modifier and value -> one clause of the plan (FHIR R4 3.1.1.4, 3.1.1.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gateway.errors import BadInput, InvalidParameter, LimitExceeded
from gateway.model.identity import Authority
from gateway.model.resource import (
    Clause,
    DateClause,
    PatientIdentifierClause,
    ReferenceClause,
    StringClause,
    TokenClause,
)
from gateway.services.search.index import phone_digits
from gateway.services.search.parameters import TYPES, Parameter
from gateway.services.search.text import fold
from gateway.translate import dialect
from gateway.translate.times import utc_range

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_MODIFIERS: dict[str, tuple[str, ...]] = {
    "token": ("not", "missing"),
    "code": ("not", "missing"),
    "string": ("exact", "contains"),
    "date": (),
    "reference": ("identifier", *TYPES),
    "uri": (),
}


@dataclass(frozen=True, slots=True)
class SearchRules:
    """What reading a query needs to know besides the query."""

    base: str = ""
    """Absolute URL of the FHIR base of this node: a reference may be written with it."""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """A system -> all its names, itself included (`system_aliases`)."""
    affinity_domain: str = ""
    """OID of the enterprise patient ids, by which patient.identifier may name a person too."""
    max_parameters: int = 50
    max_values: int = 100
    """Values of one parameter joined by commas. Each is a branch of an OR in the database."""
    max_value_characters: int = 2048
    default_count: int = 50
    max_count: int = 1000
    """`_count` above it is lowered to it (R4 3.1.1.5.4 lets a server return fewer)."""


def system_aliases(authorities: tuple[Authority, ...] = ()) -> dict[str, tuple[str, ...]]:
    """All names of each system: the NamingSystems of JP Core, and each authority's OID beside its patient-number system."""
    pairs = list(dialect.pairs())
    pairs += [(f"urn:oid:{one.oid}", one.patient_system) for one in authorities]
    groups: dict[str, set[str]] = {}
    for left, right in pairs:
        merged = groups.get(left, {left}) | groups.get(right, {right})
        for name in merged:
            groups[name] = merged
    return {name: tuple(sorted(names)) for name, names in groups.items() if len(names) > 1}


def clause(parameter: Parameter, modifier: str, value: str, rules: SearchRules) -> Clause:
    """`value` is what stands after the `=`, decoded from the URL once, escapes still in it."""
    if modifier and modifier not in _MODIFIERS[parameter.kind]:
        known = ", ".join(f":{name}" for name in _MODIFIERS[parameter.kind][:2]) or "none"
        raise InvalidParameter(f"{parameter.name}: this modifier is not supported here (supported: {known})")
    if modifier == "missing":
        return _missing(parameter, value)
    values = _alternatives(parameter.name, value, rules)
    if parameter.kind == "reference":
        return _reference(parameter, modifier, values, rules)
    if parameter.kind in ("token", "code"):
        return _token(parameter, values, modifier == "not", rules)
    if parameter.kind == "date":
        return date_clause(parameter.name, "date" if parameter.main_date else "@" + parameter.name, values)
    return _string(parameter, modifier, values)


def patient_identifier(name: str, value: str, rules: SearchRules) -> PatientIdentifierClause:
    """`system|value`, as it stands after `patient.identifier=` and `patient:identifier=`."""
    wanted: list[tuple[str, str]] = []
    for text in _alternatives(name, value, rules):
        parts = [_unescape(part) for part in split(text, "|")]
        if len(parts) != 2 or not all(parts):
            raise InvalidParameter(f"{name}: write system|value, both parts")
        if rules.affinity_domain and parts[0] == f"urn:oid:{rules.affinity_domain}":
            wanted.append(("", parts[1]))
        else:
            wanted += [(system, parts[1]) for system in rules.aliases.get(parts[0], (parts[0],))]
    return PatientIdentifierClause(tuple(wanted))


def date_clause(name: str, column: str, values: list[str]) -> DateClause:
    """LENIENT: a time without zone counts in Japan (+09:00), as the sources' times do."""
    read = []
    for text in values:
        found = _PREFIXED.fullmatch(_unescape(text).strip())
        prefix, date = (found[1] or "eq", found[2]) if found else ("eq", "")
        try:
            # A `+` of a zone that was not percent-encoded arrives as a blank.
            start, end = utc_range(re.sub(r" (\d\d:\d\d)$", r"+\1", date))
        except BadInput:
            raise InvalidParameter(f"{name}: a value is not a FHIR date or time") from None
        read.append((prefix, *(_widened(start, end) if prefix == "ap" else (start, end))))
    return DateClause(column, tuple(read))


def _widened(start: str, end: str) -> tuple[str, str]:
    """`ap` (approximately): the written period, and as much again on either side."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    try:
        wide = (first - (last - first), last + (last - first))
    except OverflowError:
        return start, end
    return _instant(wide[0]), _instant(wide[1])


def _instant(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def split(text: str, separator: str) -> list[str]:
    r"""Splits at `separator` where no backslash escapes it; escapes stay in the parts (R4 3.1.1.4.4.1: \, \| \$ \\)."""
    parts, begin, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == separator:
            parts.append(text[begin:at])
            at += 1
            begin = at
        else:
            at += 1
    parts.append(text[begin:])
    return parts


def _unescape(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text


def _alternatives(name: str, value: str, rules: SearchRules) -> list[str]:
    if len(value) > rules.max_value_characters * rules.max_values:
        raise LimitExceeded(f"{name}: the value is too long")
    values = split(value, ",")
    if len(values) > rules.max_values:
        raise InvalidParameter(f"{name}: more than {rules.max_values} values")
    for text in values:
        if not text.strip():
            # An empty value is not "everything": the client lost what it wanted to ask for.
            raise InvalidParameter(f"{name}: an empty value")
        if len(text) > rules.max_value_characters or "\0" in text:
            raise InvalidParameter(
                f"{name}: a value is longer than {rules.max_value_characters} characters or holds NUL"
            )
    return values


def _missing(parameter: Parameter, value: str) -> TokenClause:
    if value not in ("true", "false"):
        raise InvalidParameter(f"{parameter.name}:missing is true or false")
    return TokenClause(parameter.name, ((None, None),), negated=value == "true")


def _token(parameter: Parameter, values: list[str], negated: bool, rules: SearchRules) -> TokenClause:
    if parameter.name == "telecom" and (phones := _phones(values)):
        return TokenClause("phone", phones, negated)
    wanted: list[tuple[str | None, str | None]] = []
    for text in values:
        parts = [_unescape(part) for part in split(text, "|")]
        if len(parts) > 2 or not any(parts):
            raise InvalidParameter(f"{parameter.name}: write code, system|code, |code or system|")
        system = parts[0] if len(parts) == 2 else None
        code: str | None = parts[-1] or None
        if parameter.path[-1].filter == "phone":
            digits = phone_digits(parts[-1])
            wanted += [(None, one) for one in _dialled(digits)] if digits else [(None, None)]
        elif parameter.kind == "code":
            if not system or system == parameter.system:
                wanted.append((None, code))
        elif system:
            wanted += [(name, code) for name in rules.aliases.get(system, (system,))]
        else:
            wanted.append((system, code))
    if parameter.name == "active" and [code for _, code in wanted] == ["true"]:
        # R4 Patient.active: who says nothing is active, as in PDQ over HL7 v2 and v3.
        return TokenClause(parameter.name, ((None, "false"),), not negated)
    if (None, None) in wanted and parameter.path[-1].filter == "phone":
        raise InvalidParameter(f"{parameter.name}: a value without digits")
    return TokenClause(parameter.name, tuple(wanted), negated)


_NUMBER = re.compile(r"[0-9+() .-]{5,}", re.ASCII)


def _phones(values: list[str]) -> tuple[tuple[str | None, str | None], ...]:
    """Of `telecom`, when all values are telephone numbers: they are compared by their digits, as `phone` and matching do;
    () otherwise, and the values are compared as they were written."""
    wanted: list[tuple[str | None, str | None]] = []
    for text in values:
        *system, number = (_unescape(part) for part in split(text, "|"))
        if system not in ([], ["phone"]) or not _NUMBER.fullmatch(fold(number)):
            return ()
        wanted += [(None, one) for one in _dialled(phone_digits(number))]
    return tuple(wanted)


def _dialled(digits: str) -> list[str]:
    """The same number from inside and outside of Japan."""
    if digits.startswith("+81"):
        return [digits, "0" + digits[3:].lstrip("0"), "+810" + digits[3:].lstrip("0")]
    return [digits, "+81" + digits[1:], "+810" + digits[1:]] if digits.startswith("0") else [digits]


def _string(parameter: Parameter, modifier: str, values: list[str]) -> StringClause:
    texts = [_unescape(text) for text in values]
    if parameter.kind == "uri" or modifier == "exact":
        return StringClause(parameter.name, tuple(texts), "exact")
    match: Literal["starts", "contains"] = "contains" if modifier == "contains" else "starts"
    folded = [fold(text) for text in texts]
    if parameter.name == "address-postalcode":
        folded = [written for text in folded for written in _postal_codes(text)]
    return StringClause(parameter.name, tuple(folded), match)


def _postal_codes(text: str) -> list[str]:
    """A Japanese postal code (or its beginning) with and without its hyphen: both are written."""
    digits = text.replace("-", "")
    if len(digits) <= 3 or not digits.isdigit():
        return [text]
    return [digits, f"{digits[:3]}-{digits[3:]}"]


def _reference(parameter: Parameter, modifier: str, values: list[str], rules: SearchRules) -> Clause:
    if modifier == "identifier":
        return TokenClause(f"{parameter.name}:identifier", _token(parameter, values, False, rules).values)
    wanted: list[str] = []
    for text in values:
        wanted += _targets(parameter, modifier, _unescape(text), rules)
    if parameter.is_patient:
        return ReferenceClause("patient", tuple(one[8:] for one in wanted if one.startswith("Patient/")))
    return ReferenceClause(parameter.name, tuple(wanted))


def _targets(parameter: Parameter, modifier: str, text: str, rules: SearchRules) -> list[str]:
    """`id`, `Type/id`, `Type/id/_history/1` or an absolute URL -> the `Type/id` it may be stored as."""
    if rules.base and text.startswith(rules.base.rstrip("/") + "/"):
        text = text[len(rules.base.rstrip("/")) + 1 :]
    if "://" in text or text.startswith("urn:"):
        return [text]
    parts = text.split("/")
    if len(parts) == 4 and parts[2] == "_history":
        parts = parts[:2]
    if len(parts) > 2 or not FHIR_ID.fullmatch(parts[-1]):
        raise InvalidParameter(f"{parameter.name}: write id, Type/id or an absolute URL")
    if len(parts) == 2:
        return ["/".join(parts)] if modifier in ("", parts[0]) else []
    if modifier:
        return [f"{modifier}/{parts[0]}"]
    return [f"Patient/{parts[0]}"] if parameter.is_patient else [f"{type_}/{parts[0]}" for type_ in TYPES]
