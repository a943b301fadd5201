"""The embedded authorisation server (ITI-71): systems of `[[security.clients]]` get tokens for this node alone, by
client_credentials with private_key_jwt (SMART Backend Services; RFC 7523). People get theirs from a provider of their own.

Tokens live for five minutes; a client whose key or row is taken away gets none after that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from gateway.codec import jwt, scopes
from gateway.codec.jwt import BadToken, KeySet
from gateway.errors import BadInput
from gateway.model.clock import Chance, Clock
from gateway.services.trust.anchors import Anchors, Client, TokenIssuer
from gateway.services.trust.replay import Seen

LIFETIME: Final = timedelta(minutes=5)
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST: Final = timedelta(minutes=5)
"""Of a client's assertion (SMART Backend Services)."""
_MAX_SCOPES: Final = 100
PATHS: Final = {"token": "/oauth/token", "jwks": "/oauth/jwks", "introspect": "/oauth/introspect"}


class Refused(BadInput):
    """RFC 6749 5.2: `error` is its word."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error

    @property
    def status(self) -> int:
        return 401 if self.error == "invalid_client" else 400


@dataclass(frozen=True, slots=True)
class TokenServer:
    base: str
    """URL of this node, and name of the issuer."""
    key: ECKey
    clock: Clock
    chance: Chance
    seen: Seen = field(default_factory=lambda: Seen(most=100_000))

    @classmethod
    def make(cls, base: str, private: ec.EllipticCurvePrivateKey | None, clock: Clock, chance: Chance) -> "TokenServer":
        """Without a key one is made that ends with the process."""
        key = ECKey.import_key(private or ec.generate_private_key(ec.SECP256R1()))
        return cls(base, ECKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()}), clock, chance)

    @property
    def audience(self) -> str:
        return f"{self.base}/fhir"

    def issuer(self) -> TokenIssuer:
        """As the reading side sees us."""
        return TokenIssuer(self.base, self.audience, ("ES256",), LIFETIME, KeySet((self.key,)))

    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "use": "sig", "alg": "ES256"}]}

    def token(self, form: Mapping[str, str], anchors: Anchors) -> dict[str, Any]:
        """The answer of the token endpoint. Raises Refused."""
        if form.get("grant_type") != "client_credentials":
            raise Refused("unsupported_grant_type", "client_credentials is what is given here")
        client = self.authenticate(form, anchors)
        asked = form.get("scope", "").split()
        if not asked or len(asked) > _MAX_SCOPES:
            raise Refused("invalid_scope", "the wanted scopes are missing")
        granted = [one for one in dict.fromkeys(asked) if scopes.within(one, client.scopes)]
        if not granted:
            raise Refused("invalid_scope", "none of the scopes is this client's")
        now = self.clock.now()
        return {
            "access_token": jwt.sign(self._claims(client, granted, now), self.key, "ES256", "at+jwt"),
            "token_type": "Bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": " ".join(granted),
        }

    def authenticate(self, form: Mapping[str, str], anchors: Anchors) -> Client:
        """The client of a private_key_jwt. Raises Refused; unknown and wrong are answered alike."""
        refused = Refused("invalid_client", "the client is not known, or did not prove who it is")
        if form.get("client_assertion_type") != ASSERTION or "client_secret" in form:
            raise refused
        try:
            unverified = jwt.peek(form.get("client_assertion", ""))
            client = anchors.clients.get(unverified.issuer)
            if client is None or form.get("client_id", client.id) != client.id:
                raise refused
            claims = jwt.verify(unverified, client.keys, jwt.ALGORITHMS)
            audiences = frozenset({self.base + PATHS["token"], self.base + PATHS["introspect"], self.base})
            now = self.clock.now()
            jwt.check(claims, jwt.Expected(client.id, audiences, now, anchors.skew, _LONGEST, issued=False))
            if jwt.text(claims, "sub") != client.id:
                raise refused
            until = jwt.instant(claims, "exp") + anchors.skew
            fresh = self.seen.accept(client.id, jwt.text(claims, "jti"), client.id, until, now, once=True)
        except BadToken:
            raise refused from None
        if not fresh:
            raise refused
        return client

    def introspect(self, form: Mapping[str, str], anchors: Anchors) -> dict[str, Any]:
        """ITI-102: what a token of ours says; {"active": false} for any other. Raises Refused."""
        self.authenticate(form, anchors)
        own = self.issuer()
        try:
            unverified = jwt.peek(form.get("token", ""))
            claims = jwt.verify(unverified, KeySet((self.key,)), ("ES256",))
            expected = jwt.Expected(
                own.name, frozenset({own.audience}), self.clock.now(), timedelta(), LIFETIME + timedelta(seconds=1)
            )
            jwt.check(claims, expected)
        except BadToken:
            return {"active": False}
        active = claims.get("client_id") in anchors.clients
        return {"active": True, "token_type": "Bearer", **claims} if active else {"active": False}

    def _claims(self, client: Client, granted: list[str], now: datetime) -> dict[str, Any]:
        issued = int(now.timestamp())
        iua: dict[str, Any] = {}
        if client.name:
            iua["subject_name"] = client.name
        if client.organization:
            iua["subject_organization_id"] = client.organization
        if client.role:
            code, _, system = client.role.partition("^^")
            iua["subject_role"] = [{"system": f"urn:oid:{system}", "code": code}]
        if client.purpose:
            iua["purpose_of_use"] = [{"system": "urn:oid:2.16.840.1.113883.3.18.7.1", "code": client.purpose}]
        return {
            "iss": self.base,
            "sub": client.id,
            "client_id": client.id,
            "aud": self.audience,
            "jti": str(self.chance.new_uuid()),
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "scope": " ".join(granted),
            **({"extensions": {"ihe_iua": iua}} if iua else {}),
        }


def metadata(base: str) -> dict[str, Any]:
    """RFC 8414, and what SMART adds (App Launch 2.2, conformance)."""
    return {
        "issuer": base,
        "jwks_uri": base + PATHS["jwks"],
        "token_endpoint": base + PATHS["token"],
        "introspection_endpoint": base + PATHS["introspect"],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(jwt.ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "response_types_supported": [],
        "scopes_supported": ["system/*.rs", "system/*.cruds"],
        "access_token_format": "ihe-jwt",
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        "code_challenge_methods_supported": ["S256"],
    }


def read_key(private: object) -> ec.EllipticCurvePrivateKey:
    """Raises BadInput when it is no key on P-256."""
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise BadInput("the key of tokens is one on P-256")
    return private
