"""SMART App Launch scopes, version 2 (section "Scopes for requesting FHIR Resources"): text to values.

A scope that cannot be read counts as absent. The token's scopes are the outer bound only: policy and consent cut further.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl

_SCOPE: Final = re.compile(
    r"(patient|user|system)/([A-Z][A-Za-z]{1,63}|\*)\.(c?r?u?d?s?)(?:\?([!-~]{1,500}))?", re.ASCII
)
_ONE: Final = {"read": "rs", "write": "cud", "*": "cruds"}
"""What version 1 wrote behind the point."""
_OLD: Final = re.compile(r"((?:patient|user|system)/(?:[A-Z][A-Za-z]{1,63}|\*))\.(read|write|\*)", re.ASCII)

Right = Literal["c", "r", "u", "d", "s"]


class ResourceScope(NamedTuple):
    """`patient/Observation.rs?category=laboratory`"""

    context: str
    type: str
    """A resource type, or *."""
    rights: str
    """Of cruds, in that order."""
    query: tuple[tuple[str, str], ...] = ()


def read(text: str) -> ResourceScope | None:
    """None for what is no scope of resources: openid, launch, and everything misspelt."""
    if old := _OLD.fullmatch(text):
        text = f"{old[1]}.{_ONE[old[2]]}"
    found = _SCOPE.fullmatch(text)
    if found is None or not found[3]:
        return None
    try:
        query = tuple(parse_qsl(found[4] or "", strict_parsing=bool(found[4]), keep_blank_values=True))
    except ValueError:
        return None
    return ResourceScope(found[1], found[2], found[3], query)


def read_all(scopes: Iterable[str]) -> tuple[ResourceScope, ...]:
    return tuple(found for found in map(read, scopes) if found is not None)


def of(scopes: Iterable[str], type_: str, right: Right) -> tuple[ResourceScope, ...]:
    """Those that give the right on the type; empty: none does. Each one's query still has to hold."""
    return tuple(one for one in read_all(scopes) if one.type in ("*", type_) and right in one.rights)


def within(wanted: str, allowed: Iterable[str]) -> bool:
    """Whether a scope that is asked for is no more than one of those a client may have."""
    asked = read(wanted)
    if asked is None:
        return wanted in set(allowed)
    return any(
        one.context == asked.context
        and one.type in ("*", asked.type)
        and set(asked.rights) <= set(one.rights)
        and set(one.query) <= set(asked.query)
        for one in read_all(allowed)
    )
