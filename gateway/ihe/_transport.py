"""Connections to other communities whose whole answer has to be there in time.

A socket's timeout counts from one piece to the next, so a peer that sends a byte now and then holds a reader for ever, in
the headers as well as in the body. Here every read gets what is left of the total.
"""

import http.client
import io
import socket
from time import monotonic
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from gateway.ihe._client import Poster


class _Bounded(io.RawIOBase):
    """Reads a socket with the time that is left until `until`."""

    def __init__(self, inner: Any, sock: socket.socket, until: float) -> None:
        self._inner, self._sock, self._until = inner, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not come in time")
        self._sock.settimeout(left)
        return cast("int | None", self._inner.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """An answer that has to be read within what is left of its socket's timeout when the reading begins."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        total = sock.gettimeout()
        if total is not None:
            reader: Any = self.fp
            self.fp = io.BufferedReader(_Bounded(reader.detach(), sock, monotonic() + total))


class _Http(HTTPConnection):
    response_class = TimedResponse


class _Https(HTTPSConnection):
    response_class = TimedResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        manager = cast(PoolManager, self.poolmanager)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


def session(connections: int) -> Poster:
    """Of open mode; that of enforced mode is serve/outgoing.py. `connections`: kept open with each community. A proxy or a
    .netrc of the environment is for people's browsers; peers stand in the configuration."""
    made = requests.Session()
    made.trust_env = False
    adapter = _Adapter(pool_connections=100, pool_maxsize=connections)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return cast(Poster, made)
