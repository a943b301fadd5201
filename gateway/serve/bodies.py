"""Bodies of requests, read up to the limit of their face; plain bodies of answers."""

import io
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import orjson
from flask import Response, request

from gateway.errors import LimitExceeded
from gateway.ihe import PATHS
from gateway.serve.http_services import HttpServices

UPLOADS = frozenset({"/xds/repository"})
"""Paths of messages that carry documents; their handlers read them in pieces."""


class Body(io.RawIOBase):
    """The request's body as a stream that raises LimitExceeded rather than end early."""

    def __init__(self, limit: int) -> None:
        self._left, self._limit = limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = request.stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceeded(f"the body is larger than {self._limit} bytes")
        buffer[: len(data)] = data
        return len(data)


def body(services: HttpServices) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(Body(limit_of(services)), 64 * 1024))


def limit_of(services: HttpServices) -> int:
    """Largest body of the face that is asked, in bytes."""
    if request.path in UPLOADS:
        return services.max_upload_bytes
    return services.max_soap_bytes if request.path in PATHS else services.max_body_bytes


def plain(status: int, text: str, **headers: str) -> Response:
    return Response(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)


def as_json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
