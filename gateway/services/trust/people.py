"""The assertion of a SOAP message to the person who asks (XUA). The assertion itself is checked by codec/saml.py; here
stands what only this node knows: who brought it, for whom that node may speak, and whether it came before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.codec import saml
from gateway.codec.saml_fault import fault
from gateway.codec.soap import Envelope
from gateway.errors import Unavailable
from gateway.model.caller import Caller
from gateway.services.trust.anchors import Anchors
from gateway.services.trust.nodes import Node
from gateway.services.trust.replay import Seen
from gateway.translate.rules import table


@dataclass(frozen=True, slots=True)
class People:
    anchors: Callable[[], Anchors]
    now: Callable[[], datetime]
    strict: bool = False
    """An assertion counts once."""
    seen: Seen = field(default_factory=Seen)

    def identify(self, envelope: Envelope, node: Node, connection: saml.Connection, address: str) -> Caller:
        """Raises SecurityFault."""
        now, anchors = self.now(), self.anchors()
        root = envelope.root
        if root is None:
            raise fault("SecurityTokenUnavailable", "no envelope")
        trust = saml.Trust(anchors.saml, now, anchors.skew, anchors.revoked.holds)
        found = saml.check(root, trust, connection)
        if not node.speaks_for(found.home):
            raise fault("FailedAuthentication", "the node may not speak for the community")
        if node.organizations and found.organization_id not in node.organizations:
            raise fault("FailedAuthentication", "the node may not speak for the organisation")
        purpose = table("purpose-of-use").get(found.purpose.code)
        if purpose is None:
            raise fault("FailedAuthentication", "a purpose that is not known here")
        self._once(found, node, now, anchors)
        return Caller(
            node=node.id,
            user=found.name_id,
            user_name=found.user_name,
            issuer=found.issuer,
            assertion=found.id,
            roles=(f"{found.role.code}^^{found.role.system}",),
            purpose=purpose,
            organization=found.organization_id,
            organization_name=found.organization,
            home=found.home,
            patient=found.patient,
            authenticated=_instant(found.authenticated),
            break_glass=found.break_glass,
            address=address,
        )

    def _once(self, found: saml.Assertion, node: Node, now: datetime, anchors: Anchors) -> None:
        until = found.not_on_or_after + anchors.skew
        try:
            fresh = self.seen.accept(found.issuer, found.id, node.id, until, now, once=self.strict or found.one_time)
        except Unavailable:
            fresh = False
        if not fresh:
            raise fault("FailedAuthentication", "the assertion came before")


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
