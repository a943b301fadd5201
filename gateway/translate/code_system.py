"""Codes between XDS metadata and FHIR: codingScheme (an OID, ITI TF-3: 4.2.3.1.2) <-> Coding.system (a URI, R4 4.3.3).

One system has three names on the wires: its OID, `urn:oid:` and the OID, and its FHIR URI. A scheme that is neither an
OID nor a URI (`Connect-a-thon classCodes` of published test data) becomes a URN of ours that says it, so that what was
registered can be asked for by FHIR and comes back unchanged.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote

from gateway import mapping_files
from gateway.model.code import Code
from gateway.translate import dialect

_OID: Final = "urn:oid:"
_WORD: Final = "urn:x-musubi:coding-scheme:"
_DOTTED = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)


@cache
def _urls() -> dict[str, str]:
    """OID -> FHIR URI. What documents are coded with stands first; then the systems of Japan."""
    found = dict(mapping_files.table("code-system-oids"))
    for other, url in dialect.pairs():
        if other.startswith(_OID) and not url.startswith(_OID):
            found.setdefault(other.removeprefix(_OID), url)
    return found


@cache
def _oids() -> dict[str, str]:
    """FHIR URI -> the first OID that leads to it."""
    found: dict[str, str] = {}
    for oid, url in _urls().items():
        found.setdefault(url, oid)
    return found


def is_oid(text: str) -> bool:
    return bool(_DOTTED.fullmatch(text))


def system_of(scheme: str) -> str:
    """codingScheme -> Coding.system; "" for none."""
    oid = scheme.removeprefix(_OID)
    if is_oid(oid):
        return _urls().get(oid, _OID + oid)
    if not scheme or mapping_files.ABSOLUTE_URI.fullmatch(scheme):
        return scheme
    return _WORD + quote(scheme, safe="")


def scheme_of(system: str) -> str:
    """Coding.system -> codingScheme: the OID where one is known, else the URI itself."""
    if system.startswith(_WORD):
        return unquote(system.removeprefix(_WORD))
    oid = _oids().get(system)
    return oid or (system.removeprefix(_OID) if is_oid(system.removeprefix(_OID)) else system)


def schemes_of(system: str) -> tuple[str, ...]:
    """Every form in which a registered code may name this system: a query asks for all of them."""
    scheme = scheme_of(system)
    forms = [scheme]
    if is_oid(scheme):
        forms.append(_OID + scheme)
    if (url := system_of(scheme)) not in forms:
        forms.append(url)
    return tuple(dict.fromkeys(forms))


def coding(code: Code) -> dict[str, str]:
    made = {"system": system_of(code.scheme), "code": code.code, "display": code.display}
    return {name: value for name, value in made.items() if value}


def concept(code: Code) -> dict[str, Any]:
    """CodeableConcept of one code."""
    return {"coding": [coding(code)]}


def code_of(given: Mapping[str, Any], text: str = "") -> Code | None:
    """A Coding as a code of XDS metadata; `text` of its CodeableConcept is its display when it has none. None without a
    code: a bare text is no code, and none is guessed."""
    code, system = given.get("code"), given.get("system", "")
    if not isinstance(code, str) or not code or not isinstance(system, str):
        return None
    display = given.get("display") or text
    return Code(code, scheme_of(system), display if isinstance(display, str) else "")


def codes_of(given: Mapping[str, Any]) -> tuple[Code, ...]:
    """The codings of a CodeableConcept, in their order."""
    text = given.get("text", "")
    found = (code_of(one, text if isinstance(text, str) else "") for one in given.get("coding", ()))
    return tuple(code for code in found if code is not None)
