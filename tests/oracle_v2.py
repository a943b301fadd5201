"""hl7apy reads what we answer: an independent reader of message structures, segments and data types."""

from collections.abc import Mapping, Sequence

import pytest

hl7apy_parser = pytest.importorskip("hl7apy.parser")


def check_structure(found: Mapping[str, Sequence[str]], structure: str) -> None:
    """The answer as a message of `structure`. hl7apy knows QPD by its three common fields only, and no message of IHE's
    own (ZV2)."""
    lines = found[""]
    lines = ["|".join(line.split("|")[:3]) + "|x" if line.startswith("QPD") else line for line in lines]
    message = hl7apy_parser.parse_message("\r".join(lines) + "\r", find_groups=True)
    assert message.name == structure
    message.validate()
