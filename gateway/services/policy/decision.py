"""The one decision of policy: may this caller do this, and what may the answer hold. Pure: no clock, no database.

In order, and the first no is the last word: the node's agreement; a person behind the request; a purpose that is known;
a declared emergency; role x purpose x action x type (`[[security.grants]]`); the token's scopes; which patients; the
confidentiality ceiling; consent. Nothing is ever filled in by a default that was not said: what nobody grants is denied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.model.caller import Caller, ConsentView, Scope, TypeFilter
from gateway.model.consent import BREAK_GLASS, DataFacts, Rule, sees
from gateway.services.policy.syntax import EVERYTHING, TokenScope, both, token_scope
from gateway.services.policy.tables import Act, bare, ceiling, emergency_types, purpose_of, same_role

EMERGENCY: Final = "EMERGENCY"
REQUEST: Final = "REQUEST"
"""Access of the person to the person's own record (本人)."""
_READING: Final = frozenset({"query", "retrieve", "read"})
_NOT_CONSENTED: Final = frozenset({"Consent", "AuditEvent"})
"""What is about the sharing itself is not subject to it."""
_NODES: Final = (TypeFilter("Patient"), TypeFilter("Encounter"))
"""What a node may ask for without a person: who somebody is (PIX, PDQ), and visits (ITI-22)."""


class Grant(NamedTuple):
    """One block of `[[security.grants]]`."""

    role: str
    purposes: frozenset[str]
    actions: frozenset[str]
    types: tuple[TypeFilter, ...]
    confidentiality: str = "N"
    """Ceiling, one of U L M N R V."""
    relation: bool = False
    """The person has to be known at the caller's own organisation."""


