"""The checks of one value that the structure check is put together from: primitives, codes, objects."""

from collections.abc import Callable
from typing import Any

from gateway.profiles.finding import Problem, below, error
from gateway.profiles.invariants import INVARIANTS, Invariant
from gateway.profiles.primitives import PRIMITIVES
from gateway.profiles.terminology import Check

_MALFORMED = frozenset({"structure", "value"})
"""After such a problem inside an element its invariants are not asked."""


class Rule:
    """What holds for one JSON key: compiled on first use."""

    __slots__ = ("_make", "check", "contexts", "label", "many", "primitive")

    def __init__(self, label: str, many: bool, primitive: bool, contexts: frozenset[str], make: Callable[[], Check]):
        self.label = label
        self.many = many
        self.primitive = primitive
        self.contexts = contexts

        self.check: Check = self._first_use
        self._make = make

    def _first_use(self, value: Any) -> list[Problem] | None:
        self.check = self._make()
        return self.check(value)


def accept(value: Any) -> None:
    return None


def primitive(code: str) -> Check:
    test = PRIMITIVES[code]
    wrong = error("value", f"The value is not a valid {code}.", code)

    def check(value: Any) -> list[Problem] | None:
        return None if test(value) else [wrong]

    def check_string(value: Any) -> list[Problem] | None:
        if value.__class__ is str and 0 < len(value) < 256 and value.isprintable() and value[0] != " ":
            return None  # the common case, decided without a call
        return None if test(value) else [wrong]

    return check_string if code in ("string", "markdown") else check


def required_code(codes: frozenset[str], check: Check, label: str) -> Check:
    outside = error("code-invalid", "The code is not in the required value set.", f"{label} required binding")

    def bound(value: Any) -> list[Problem] | None:
        if value.__class__ is str and value in codes:
            return None
        return check(value) or [outside]

    return bound


def all_of(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> list[Problem] | None:
        found: list[Problem] | None = None
        for one in checks:
            problems = one(value)
            if problems:
                found = [*(found or ()), *problems]
        return found

    return check


def with_invariants(check: Check, keys: tuple[str, ...]) -> Check:
    invariants: list[tuple[str, str, Invariant]] = [
        (key.rstrip("?"), "warning" if key.endswith("?") else "error", INVARIANTS[key.rstrip("?")])
        for key in keys
        if key.rstrip("?") in INVARIANTS
    ]
    if not invariants:
        return check

    def checked(value: Any) -> list[Problem] | None:
        found = check(value)
        if value.__class__ is dict and (found is None or not any(p.code in _MALFORMED for p in found)):
            for key, severity, invariant in invariants:
                if not invariant.holds(value):
                    found = [*(found or ()), Problem(severity, "invariant", invariant.text, key)]
        return found

    return checked


def object_check(
    context: str,
    rules: dict[str, Rule],
    mandatory: tuple[str, ...],
    choices: tuple[tuple[str, frozenset[str], int], ...],
) -> Check:
    get = rules.get
    not_object = error("structure", "An object is expected here.", context)
    empty = error("invariant", "An object without content.", "ele-1")

    def check(value: Any) -> list[Problem] | None:
        if value.__class__ is not dict:
            return [not_object]
        if not value:
            return [empty]
        found: list[Problem] | None = None
        for key, child in value.items():
            rule = get(key)
            if rule is not None:
                inner = rule.check
                if not rule.many:
                    if inner(child) is None:
                        continue
                elif child.__class__ is list and child:
                    for item in child:
                        if inner(item) is not None:
                            break
                    else:
                        continue
            found = _explained(found, context, key, child, rule, value)
        for name in mandatory:
            if name not in value and f"_{name}" not in value:
                found = [*(found or ()), error("required", f"{name} is missing.", f"{context}.{name} min 1")]
        for name, keys, minimum in choices:
            present = keys & value.keys()
            if len(present) != 1 and (present or minimum):
                found = _choice_problems(found, context, name, present)
        return found

    return check


def _choice_problems(
    found: list[Problem] | None, context: str, name: str, present: frozenset[str]
) -> list[Problem] | None:
    if not present:
        return [*(found or ()), error("required", f"{name} is missing.", f"{context}.{name} min 1")]
    if len({key.lstrip("_") for key in present}) > 1:
        return [*(found or ()), error("structure", f"{name} is given more than once.", f"{context}.{name} max 1")]
    return found


def _explained(
    found: list[Problem] | None, context: str, key: str, child: Any, rule: Rule | None, parent: dict[str, Any]
) -> list[Problem] | None:
    """The problems of one key that did not pass, with their place."""
    problems: list[Problem]
    if rule is None:
        problems = [
            error("structure", f"{context} has an element that FHIR R4 does not know.", f"{context} unknown element")
        ]
    elif rule.many:
        problems = _explained_array(rule, f"{context}.{key}", key, child, parent)
    elif child.__class__ is list:
        problems = below(
            rule.label, [error("structure", "One value is expected, not an array.", f"{context}.{key} max 1")]
        )
    else:
        problems = below(rule.label, rule.check(child) or ())
    if rule is not None:
        problems = [p for p in problems if not p.contexts or p.contexts.isdisjoint(rule.contexts)]
    return [*(found or ()), *problems] if problems else found


def _explained_array(rule: Rule, rule_name: str, key: str, child: Any, parent: dict[str, Any]) -> list[Problem]:
    if child.__class__ is not list:
        return below(rule.label, [error("structure", "An array is expected here.", f"{rule_name} array")])
    if not child:
        return below(rule.label, [error("structure", "An array is not empty.", f"{rule_name} array")])
    other = parent.get(key[1:] if key.startswith("_") else f"_{key}")
    partner = other if other.__class__ is list else []
    problems: list[Problem] = []
    for index, item in enumerate(child):
        if item is None and rule.primitive and index < len(partner) and partner[index] is not None:
            continue  # R4 2.6.2.3: null holds the place of the other array's item
        problems += below(f"{rule.label}[{index}]", rule.check(item) or ())
    return problems
