"""A bearer token to a Caller (IUA, ITI-72): a signed token is verified against the key set of its issuer; an opaque one,
or one of an issuer that says so, is asked about (ITI-102)."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from cryptography import x509

from gateway.codec import certificates, jwt
from gateway.codec.jwt import BadToken, KeySet
from gateway.errors import BadInput, GatewayError, Unauthenticated, Unavailable
from gateway.model.caller import Caller
from gateway.services.trust.anchors import Anchors, TokenIssuer
from gateway.services.trust.nodes import Node
from gateway.translate.rules import table

KEPT_S: Final = 600.0
"""Seconds a fetched key set counts."""
AGAIN_S: Final = 60.0
"""Seconds between two fetches because of a key id nobody knows."""
ANSWER_S: Final = 60.0
"""Longest an introspection answer counts, so that a withdrawn token ends within a minute."""
_MOST_ANSWERS: Final = 10_000

Fetch = Callable[[str], bytes]
"""URL -> body, bounded. Raises Unavailable."""
Ask = Callable[[str, str, str, str], bytes]
"""(introspection URL, client id, secret, token) -> body, bounded. Raises Unavailable."""


@dataclass(slots=True)
class _Fetched:
    keys: KeySet
    at_s: float
    tried_s: float


@dataclass(slots=True)
class Tokens:
    anchors: Callable[[], Anchors]
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    fetch: Fetch
    ask: Ask
    _sets: dict[str, _Fetched] = field(default_factory=dict)
    _answers: dict[str, tuple[Mapping[str, Any], float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def caller(self, authorization: str, node: Node, certificate: x509.Certificate | None, address: str) -> Caller:
        """Raises Unauthenticated, and Unavailable when the issuer's keys or answer cannot be had."""
        scheme, _, token = authorization.partition(" ")
        if not authorization:
            raise Unauthenticated("a bearer token is required")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("a bearer token is required", error="invalid_request")
        try:
            claims, issuer = self._claims(token.strip())
            _bound(claims, certificate)
            return _caller(claims, issuer, node, address)
        except BadInput as error:
            raise Unauthenticated("the token is not valid here", error="invalid_token", detail=str(error)) from None

    def _claims(self, token: str) -> tuple[Mapping[str, Any], TokenIssuer]:
        anchors = self.anchors()
        asked = next((one for one in anchors.tokens.values() if one.introspection_url), None)
        try:
            unverified = jwt.peek(token)
        except BadToken:
            if asked is None or len(token) > jwt.MAX_TOKEN:
                raise
            return self._introspected(token, asked, anchors), asked
        issuer = anchors.tokens.get(unverified.issuer)
        if issuer is None:
            raise BadToken("an issuer that is not known")
        if issuer.introspection_url:
            return self._introspected(token, issuer, anchors), issuer
        claims = jwt.verify(unverified, self._keys(issuer, unverified.kid), issuer.algorithms)
        jwt.check(claims, _expected(issuer, self.now(), anchors.skew))
        for name in ("sub", "client_id", "jti", "scope"):
            jwt.text(claims, name)
        return claims, issuer

    # -- key sets -------------------------------------------------------------------------------------------------

    def _keys(self, issuer: TokenIssuer, kid: str) -> KeySet:
        if issuer.keys is not None:
            return issuer.keys
        with self._lock:
            now = self.monotonic()
            held = self._sets.get(issuer.jwks_url)
            stale = held is None or now - held.at_s > KEPT_S
            unknown = held is not None and kid != "" and not held.keys.knows(kid)
            if held is not None and now - held.tried_s < AGAIN_S and (unknown or stale):
                if stale:
                    raise Unavailable("the keys of the token's issuer cannot be had")
                return held.keys
            if not stale and not unknown and held is not None:
                return held.keys
            try:
                keys = jwt.read_set(self.fetch(issuer.jwks_url))
            except GatewayError:
                if held is None:
                    self._sets[issuer.jwks_url] = _Fetched(KeySet(()), now - KEPT_S - 1, now)
                    raise Unavailable("the keys of the token's issuer cannot be had") from None
                held.tried_s = now
                if stale:
                    raise Unavailable("the keys of the token's issuer cannot be had") from None
                return held.keys
            self._sets[issuer.jwks_url] = _Fetched(keys, now, now)
            return keys

    # -- introspection --------------------------------------------------------------------------------------------

    def _introspected(self, token: str, issuer: TokenIssuer, anchors: Anchors) -> Mapping[str, Any]:
        key = sha256(f"{issuer.name}\n{token}".encode()).hexdigest()
        now_s = self.monotonic()
        with self._lock:
            found = self._answers.get(key)
        if found is not None and found[1] > now_s:
            claims = found[0]
        else:
            claims = jwt.read_object(self.ask(issuer.introspection_url, issuer.client_id, issuer.secret, token))
            left = _left(claims, self.now())
            if left > 0:
                with self._lock:
                    if len(self._answers) >= _MOST_ANSWERS:
                        self._answers = {name: one for name, one in self._answers.items() if one[1] > now_s}
                    if len(self._answers) < _MOST_ANSWERS:
                        self._answers[key] = (claims, now_s + min(left, ANSWER_S))
        if claims.get("active") is not True:
            raise BadToken("not active")
        # RFC 7662 leaves all but `active` to the server; what is there has to be right, and we need these.
        known = {"iss": issuer.name, "aud": issuer.audience, **claims}
        jwt.check(known, _expected(issuer, self.now(), anchors.skew, issued="iat" in claims))
        for name in ("sub", "client_id", "scope"):
            jwt.text(claims, name)
        return claims