class Emergency(NamedTuple):
    """A declared emergency access (break-glass)."""

    id: str
    user: str
    issuer: str
    node: str
    eid: str
    started: str
    ends: str
    """Instant, UTC; excluded."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided."""

    grants: tuple[Grant, ...] = ()
    consent_permit: bool = False
    """`[consent] default = "permit"`: opt-out instead of opt-in."""
    agreements: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Node -> the transactions it may do; a node that is not here may do all."""


class Asked(NamedTuple):
    """One question to policy."""

    caller: Caller
    act: Act
    now: str
    """Instant, UTC."""
    patient: str | None = None
    """Enterprise id of the patient whom assertion or token names; "" when nobody is known by it; None: none named."""
    emergency: Emergency | None = None
    """What `caller.break_glass` refers to."""
    facts: DataFacts | None = None
    """One piece of data the question is about, with `rules` and `known_at` of its person; None: whatever there is."""
    rules: Sequence[Rule] = ()
    known_at: frozenset[str] = frozenset()


class Decision(NamedTuple):
    permit: bool
    reason: str
    """Stable word; for the audit trail, never for the caller."""
    scope: Scope | None = None
    """What the answer may hold; None when nothing is permitted."""


def decide(asked: Asked, policy: Policy) -> Decision:
    """The decision; with `facts`, on that piece of data too."""
    decision = _decide(asked, policy)
    if decision.scope is None or asked.facts is None:
        return decision
    shown = sees(decision.scope, asked.facts, asked.rules, asked.known_at)
    return decision if shown else Decision(False, "hidden")


def _decide(asked: Asked, policy: Policy) -> Decision:
    caller, act = asked.caller, asked.act
    agreed = policy.agreements.get(caller.node)
    if agreed is not None and act.transaction not in agreed:
        return Decision(False, "not-agreed")
    if not caller.user:
        return Decision(False, "no-person") if act.person else Decision(True, "node", _of_node(asked, policy))
    purpose = purpose_of(caller.purpose)
    if not purpose:
        return Decision(False, "no-purpose")
    scopes = _token_scopes(caller, act)
    if scopes is not None and not scopes:
        return Decision(False, "token")
    if act.action == "emergency":
        return _declaring(asked, policy, purpose)
    if caller.break_glass:
        return _in_emergency(asked, purpose, scopes)
    roles = {same_role(role) for role in caller.roles}
    fitting = [
        one for one in policy.grants if one.role in roles and purpose in one.purposes and act.action in one.actions
    ]
    if not fitting:
        return Decision(False, "no-grant")
    if not any(_grants(one, act.type) for grant in fitting for one in grant.types):
        return Decision(False, "type")
    types = _narrowed([one for grant in fitting for one in grant.types], scopes)
    patients = _patients(asked, purpose, scopes)
    own = purpose == REQUEST
    lowest = min((grant.confidentiality for grant in fitting), key="ULMNRV".index)
    relation = any(grant.relation for grant in fitting) and not own
    return Decision(
        True,
        "granted",
        Scope(
            patients=patients,
            # The person may see all of the own record; there is nobody to keep it from.
            confidentiality=None if own else ceiling(lowest),
            types=None if EVERYTHING in types else types,
            known_at=frozenset({bare(caller.organization)}) if relation else None,
            consent=None if own or act.type in _NOT_CONSENTED else _view(asked, policy.consent_permit, {purpose}),
        ),
    )


def _of_node(asked: Asked, policy: Policy) -> Scope:
    return Scope(None, ceiling("N"), types=_NODES, consent=_view(asked, policy.consent_permit, set()))


def _declaring(asked: Asked, policy: Policy, purpose: str) -> Decision:
    """Whoever may treat in an emergency may declare one; that the proof of identity is fresh is checked there."""
    if purpose != EMERGENCY:
        return Decision(False, "purpose")
    roles = {same_role(role) for role in asked.caller.roles}
    if not any(one.role in roles and EMERGENCY in one.purposes and one.actions & _READING for one in policy.grants):
        return Decision(False, "no-grant")
    view = _view(asked, True, {BREAK_GLASS, EMERGENCY})
    return Decision(True, "may-declare", Scope(None, ceiling("R"), consent=view))


def _in_emergency(asked: Asked, purpose: str, scopes: Sequence[TokenScope] | None) -> Decision:
    """Never falls back to an ordinary access: who refers to an emergency that is none gets nothing."""
    caller, declared = asked.caller, asked.emergency
    if purpose != EMERGENCY:
        return Decision(False, "purpose")
    if declared is None or declared.id != caller.break_glass:
        return Decision(False, "break-glass")
    if (declared.user, declared.issuer, declared.node) != (caller.user, caller.issuer, caller.node):
        return Decision(False, "break-glass")
    if not declared.started <= asked.now < declared.ends:
        return Decision(False, "break-glass-over")
    if asked.act.action not in _READING:
        return Decision(False, "read-only")
    types = _narrowed(emergency_types(asked.now), scopes)
    if not any(_reaches(one, asked.act.type) for one in types):
        return Decision(False, "type")
    named = {declared.eid} if asked.patient in (None, declared.eid) else set()
    view = _view(asked, True, {BREAK_GLASS, EMERGENCY})
    return Decision(True, "break-glass", Scope(frozenset(named), ceiling("R"), types=types, consent=view))


def _token_scopes(caller: Caller, act: Act) -> list[TokenScope] | None:
    """The token's words that allow this act; None: no token is at work (a SAML assertion has no scopes)."""
    if not caller.client and not caller.scopes:
        return None
    if act.transaction in caller.scopes or act.action == "emergency":
        return [TokenScope("user", EVERYTHING, act.right)]  # IUA: the transaction itself is the scope
    found = [one for one in map(token_scope, caller.scopes) if one is not None]
    return [one for one in found if act.right in one.rights and _reaches(one.wanted, act.type)] and [
        one for one in found if act.right in one.rights
    ]


def _narrowed(granted: Sequence[TypeFilter], scopes: Sequence[TokenScope] | None) -> tuple[TypeFilter, ...]:
    if scopes is None:
        return tuple(dict.fromkeys(granted))
    common = (both(one, scope.wanted) for one in granted for scope in scopes)
    return tuple(dict.fromkeys(one for one in common if one is not None))


def _patients(asked: Asked, purpose: str, scopes: Sequence[TokenScope] | None) -> frozenset[str] | None:
    """Only the patient whom assertion or token names, when it names one or has to."""
    bound = purpose == REQUEST or (scopes is not None and all(one.context == "patient" for one in scopes))
    if asked.patient is None:
        return frozenset() if bound else None
    return frozenset({asked.patient} - {""})


def _grants(granted: TypeFilter, type_: str) -> bool:
    """`*` is all of the record of a person; what is about the sharing itself has to be granted by name."""
    return granted.type == type_ if type_ in _NOT_CONSENTED else _reaches(granted, type_)


def _reaches(wanted: TypeFilter, type_: str) -> bool:
    return "*" in (wanted.type, type_) or wanted.type == type_


def _view(asked: Asked, permit: bool, purposes: set[str]) -> ConsentView:
    caller = asked.caller
    roles = frozenset(same_role(role) for role in caller.roles)
    return ConsentView(permit, frozenset(purposes), bare(caller.organization), roles, asked.now)
