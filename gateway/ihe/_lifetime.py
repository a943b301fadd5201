"""CorrelationTimeToLive: how long what XCPD told may be relied on (ITI TF-2: 3.55.4.1.2.4)."""

import re
from typing import Final

from gateway.codec import soap
from gateway.codec.xml import text_of
from gateway.ihe._soap import XCPD

_DURATION: Final = re.compile(
    r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,5})D)?"
    r"(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9})(?:\.[0-9]{1,9})?S)?)?"
)
_SECONDS: Final = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)


def seconds(duration: str) -> float | None:
    """An xs:duration; None when it is none. Years and months are counted as 365 and 30 days."""
    found = _DURATION.fullmatch(duration)
    if found is None or not any(found.groups()):
        return None
    return float(sum(int(part or 0) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True)))


def time_to_live(envelope: soap.Envelope) -> float | None:
    """The header CorrelationTimeToLive in seconds (ITI TF-2: 3.55.4.1.2.4)."""
    for header in envelope.headers:
        if header.tag == f"{{{XCPD}}}CorrelationTimeToLive":
            return seconds(text_of(header))
    return None
