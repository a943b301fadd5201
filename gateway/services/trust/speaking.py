"""The assertion that goes along when a peer is asked in the name of a user (ITI-40, X-Assertion Provider).

It carries what was said and checked of the caller, and nothing more: a peer decides by it as it would for a user of its
own federation partner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.codec import saml_write
from gateway.codec.saml_claims import Coded
from gateway.errors import Forbidden
from gateway.model.caller import Caller
from gateway.model.clock import Chance, Clock
from gateway.services.trust.anchors import Anchors

XSPA_PURPOSES = "2.16.840.1.113883.3.18.7.1"
"""Code system of the XSPA words."""


@dataclass(frozen=True, slots=True)
class Speaker:
    anchors: Callable[[], Anchors]
    home: str
    """Our homeCommunityId."""
    clock: Clock
    chance: Chance

    def header(self, caller: Caller, url: str, audience: str = "") -> str:
        """The wsse:Security block for one question to `url`; empty when this node signs none. Raises Forbidden when
        nobody asks: a peer is never asked in the name of somebody made up."""
        anchors = self.anchors()
        if anchors.signer is None:
            return ""
        if not caller.user:
            raise Forbidden("a peer is asked in the name of a user, and none is known")
        statement = saml_write.Statement(
            id=f"_{self.chance.new_uuid()}",
            issuer=anchors.signer_name,
            audience=audience or url,
            recipient=url,
            name_id=caller.user,
            name_qualifier=caller.issuer,
            authenticated=datetime.fromisoformat(caller.authenticated) if caller.authenticated else None,
            user_name=caller.user_name,
            organization=caller.organization_name,
            organization_id=caller.organization,
            home=self.home,
            roles=tuple(Coded(role.partition("^^")[0], role.partition("^^")[2]) for role in caller.roles),
            purpose=Coded(caller.purpose, XSPA_PURPOSES) if caller.purpose else None,
            patient=caller.patient,
            break_glass=caller.break_glass,
        )
        return saml_write.header(statement, anchors.signer, self.clock.now())
