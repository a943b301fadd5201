"""What goes along when a peer is asked in the name of a user: an assertion over SOAP (ITI-40, X-Assertion Provider), a
token over FHIR (IUA), signed with the same key.

It carries what was said and checked of the caller, and nothing more: a peer decides by it as it would for a user of its
own federation partner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, RSAKey

from gateway.codec import jwt, saml_write
from gateway.codec.saml_claims import Coded
from gateway.errors import Forbidden
from gateway.model.caller import Caller
from gateway.model.clock import Chance, Clock
from gateway.services.trust.anchors import Anchors

TOKEN_S: Final = 300
"""Seconds a token counts; it is made for one question."""
XSPA_PURPOSES: Final = "2.16.840.1.113883.3.18.7.1"
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

    def authorization(self, caller: Caller, audience: str) -> str:
        """The Authorization header for one FHIR question; empty when this node signs none. Raises Forbidden as `header`.

        The scopes are those the caller came with: a token that shows little here shows no more there.
        """
        anchors = self.anchors()
        if anchors.signer is None:
            return ""
        if not caller.user:
            raise Forbidden("a peer is asked in the name of a user, and none is known")
        key, now = anchors.signer.key, int(self.clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": anchors.signer_name,
            "sub": caller.user,
            "client_id": caller.client or self.home,
            "aud": audience,
            "jti": str(self.chance.new_uuid()),
            "iat": now,
            "exp": now + TOKEN_S,
            "scope": " ".join(caller.scopes) or "user/*.rs",
            "extensions": {"ihe_iua": self._iua(caller), "ihe_bppc": _said({"patient_id": caller.patient})},
        }
        if caller.authenticated:
            claims["auth_time"] = int(datetime.fromisoformat(caller.authenticated).timestamp())
        if isinstance(key, rsa.RSAPrivateKey):
            return f"Bearer {jwt.sign(claims, RSAKey.import_key(key), 'RS256', 'at+jwt')}"
        algorithm = {256: "ES256", 384: "ES384"}[key.curve.key_size]
        return f"Bearer {jwt.sign(claims, ECKey.import_key(key), algorithm, 'at+jwt')}"

    def _iua(self, caller: Caller) -> dict[str, Any]:
        roles = [role.partition("^^") for role in caller.roles]
        return _said(
            {
                "subject_name": caller.user_name,
                "subject_organization": caller.organization_name,
                "subject_organization_id": caller.organization,
                "home_community_id": self.home,
                "subject_role": [{"code": code, "system": f"urn:oid:{system}"} for code, _, system in roles],
                "purpose_of_use": [{"code": caller.purpose, "system": f"urn:oid:{XSPA_PURPOSES}"}]
                if caller.purpose
                else [],
                "btg_id": caller.break_glass,
            }
        )


def _said(claims: dict[str, Any]) -> dict[str, Any]:
    """Without what was not said."""
    return {name: value for name, value in claims.items() if value}
