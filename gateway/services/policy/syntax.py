"""The resource part of SMART v2: `Observation?category=laboratory` in grants, `system/Observation.rs?...` in tokens.

(HL7 SMART App Launch 2.2, "Scopes for requesting clinical data".)
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from gateway.errors import ConfigurationError
from gateway.model.caller import Term, TypeFilter
from gateway.services.policy.tables import twins
from gateway.services.search import PARAMETERS

EVERYTHING: Final = TypeFilter("*")

_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)(?:\?(.+))?", re.ASCII)
_OLD = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE_1 = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*)", re.ASCII)
_OTHER_TYPES: Final = frozenset({"Consent", "AuditEvent"})
_DOCUMENT: Final = "DocumentReference"


class TokenScope(NamedTuple):
    """One word of a token's `scope`."""

    context: str
    """patient | user | system"""
    wanted: TypeFilter
    rights: str
    """Of c r u d s."""


def type_filter(text: str) -> TypeFilter:
    """One entry of `grants.types`. Raises ConfigurationError when it is none, or names a parameter that is no token."""
    type_, asked, query = text.partition("?")
    if type_ != "*" and type_ not in PARAMETERS and type_ not in _OTHER_TYPES:
        raise ConfigurationError(f"grants.types: {type_!r} is no type this node answers for")
    if not asked:
        return TypeFilter(type_)
    pairs = parse_qsl(query, keep_blank_values=True)
    known = PARAMETERS.get(type_, {})
    if not pairs or any(name not in known or known[name].wire_kind != "token" or not value for name, value in pairs):
        raise ConfigurationError(f"grants.types: {text!r} asks by something that is no code")
    if type_ == _DOCUMENT and any(name not in ("type", "category") for name, _ in pairs):
        raise ConfigurationError(f"grants.types: documents are told apart by type and category, not as in {text!r}")
    return TypeFilter(type_, tuple(Term(name, _values(value)) for name, value in pairs))


def token_scope(word: str) -> TokenScope | None:
    """None for a word that is no SMART scope, or asks for something this node cannot bound: it then allows nothing.

    LENIENT: `.read`, `.write` and `.*` of SMART 1 are read as the rights SMART 2 gives them.
    """
    if old := _SCOPE_1.fullmatch(word):
        return TokenScope(old[1], TypeFilter(old[2]), _OLD[old[3]])
    found = _SCOPE.fullmatch(word)
    if found is None or not found[3]:
        return None
    if not found[4]:
        return TokenScope(found[1], TypeFilter(found[2]), found[3])
    try:
        return TokenScope(found[1], type_filter(f"{found[2]}?{found[4]}"), found[3])
    except ConfigurationError:
        return None


def both(one: TypeFilter, other: TypeFilter) -> TypeFilter | None:
    """What two filters have in common; None for nothing."""
    if "*" not in (one.type, other.type) and one.type != other.type:
        return None
    type_ = other.type if one.type == "*" else one.type
    terms = tuple(dict.fromkeys((*one.terms, *other.terms)))
    return TypeFilter(type_, terms, max(one.since, other.since))


def _values(text: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for one in text.split(","):
        system, bar, code = one.rpartition("|")
        found += [(twin, code) for twin in twins(system)] if bar and system else [("", code)]
    return tuple(found)
