"""Signed JSON Web Tokens (RFC 7519, 7515) and key sets (RFC 7517): text in, checked claims out.

The algorithm comes from our list for that issuer and the key from its registered set; the header only chooses among
them. `jku`, `x5u`, `jwk` and `x5c` are never looked at, `none` and secrets (HS256) are in no list, and a key fits one
family of algorithms, so that a public key is never taken for a secret.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from gateway.codec import fhir
from gateway.errors import BadInput

ALGORITHMS: Final = ("RS256", "RS384", "ES256", "ES384")
MAX_TOKEN: Final = 16 * 1024
"""Characters. A token with IUA claims has one to three thousand."""
MAX_SET_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_MAX_DEPTH: Final = 16
_NO_TEXT: Final = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LATEST: Final = 253402300799
"""Seconds of the year 9999: later ones are no time."""

Claims = Mapping[str, Any]
Key = RSAKey | ECKey


class BadToken(BadInput):
    """Why a token was refused; for the audit trail, never for the caller."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable public keys of one party."""

    keys: tuple[Key, ...]

    def find(self, kid: str, algorithm: str) -> tuple[Key, ...]:
        """Keys for the algorithm with this id; without an id, all for the algorithm."""
        fitting = (key for key in self.keys if _fits(key, algorithm))
        return tuple(key for key in fitting if not kid or key.kid == kid)

    def knows(self, kid: str) -> bool:
        return any(key.kid == kid for key in self.keys)


def read_set(data: bytes) -> KeySet:
    """A JWKS. Keys that cannot be used for signatures here are left out. Raises BadInput."""
    if len(data) > MAX_SET_BYTES:
        raise BadInput("a key set larger than is read")
    found = _object(data).get("keys")
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise BadInput("not a JSON Web Key Set")
    keys: list[Key] = []
    for one in found:
        if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC") or one.get("use", "sig") != "sig":
            continue
        public = {name: value for name, value in one.items() if name in _PUBLIC}
        try:
            key: Any = import_key(public, one["kty"])
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if any(_fits(key, algorithm) for algorithm in ALGORITHMS):
            keys.append(key)
    return KeySet(tuple(keys))


_PUBLIC: Final = frozenset({"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"})


def _fits(key: Key, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    if isinstance(key, RSAKey):
        return algorithm.startswith("RS") and int(key.raw_value.key_size) >= 2048
    return {"ES256": "P-256", "ES384": "P-384"}.get(algorithm) == key.get("crv")


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says before its signature is looked at: enough to find the key, and for nothing else."""

    text: str
    algorithm: str
    kid: str
    type: str
    issuer: str


def peek(token: str) -> Unverified:
    """Raises BadToken."""
    if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
        raise BadToken("not a signed token")
    head, body, _ = token.split(".")
    header, claims = _part(head), _part(body)
    if "crit" in header or "b64" in header:
        raise BadToken("a header that must be understood is not")
    algorithm, kid, type_ = header.get("alg"), header.get("kid", ""), header.get("typ", "")
    issuer = claims.get("iss")
    if not all(isinstance(one, str) for one in (algorithm, kid, type_, issuer)):
        raise BadToken("header or issuer of another type")
    return Unverified(token, str(algorithm), str(kid), str(type_).lower().removeprefix("application/"), str(issuer))


def verify(token: Unverified, keys: KeySet, algorithms: Iterable[str]) -> Claims:
    """The claims, when one of the keys signed them with an algorithm of the list. Raises BadToken."""
    if token.algorithm not in algorithms or token.algorithm not in ALGORITHMS:
        raise BadToken("an algorithm that is not taken")
    if token.type not in ("", "jwt", "at+jwt"):
        raise BadToken("a token of another type")
    for key in keys.find(token.kid, token.algorithm):
        try:
            found = jws.deserialize_compact(token.text, key, algorithms=[token.algorithm])
        except (JoseError, ValueError):
            continue
        return _parsed(found.payload)
    raise BadToken("no key of the issuer verifies it")


def sign(claims: dict[str, Any], key: Key, algorithm: str, type_: str = "JWT") -> str:
    header = {"alg": algorithm, "typ": type_, **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


# -- claims -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expected:
    """What the registered claims are held against."""

    issuer: str
    audiences: frozenset[str]
    """Any of them."""
    now: datetime
    skew: timedelta
    lifetime: timedelta
    issued: bool = True
    """Whether `iat` has to be there."""


def check(claims: Claims, expected: Expected) -> None:
    """iss, aud, exp, iat, nbf. Raises BadToken."""
    if text(claims, "iss") != expected.issuer:
        raise BadToken("another issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise BadToken("no audience")
    if not expected.audiences & set(audiences):
        raise BadToken("for another audience")
    now, skew = expected.now, expected.skew
    ends = instant(claims, "exp")
    if ends <= now - skew:  # never ends + skew: after the last second of the year 9999 there is none
        raise BadToken("expired")
    begins = instant(claims, "iat") if expected.issued or "iat" in claims else now
    if begins > now + skew:
        raise BadToken("issued in the future")
    if "nbf" in claims and instant(claims, "nbf") > now + skew:
        raise BadToken("not valid yet")
    # Without iat the lifetime counts from now; clocks may differ.
    if ends - begins > expected.lifetime + (timedelta() if "iat" in claims else skew):
        raise BadToken("valid for longer than is taken")


def text(claims: Claims, name: str, *, required: bool = True) -> str:
    """A claim that is text. Raises BadToken; what is absent and not required is empty."""
    value = claims.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip() or len(value) > 1000:
        raise BadToken(f"no usable {name}")
    return value


def instant(claims: Claims, name: str) -> datetime:
    """A NumericDate. Raises BadToken."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise BadToken(f"no usable {name}")
    return datetime.fromtimestamp(value, UTC)


# -- JSON ---------------------------------------------------------------------------------------------------------


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object as the standards of tokens have it: no key twice, no NaN, not deep. Raises BadToken."""
    return _parsed(data)


def _part(encoded: str) -> dict[str, Any]:
    try:
        return _parsed(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError:
        raise BadToken("not base64url") from None


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return _object(data)
    except BadInput:
        raise BadToken("not a JSON object") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadInput("not JSON") from None
    if not isinstance(found, dict) or fhir.deeper(found, _MAX_DEPTH):
        raise BadInput("not a JSON object")
    if _NO_TEXT.search(data) and not _is_text(found):
        raise BadInput("half a surrogate pair or a NUL")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _is_text(value: Any) -> bool:
    """Whether all its texts can be written in UTF-8 and kept in every database. Not for deep values."""
    if isinstance(value, str):
        return not _UNWRITABLE.search(value)
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_text, inside))
