"""Connections this node opens in enforced mode: to peers, consumers and issuers, with its certificate and theirs checked
(ITI-19), and every answer held to the time it was given (ihe/_transport.py). requests brings a bundle of public
authorities of its own; here it is kept out."""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from gateway.codec import jwt
from gateway.errors import BadInput, Forbidden, Unavailable
from gateway.ihe._transport import TimedResponse
from gateway.serve.tls import Contexts

_ISSUER_S: Final = 5.0
"""Seconds for the answer of an issuer of tokens."""


def session(contexts: Contexts, homes: Mapping[str, str], most: int = 10) -> requests.Session:
    """A session for https alone. `homes`: URL of a peer -> its homeCommunityId; `most`: connections kept open with each."""
    # A proxy or a .netrc of the environment is for people's browsers; whom we talk to stands in the configuration.
    made = requests.Session()
    made.trust_env = False
    made.adapters.clear()
    made.mount("https://", _Adapter(contexts, {_origin(url): home for url, home in homes.items()}, most))
    return made


class _Adapter(HTTPAdapter):
    """Pools of the contexts in force; new ones when keys or lists were read again."""

    def __init__(self, contexts: Contexts, homes: Mapping[tuple[str, int], str], most: int) -> None:
        self._contexts, self._homes = contexts, homes
        self._generation = contexts.generation
        self._most = max(10, most)
        super().__init__(pool_maxsize=self._most)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._contexts.client(), **keywords)
        checked = _pool(self._contexts, self._homes)
        self.poolmanager.pool_classes_by_scheme = {"https": checked}

    def get_connection_with_tls_context(self, *arguments: Any, **keywords: Any) -> Any:
        if self._contexts.generation != self._generation:
            self._generation = self._contexts.generation
            self.poolmanager.clear()
            self.init_poolmanager(self._most, self._most)
        return super().get_connection_with_tls_context(*arguments, **keywords)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Not the bundle of requests, whatever `verify` says."""
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None


def _pool(contexts: Contexts, homes: Mapping[tuple[str, int], str]) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        response_class = TimedResponse

        def connect(self) -> None:
            super().connect()
            found = self.sock
            der = found.getpeercert(binary_form=True) if isinstance(found, ssl.SSLSocket) else None
            try:
                contexts.check_server(der, homes.get((self.host, self.port or 443), ""))
            except Forbidden as error:
                self.close()
                raise ssl.SSLError(str(error)) from None

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def _origin(url: str) -> tuple[str, int]:
    found = urlsplit(url)
    return found.hostname or "", found.port or 443


def mllp(contexts: Contexts) -> Callable[[socket.socket, str], socket.socket]:
    """What makes a TLS connection of a plain one: (socket, host) -> socket. Raises OSError."""

    def wrap(plain: socket.socket, host: str) -> socket.socket:
        wrapped = contexts.client().wrap_socket(plain, server_hostname=host)
        try:
            contexts.check_server(wrapped.getpeercert(binary_form=True))
        except Forbidden as error:
            wrapped.close()
            raise ssl.SSLError(str(error)) from None
        return wrapped

    return wrap


# -- issuers of tokens --------------------------------------------------------------------------------------------


def fetch(made: requests.Session) -> Callable[[str], bytes]:
    """How a key set is fetched."""
    return lambda url: _bounded(lambda: made.get(url, **_once()))


def ask(made: requests.Session) -> Callable[[str, str, str, str], bytes]:
    """How an issuer is asked about a token (RFC 7662)."""

    def asked(url: str, client: str, secret: str, token: str) -> bytes:
        form = {"token": token, "token_type_hint": "access_token"}
        return _bounded(lambda: made.post(url, data=form, auth=(client, secret), **_once()))

    return asked


def _once() -> dict[str, Any]:
    return {"timeout": (_ISSUER_S, _ISSUER_S), "allow_redirects": False, "stream": True}


def _bounded(request: Callable[[], requests.Response]) -> bytes:
    """Raises Unavailable; BadInput when the answer is larger than an issuer's may be."""
    try:
        with request() as response:
            if response.status_code != 200:
                raise Unavailable(f"the issuer answers HTTP {response.status_code}")
            data = response.raw.read(jwt.MAX_SET_BYTES + 1, decode_content=False)
    except (requests.RequestException, OSError):
        raise Unavailable("the issuer of tokens cannot be reached") from None
    if len(data) > jwt.MAX_SET_BYTES:
        raise BadInput("an answer of the issuer larger than is read")
    return bytes(data)
