"""Deterministic ids: the same source fact has the same id on any node, in any order, on any re-run."""

import hashlib
import re
import uuid
from functools import lru_cache
from urllib.parse import quote

NAMESPACE = uuid.UUID("6f2f9c1e-3f0b-5b58-9a2d-2d7a6f0f6a10")
"""Fixed once for the gateway; changing it changes every id ever given out."""

_SAFE = "/-._~:@!$&'()*+,;="
_PLAIN = re.compile(r"[A-Za-z0-9/._-]*")

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The 17th digit with the two variant bits of RFC 9562 set."""
_SEED = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)


def name_uuid(*key: str) -> str:
    """uuid5 of the key's parts joined by `|` (RFC 9562 section 5.5), in 8-4-4-4-12 form.

    Written out because uuid.uuid5 costs four times as much and this runs a dozen times a file; a test holds the
    two equal.
    """
    digest = _SEED.copy()
    digest.update("|".join(key).encode())
    h = digest.hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def resource_id(facility: str, type_: str, *business_key: str) -> str:
    """Logical id of a resource: facility OID, type and business key, never the version's timestamp."""
    return name_uuid(facility, type_, *business_key)


@lru_cache(maxsize=1024)
def derived_oid(*key: str) -> str:
    """An OID nobody has to register: the name-based UUID under arc 2.25 (ITU-T X.667)."""
    return f"2.25.{uuid.UUID(name_uuid(*key)).int}"


@lru_cache(maxsize=4096)
def local_system(facility: str, name: str) -> str:
    """URI of a code system or number space that only this facility knows. `.invalid` (RFC 2606) says aloud that
    nothing can be fetched there. What a URI may not hold (blanks, kanji) is percent-encoded (RFC 3986)."""
    return f"https://musubi.invalid/{facility}/{name if _PLAIN.fullmatch(name) else quote(name, safe=_SAFE)}"
