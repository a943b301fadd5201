"""The opaque word in a `next` link: the key of the last row seen, bound to one query and one caller.

base64url(MAC | payload). The MAC (HMAC-SHA-256, 16 bytes) is over the payload, the query's digest and the caller, so
that a cursor can neither be forged nor carried to another search or another person.
"""

import base64
import binascii
import hashlib
import hmac
import json

from gateway.errors import InvalidParameter

_MAC_BYTES = 16
_MAX_CHARACTERS = 512

Key = tuple[str | int, ...]


def seal(after: Key, *, query: str, caller: str, key: bytes) -> str:
    payload = json.dumps(after, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return base64.urlsafe_b64encode(_mac(payload, query, caller, key) + payload).decode("ascii").rstrip("=")


def unseal(text: str, *, query: str, caller: str, key: bytes) -> Key:
    """The key of the last row. InvalidParameter for anything this node did not write for this query and caller."""
    refused = InvalidParameter("_cursor: not a cursor of this search; follow the next link as given, or start again")
    if len(text) > _MAX_CHARACTERS:
        raise refused
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise refused from None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not payload or not hmac.compare_digest(mac, _mac(payload, query, caller, key)):
        raise refused
    return tuple(json.loads(payload))


def _mac(payload: bytes, query: str, caller: str, key: bytes) -> bytes:
    bound = b"\0".join((query.encode("utf-8"), caller.encode("utf-8"), payload))
    return hmac.new(key, bound, hashlib.sha256).digest()[:_MAC_BYTES]


def digest(type_: str, parameters: list[tuple[str, str]]) -> str:
    """One word for a search: its type and parameters, their order aside."""
    text = json.dumps([type_, sorted(parameters)], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
