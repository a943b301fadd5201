"""Messages that were cut on their way (full disk, broken transfer).

HL7 v2 has no length and no end mark, and whole messages without the end of their last segment occur. But a message
whose last segment has no end and also lacks what that segment must have, or cannot be a last segment, was cut: what
is left of it must not pass as the whole report.
"""

from functools import cache

from gateway import mapping_files
from gateway.codec.er7 import Message


@cache
def _endings() -> dict[str, tuple[tuple[int, ...], tuple[str, ...]]]:
    """Segment -> (fields it must have, how the data type or MSH-9 of messages begins that may end with it)."""
    rows = mapping_files.read_csv(mapping_files.path("tables", "message-ends.csv"))
    return {r["segment"]: (tuple(map(int, r["required"].split())), tuple(r["ends"].split())) for r in rows}


def looks_cut(message: Message, data_type: str) -> str:
    """Why a message without a last segment end must have been cut, or an empty text."""
    last = message.segments[-1]
    known = _endings().get(last.name)
    if known is None:
        if len(last.name) < 3:
            return "the last segment has no end and no whole name"
        return ""
    required, ends = known
    if any(len(last.fields) <= number for number in required):
        return "the last segment has no end and lacks fields it must have"
    if not data_type.startswith(ends) and not message.segments[0][9].startswith(ends):
        return "the last segment has no end, and a message of this type goes on after it"
    return ""
