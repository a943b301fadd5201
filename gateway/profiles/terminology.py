"""Bindings (R4 4.1.5): is a coded value in its value set? Required gives an error, extensible a warning.

A code of a system whose content is not in the tables (JLAC10, LOINC, MEDIS masters ...) cannot be judged: that is
information, rule `terminology-unknown`, never an error. Displays are not compared.
"""

import re
from collections.abc import Callable
from typing import Any

from gateway.profiles.finding import Problem, error, information, warning
from gateway.profiles.tables import ValueSet

Check = Callable[[Any], list[Problem] | None]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match

PLAIN = frozenset({"code", "string", "uri", "url", "canonical", "id", "oid", "markdown"})
"""Types whose value is the code itself."""
CODED = frozenset({"Coding", "CodeableConcept", "Quantity", *PLAIN})


def plain_codes(value_set: ValueSet | None) -> frozenset[str] | None:
    """All codes, for elements that give no system; None when they cannot be listed."""
    if value_set is None:
        return None
    found: set[str] = set()
    for codes in value_set.systems.values():
        if codes is None:
            return None
        found |= codes
    return frozenset(found)


def membership(value_set: ValueSet, coding: Any) -> bool | None:
    """Is this Coding (or Quantity) in the value set; None: nobody at hand can tell."""
    if coding.__class__ is not dict:
        return False
    system, code = coding.get("system"), coding.get("code")
    if system.__class__ is not str or system not in value_set.systems:
        return False
    codes = value_set.systems[system]
    return None if codes is None else code.__class__ is str and code in codes


def absolute_system(type_code: str) -> Check:
    """The system of an Identifier, a Coding or a Quantity is an absolute URI (R4 2.24.0.6, 2.24.0.10)."""
    relative = error("value", "The system is not an absolute URI.", f"{type_code}.system absolute")

    def check(value: Any) -> list[Problem] | None:
        system = value.get("system") if value.__class__ is dict else None
        return [relative] if system.__class__ is str and _SCHEME(system) is None else None

    return check


def coding_check(codes_of: Callable[[str], frozenset[str] | None]) -> Check:
    """A code stands in its own code system, where that is published in full; the system is an absolute URI."""
    relative = absolute_system("Coding")
    unknown = error("code-invalid", "The code is not in its code system.", "Coding.code known")

    def check(value: Any) -> list[Problem] | None:
        system = value.get("system") if value.__class__ is dict else None
        if system.__class__ is not str:
            return None
        codes = codes_of(system)
        if codes is None:
            return relative(value)
        code = value.get("code")
        return None if code.__class__ is not str or code in codes else [unknown]

    return check


def binding_check(type_code: str, strength: str, value_set: ValueSet | None, url: str, label: str) -> Check | None:
    """The check of one bound element of type `type_code`; None when nothing can be said."""
    if strength not in ("required", "extensible"):
        return None
    if type_code in PLAIN:
        return _plain(strength, plain_codes(value_set), label)
    if type_code not in CODED:
        return None
    if value_set is None:
        return _unknown_set(label, url) if strength == "required" else None
    return (
        _required(type_code, value_set, label) if strength == "required" else _extensible(type_code, value_set, label)
    )


def _plain(strength: str, codes: frozenset[str] | None, label: str) -> Check | None:
    if codes is None or strength != "required":
        return None

    def check(value: Any) -> list[Problem] | None:
        if value.__class__ is str and value in codes:
            return None
        return [error("code-invalid", "The code is not in the required value set.", f"{label} required binding")]

    return check


def _unknown_set(label: str, url: str) -> Check:
    finding = information("not-supported", f"Nobody published {url}.", f"terminology-unknown {label}")
    return lambda value: [finding]


def _codings(type_code: str, value: Any) -> list[Any]:
    if type_code == "CodeableConcept":
        codings = value.get("coding", ()) if value.__class__ is dict else ()
        return codings if codings.__class__ is list else []
    return [value]


def _required(type_code: str, value_set: ValueSet, label: str) -> Check:
    outside = error("code-invalid", "No coding is in the required value set.", f"{label} required binding")
    unknown = information(
        "not-supported", "The content of the code system is not published.", f"terminology-unknown {label}"
    )
    concept = type_code == "CodeableConcept"

    def check(value: Any) -> list[Problem] | None:
        if type_code == "Quantity" and value.__class__ is dict and "code" not in value and "system" not in value:
            return None
        undecided = False
        for coding in _codings("CodeableConcept", value) if concept else (value,):
            known = membership(value_set, coding)
            if known:
                return None
            undecided = undecided or known is None
        return [unknown] if undecided else [outside]

    return check


def _extensible(type_code: str, value_set: ValueSet, label: str) -> Check:
    """Speaks only when a coding uses a system of the value set with a code that is not in it."""
    outside = warning("code-invalid", "The code is not in the extensible value set.", f"{label} extensible binding")

    def check(value: Any) -> list[Problem] | None:
        wrong = False
        for coding in _codings(type_code, value):
            system = coding.get("system") if coding.__class__ is dict else None
            if system.__class__ is not str or system not in value_set.systems:
                continue
            if membership(value_set, coding) is not False:
                return None
            wrong = True
        return [outside] if wrong else None

    return check
