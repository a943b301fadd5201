"""Documents inside a result: OBX-5 of type ED (埋め込み文書) and RP (文書への参照) -> DocumentReference.

The bytes stand once, in a DocumentReference that the Observation is derived from; its id is their hash, so that a
report sent twice is one document. HL7 v2.5 2.A.24 (ED), 2.A.65 (RP).
"""

import base64
import binascii
import hashlib
import re
from typing import Any

from gateway.codec.er7 import Segment, unescape
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, clean, plain
from gateway.translate.leavings import place
from gateway.translate.people import resource
from gateway.translate.rules import table

MAX_BYTES = 24 * 1024 * 1024
"""Decoded bytes of one document; a larger one stays in the original message, which is kept whole."""
LONGEST_STRING = 1024 * 1024
"""Characters of a FHIR string (R4 2.24.0.1)."""
UNKNOWN = "application/octet-stream"
"""RFC 2046 4.5.1: bytes of a kind that nobody named."""
_MAIN_TYPES = frozenset({"", "AP", "APPLICATION", "IM", "IMAGE", "TX", "TEXT", "FT", "AU", "AUDIO"})
"""ED.2 (tables 0191 and 0834): what the subtype says again."""
_ABSOLUTE = re.compile(r"(?:https?|ftp|urn):[^\s\"<>^`{|}\\]+", re.ASCII)


def embedded(raw: str, code: Fragment | None, segment: Segment, context: Context) -> Fragment | None:
    """ED: source ^ type ^ subtype ^ encoding ^ data. None when the data cannot be read; the caller keeps it."""
    parts = raw.split("^", 5)
    parts += [""] * (5 - len(parts))
    content = _content(parts[4], parts[3])
    if content is None or not content:
        return None
    attachment = _attachment(_media_type(parts, segment, context), content)
    for number in (1, 6):
        if len(parts) >= number and plain(parts[number - 1]):
            context.keep(place(segment, 5, number), parts[number - 1])
    return _document(hashlib.sha256(content).hexdigest(), attachment, code, context)


def long_text(text: str, code: Fragment | None, context: Context) -> Fragment:
    """A text that is longer than a FHIR string may be, as a document."""
    content = text.encode()
    return _document(
        hashlib.sha256(content).hexdigest(), _attachment("text/plain;charset=utf-8", content), code, context
    )


def pointed_at(raw: str, code: Fragment | None, segment: Segment, context: Context) -> Fragment | None:
    """RP: pointer ^ application ^ type ^ subtype. None when the pointer is no URL; the caller shows it as text."""
    parts = raw.split("^", 4)
    parts += [""] * (4 - len(parts))
    url = plain(parts[0]).strip()
    if not _ABSOLUTE.fullmatch(url):
        return None
    attachment: Fragment = {"url": url}
    if plain(parts[3]):
        attachment = {"contentType": _media_type(["", parts[2], parts[3]], segment, context, first=3), "url": url}
    elif plain(parts[2]):
        context.keep(place(segment, 5, 3), parts[2])
    for number in (2, 5):
        if len(parts) >= number and plain(parts[number - 1]):
            context.keep(place(segment, 5, number), parts[number - 1])
    return _document(url, attachment, code, context)


def _attachment(content_type: str, content: bytes) -> Fragment:
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return {
        "contentType": content_type,
        "data": base64.b64encode(content).decode("ascii"),
        "size": len(content),
        "hash": base64.b64encode(digest).decode("ascii"),
    }


def _content(data: str, encoding: str) -> bytes | None:
    """The bytes of ED.5 by ED.4 (table 0299): Base64, Hex or A (as they stand)."""
    text = unescape(data)
    if len(text) > MAX_BYTES * 2:
        return None
    try:
        match encoding.strip().upper():
            case "BASE64":
                found = base64.b64decode("".join(text.split()), validate=True)
            case "HEX":
                found = bytes.fromhex(text)
            case "A":
                found = text.encode()
            case _:
                return None
    except (binascii.Error, ValueError):
        return None
    return found if len(found) <= MAX_BYTES else None


def _media_type(parts: list[str], segment: Segment, context: Context, first: int = 2) -> str:
    """MIME type by type and subtype, which are components `first` and the next; what it does not say is residue."""
    main, sub = (plain(part).strip() for part in parts[1:3])
    found = table("embedded-media-types").get((sub or main).upper())
    if found is None and sub:
        context.keep(place(segment, 5, first + 1), sub)
    if main.upper() not in _MAIN_TYPES or (found is None and main and not sub):
        context.keep(place(segment, 5, first), main)
    return found or UNKNOWN


def _document(key: str, attachment: dict[str, Any], code: Fragment | None, context: Context) -> Fragment:
    """Adds the DocumentReference and returns a reference to it."""
    made = resource("DocumentReference", context.id("DocumentReference", *context.key, key))
    made["status"] = "current"
    if code and ("coding" in code or "text" in code):
        made["type"] = code
    made["subject"] = context.subject()
    title = clean((code or {}).get("text", ""))
    made["content"] = [{"attachment": {**attachment, "title": title} if title else attachment}]
    return {"reference": f"DocumentReference/{context.add(made)['id']}"}
