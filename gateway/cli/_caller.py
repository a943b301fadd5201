"""Who a command asks a node as: nobody in particular in open mode; in enforced mode the node's own certificate and a token."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from gateway.errors import BadInput, ConfigurationError, Unavailable
from gateway.settings import Settings

if TYPE_CHECKING:
    import requests

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Door:
    """How the running node of a configuration is reached."""

    address: str
    session: "requests.Session"
    headers: Mapping[str, str] = field(default_factory=dict)


def door(settings: Settings, token: Path | None = None, client: str = "", key: Path | None = None) -> Door:
    """`token`: a file that holds a bearer token. `client` and `key`: a row of `[[security.clients]]` and its private key
    (JWK), with which the node is asked for one. Raises ConfigurationError, BadInput, Unavailable."""
    import requests

    if settings.security.mode == "open":
        session = requests.Session()
        session.trust_env = False  # the node is on this machine: no proxy stands between
        return Door(settings.base_url, session)
    from gateway.model.clock import Clock
    from gateway.serve import outgoing
    from gateway.serve.enforcing import contexts_of

    if token is None and not (client and key):
        raise ConfigurationError(
            "a node in enforced mode wants to know who asks: --token, or --client and --client-key"
        )
    session = outgoing.session(contexts_of(settings, Clock()), {})
    found = _read(token).strip() if token is not None else _issued(settings.base_url, session, client, key)
    return Door(settings.base_url, session, {"Authorization": f"Bearer {found}"})


def _issued(base: str, session: "requests.Session", client: str, key: Path | None) -> str:
    """A token of the node itself (ITI-71: client_credentials with private_key_jwt)."""
    import requests
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    from gateway.codec import fhir, jwt

    try:
        private = ECKey.import_key(fhir.parse(_read(key).encode()))
    except (BadInput, JoseError, ValueError):
        raise ConfigurationError(f"{key}: no private key of an elliptic curve as a JWK") from None
    url, now = f"{base}/oauth/token", int(time.time())
    claims = {"iss": client, "sub": client, "aud": url, "iat": now, "exp": now + 120, "jti": str(uuid4())}
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": _ASSERTION,
        "client_assertion": jwt.sign(claims, private, "ES256"),
    }
    try:
        response = session.post(url, data=form, timeout=_LIMIT_S)
        answer: dict[str, Any] = response.json()
    except (requests.ConnectionError, requests.Timeout):
        raise Unavailable(f"no node answers at {base}; start it with musubi serve") from None
    except ValueError:
        raise Unavailable(f"what answers at {base} is no Musubi node") from None
    if not response.ok:
        raise BadInput(f"the node gives no token ({answer.get('error', response.status_code)})")
    return str(answer["access_token"])


def _read(path: Path | None) -> str:
    try:
        return Path(path or "").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path}: cannot be read") from None