def _expected(issuer: TokenIssuer, now: datetime, skew: timedelta, *, issued: bool = True) -> jwt.Expected:
    return jwt.Expected(issuer.name, frozenset({issuer.audience}), now, skew, issuer.lifetime, issued)


def _left(claims: Mapping[str, Any], now: datetime) -> float:
    """Seconds the answer may be kept: none without exp."""
    try:
        return (jwt.instant(claims, "exp") - now).total_seconds()
    except BadToken:
        return 0.0


def _bound(claims: Mapping[str, Any], certificate: x509.Certificate | None) -> None:
    """RFC 8705: a token that names a certificate is only good on its connection. Raises BadToken."""
    confirmation = claims.get("cnf")
    if confirmation is None:
        return
    wanted = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if not isinstance(wanted, str) or certificate is None or wanted != certificates.thumbprint(certificate):
        raise BadToken("bound to another certificate")


# -- IUA claims ---------------------------------------------------------------------------------------------------


def _caller(claims: Mapping[str, Any], issuer: TokenIssuer, node: Node, address: str) -> Caller:
    extensions = _object(claims, "extensions")
    iua, bppc = _object(extensions, "ihe_iua"), _object(extensions, "ihe_bppc")
    home = jwt.text(iua, "home_community_id", required=False)
    if home and not node.speaks_for(home):
        raise BadToken("the node may not speak for the community")
    organization = jwt.text(iua, "subject_organization_id", required=False)
    if node.organizations and organization not in node.organizations:
        raise BadToken("the node may not speak for the organisation")
    authenticated = jwt.instant(claims, "auth_time") if "auth_time" in claims else None
    return Caller(
        node=node.id,
        user=jwt.text(claims, "sub"),
        user_name=jwt.text(iua, "subject_name", required=False),
        issuer=issuer.name,
        assertion=jwt.text(claims, "jti", required=False),
        roles=tuple(f"{code}^^{system}" for code, system in _codings(iua, "subject_role")),
        purpose=_purpose(iua),
        organization=organization,
        organization_name=jwt.text(iua, "subject_organization", required=False),
        home=home,
        patient=jwt.text(bppc, "patient_id", required=False) or jwt.text(iua, "person_id", required=False),
        client=jwt.text(claims, "client_id"),
        scopes=tuple(jwt.text(claims, "scope").split()),
        authenticated=authenticated.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if authenticated else "",
        break_glass=jwt.text(iua, "btg_id", required=False),
        address=address,
    )


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = claims.get(name, {})
    if not isinstance(found, dict):
        raise BadToken(f"{name} is no object")
    return found


def _codings(claims: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """(code, system without urn:oid:) of an array of Coding; nothing when the claim is absent."""
    found = claims.get(name, [])
    if not isinstance(found, list) or len(found) > 20:
        raise BadToken(f"{name} is no list of codes")
    codings = []
    for one in found:
        if not isinstance(one, dict):
            raise BadToken(f"{name} is no list of codes")
        codings.append((jwt.text(one, "code"), jwt.text(one, "system").removeprefix("urn:oid:")))
    return codings


def _purpose(iua: Mapping[str, Any]) -> str:
    """The XSPA word of the one purpose; empty when none is said. Of two, which one holds would be a guess."""
    codings = _codings(iua, "purpose_of_use")
    if not codings:
        return ""
    words = {table("purpose-of-use").get(code) for code, _ in codings}
    if len(words) != 1 or None in words:
        raise BadToken("a purpose that is not known here, or two")
    return str(words.pop())
