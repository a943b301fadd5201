"""A session of requests that reaches a node in memory instead of the network."""

import io
import re
from dataclasses import dataclass
from typing import Any

import requests
from urllib3 import HTTPResponse

from gateway import ihe
from gateway.codec import soap
from gateway.ihe._client import Call
from gateway.model.clock import Clock
from tests.xds_parts import CALLER, Node, numbered_uuids


@dataclass
class MemorySession:
    """`instead` answers with this body; `relates_to` is put in place of the right one; `status` and `headers` too."""

    node: Any
    """Has the services of what is asked."""
    instead: bytes | None = None
    action: str = ""
    relates_to: str | None = None
    status: int = 0
    headers: dict[str, str] | None = None
    error: Exception | None = None
    sent: int = 0
    path: str = "/xca"

    def post(self, url: str, **arguments: Any) -> requests.Response:
        assert arguments["allow_redirects"] is False
        self.sent += 1
        if self.error:
            raise self.error
        content_type = arguments["headers"]["Content-Type"]
        stream = io.BytesIO(arguments["data"])
        wire = ihe.dispatch(self.path, content_type, stream, self.node.services, CALLER)
        data, headers, status = b"".join(wire.body), dict(wire.headers), wire.status
        if self.instead is not None:
            data = soap.answer(f"{self.action}Response", "urn:uuid:1", _message_id(arguments["data"]), self.instead)
            headers = {"Content-Type": soap.MEDIA_TYPE}
        if self.relates_to is not None:
            new = f"<wsa:RelatesTo>{self.relates_to}</wsa:RelatesTo>" if self.relates_to else ""
            data = re.sub(rb"<wsa:RelatesTo>[^<]*</wsa:RelatesTo>", new.encode(), data)
        response = requests.Response()
        response.status_code = self.status or status
        response.headers.update(headers | (self.headers or {}))
        response.raw = HTTPResponse(io.BytesIO(data), preload_content=False)
        return response


def _message_id(data: bytes) -> str:
    found = re.search(rb"<wsa:MessageID>([^<]*)<", data)
    assert found
    return found[1].decode()


def call_to(node: Node, clock: Clock | None = None, **changes: Any) -> Call:
    return Call(MemorySession(node, **changes), clock or Clock(), numbered_uuids())
