"""A caller and what is asked -> Scope, or Forbidden. Looks up what the pure decision needs to know."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from gateway.errors import DENIED, Forbidden
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.ports import Identities
from gateway.services.policy.decision import Asked, Emergency, Policy, decide
from gateway.services.policy.tables import Act, act_of, interaction


class ScopeOf(Protocol):
    """How a transaction asks policy. Raises Forbidden."""

    def __call__(self, caller: Caller, transaction: str, /) -> Scope: ...


@dataclass(frozen=True, slots=True)
class Access:
    """Put together by gateway.app."""

    policy: Policy
    identities: Identities
    emergency: Callable[[str], Emergency | None]
    """btg_id -> what was declared."""
    clock: Clock

    def scope(self, caller: Caller, transaction: str) -> Scope:
        """For a transaction of mappings/policy/transactions.csv. Raises Forbidden."""
        return self._permitted(caller, act_of(transaction))

    def fhir(self, caller: Caller, name: str, type_: str) -> Scope:
        """For a FHIR interaction on a type, or a transaction by its own name. Raises Forbidden."""
        try:
            act = interaction(name, type_)
        except KeyError:
            act = act_of(name)
        return self._permitted(caller, act)

    def _permitted(self, caller: Caller, act: Act) -> Scope:
        # Whole seconds: within one, equal callers have equal scopes, and statements made of them are made once.
        now = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        patient = self._named(caller.patient) if caller.patient else None
        emergency = self.emergency(caller.break_glass) if caller.break_glass else None
        decision = decide(Asked(caller, act, now, patient, emergency), self.policy)
        if not decision.permit or decision.scope is None:
            raise Forbidden(DENIED, decision.reason)
        return decision.scope

    def _named(self, cx: str) -> str:
        try:
            return self.identities.enterprise_id(PatientId.parse(cx), UNRESTRICTED) or ""
        except ValueError:
            return ""
