"""The checks of one value that the structure check is put together from: primitives, codes, objects."""

from collections.abc import Callable
from typing import Any, Final

from gateway.profiles.finding import Problem, below, error
from gateway.profiles.invariants import INVARIANTS, Invariant
from gateway.profiles.primitives import PRIMITIVES
from gateway.profiles.terminology import Check

_MALFORMED = frozenset({"structure", "value"})
"""After such a problem inside an element its invariants are not asked."""


Bad = list[tuple[int, list[Problem]]] | None
"""(index, its problems) of the values of one key that did not pass"""


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


def remembering(check: Check) -> Check:
    """Knows an object again that was sound before, by identity: translation puts one and the same coding, unit or
    name into thousands of resources. Holding the object keeps its identity from being given to another."""
    sound: dict[int, Any] = {}

    def checked(value: Any) -> list[Problem] | None:
        if sound.get(id(value)) is value:
            return None
        found = check(value)
        if found is None:
            if len(sound) >= REMEMBERED:
                sound.clear()
            sound[id(value)] = value
        return found

    return checked


REMEMBERED: Final = 500
"""Sound objects of one data type; then it starts again."""


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
            bad: Bad = None
            if rule is not None:
                inner = rule.check
                if not rule.many:
                    problems = inner(child)
                    if problems is None:
                        continue
                    bad = [(0, problems)]
                elif child.__class__ is list and child:
                    for index, item in enumerate(child):
                        problems = inner(item)
                        if problems is not None:
                            bad = [*(bad or ()), (index, problems)]
                    if bad is None:
                        continue
            found = _explained(found, context, key, rule, bad, value)
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
    found: list[Problem] | None, context: str, key: str, rule: Rule | None, bad: Bad, parent: dict[str, Any]
) -> list[Problem] | None:
    """The problems of one key that did not pass, with their place. What was found is passed on, never looked for
    again: a second look at each level would double the work with every level."""
    name = f"{context}.{key}"
    child = parent[key]
    problems: list[Problem]
    if rule is None:
        unknown = f"{context} has an element that FHIR R4 does not know."
        problems = [error("structure", unknown, f"{context} unknown element")]
    elif not rule.many and child.__class__ is list:
        problems = below(rule.label, [error("structure", "One value is expected, not an array.", f"{name} max 1")])
    elif not rule.many:
        problems = [p for _, inner in bad or () for p in below(rule.label, inner)]
    elif child.__class__ is not list:
        problems = below(rule.label, [error("structure", "An array is expected here.", f"{name} array")])
    elif not child:
        problems = below(rule.label, [error("structure", "An array is not empty.", f"{name} array")])
    else:
        other = parent.get(key[1:] if key.startswith("_") else f"_{key}")
        partner = other if rule.primitive and other.__class__ is list else []
        problems = []
        for index, inner in bad or ():
            if child[index] is None and index < len(partner) and partner[index] is not None:
                continue  # R4 2.6.2.3: null holds the place of the other array's item
            problems += below(f"{rule.label}[{index}]", inner)
    if rule is not None:
        problems = [p for p in problems if not p.contexts or p.contexts.isdisjoint(rule.contexts)]
    return [*(found or ()), *problems] if problems else found
