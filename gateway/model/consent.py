"""Consent: what a person said, the rules it stands for, and which rules count. Pure; storage keeps the rules as rows.

A consent is a tree of provisions (FHIR R4 Consent.provision): the root says permit or deny, what stands below is an
exception to what stands above. Each provision is a `Rule` with its depth as `level`. Of the rules that fit a piece of
data and who asks, those of the highest level speak; among them a deny wins; where none fits, the node's default holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gateway.model.caller import NORMAL, ConsentView, Scope, TypeFilter

BREAK_GLASS = "BTG"
"""Purpose of a declared emergency access; EMERGENCY alone is an ordinary one."""

ONE = "_id"
"""Rule.param of a rule about one resource, whose logical id is the code."""

Source = Literal["fhir", "form", "bppc", "jpki"]
Category = Literal["privacy", "research"]


class Rule(NamedTuple):
    """One provision. An empty text means "any"."""

    level: int
    deny: bool
    purpose: str = ""
    """XSPA word, or BTG."""
    organization: str = ""
    """Id of the organisation that asks."""
    role: str = ""
    """`code^^scheme`"""
    facility: str = ""
    """OID of the facility whose data it is about."""
    type: str = ""
    param: str = ""
    system: str = ""
    code: str = ""
    confidentiality: str = ""
    data_from: str = ""
    """Main date of the data, instant UTC; from (included)."""
    data_to: str = ""
    """Up to (excluded)."""
    valid_from: str = ""
    """The rule itself holds from (included)."""
    valid_to: str = ""
    """Up to (excluded); empty: for good."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One version of one consent, as it was recorded. Versions are never removed."""

    id: str
    version: int
    active: bool
    category: Category
    patient: str
    """CX of the person, as the consent names it."""
    given: str
    """Consent.dateTime as an instant (UTC); orders consents of one person."""
    organizations: tuple[str, ...]
    """Whom alone it is about; empty: the network."""
    rules: tuple[Rule, ...]
    body: bytes
    """FHIR Consent, canonical JSON without meta.versionId and lastUpdated."""
    source: Source = "fhir"
    evidence: str = ""
    """SHA-256 of the form, document or signature behind it."""
    recorded_by: str = ""
    recorded: str = ""
    """Instant, UTC."""


class DataFacts(NamedTuple):
    """What deciding has to know of one piece of data."""

    type: str
    eid: str
    """Empty: about no person."""
    facility: str = ""
    date: str = ""
    """Main date, instant UTC; empty when it has none."""
    labels: tuple[str, ...] = ()
    """Confidentiality codes; none counts as N."""
    tokens: tuple[tuple[str, str, str], ...] = ()
    """(parameter, system, code)"""


def effective(consents: Iterable[Consent]) -> tuple[Rule, ...]:
    """The rules of one person's consents that count.

    A newer consent takes the place of an older one of its category that reaches no further than itself: one for the
    network that of everybody, one for some organisations that of the same. Of one instant both count, and the stricter
    wins. A consent for organisations is an exception to the network's: its rules are one level higher.
    """
    newest = sorted((one for one in consents if one.active), key=lambda one: one.given, reverse=True)
    kept: list[Consent] = []
    for one in newest:
        if not any(_covers(other, one) for other in kept):
            kept.append(one)
    rules = [rule._replace(level=rule.level + (1 if one.organizations else 0)) for one in kept for rule in one.rules]
    return tuple(sorted(set(rules)))


def _covers(newer: Consent, older: Consent) -> bool:
    if newer.given == older.given or newer.category != older.category:
        return False
    return not newer.organizations or (
        bool(older.organizations) and set(older.organizations) <= set(newer.organizations)
    )


# -- the second way to the decision; the first is the WHERE clause of storage/scope.py --------------------------------


def sees(scope: Scope, facts: DataFacts, rules: Sequence[Rule], known_at: frozenset[str]) -> bool:
    """Whether a scope shows one piece of data. `rules`: those that count for its person; `known_at`: where the person
    is known."""
    if scope.patients is not None and facts.eid and facts.eid not in scope.patients:
        return False
    if facts.facility in scope.excluded_facilities:
        return False
    if scope.confidentiality is not None and not set(facts.labels or (NORMAL,)) <= scope.confidentiality:
        return False
    if scope.types is not None and not any(_named(one, facts) for one in scope.types):
        return False
    if not facts.eid:
        return True
    if facts.type == "Patient":
        return scope.consent is None or shows_person(scope.consent, facts.facility, rules)
    if scope.known_at is not None and not scope.known_at & known_at:
        return False
    return scope.consent is None or permits(scope.consent, facts, rules)


def permits(view: ConsentView, facts: DataFacts, rules: Sequence[Rule]) -> bool:
    """Consent on data of a person."""
    said = [rule.level * 2 + rule.deny for rule in rules if counts(rule, view) and _fits(rule, facts)]
    return max(said, default=int(not view.permit)) % 2 == 0


def shows_person(view: ConsentView, facility: str, rules: Sequence[Rule]) -> bool:
    """Consent on who the person is: demographics stay to be found unless the person said no to everything."""
    said = [
        rule.level * 2 + rule.deny
        for rule in rules
        if counts(rule, view) and rule.facility in ("", facility) and (not rule.deny or is_dissent(rule))
    ]
    return max(said, default=0) % 2 == 0


def is_dissent(rule: Rule) -> bool:
    """A deny without limits of type, period or label."""
    limits = (rule.param, rule.data_from, rule.data_to, rule.confidentiality)
    return rule.deny and not any(limits) and rule.type in ("", "Patient")


def counts(rule: Rule, view: ConsentView) -> bool:
    """Whether a rule is about who asks, why and when."""
    return (
        (not rule.purpose or rule.purpose in view.purposes)
        and (not rule.organization or rule.organization == view.organization)
        and (not rule.role or rule.role in view.roles)
        and rule.valid_from <= view.at
        and (not rule.valid_to or view.at < rule.valid_to)
    )


def _fits(rule: Rule, facts: DataFacts) -> bool:
    if rule.facility not in ("", facts.facility) or rule.type not in ("", facts.type):
        return False
    if rule.param and not any(
        param == rule.param and code == rule.code and rule.system in ("", system)
        for param, system, code in facts.tokens
    ):
        return False
    if rule.confidentiality and rule.confidentiality not in (facts.labels or (NORMAL,)):
        return False
    if not (rule.data_from or rule.data_to):
        return True
    if not facts.date:
        return rule.deny  # it could be of that time: what is denied stays hidden, what is permitted is not shown
    return rule.data_from <= facts.date and (not rule.data_to or facts.date < rule.data_to)


def _named(wanted: TypeFilter, facts: DataFacts) -> bool:
    if wanted.type not in ("*", facts.type) or (wanted.since and facts.date < wanted.since):
        return False
    return all(
        any(
            param == term.param and code == wanted_code and wanted_system in ("", system)
            for wanted_system, wanted_code in term.values
            for param, system, code in facts.tokens
        )
        for term in wanted.terms
    )
