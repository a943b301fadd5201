"""Codes and identifiers as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value as XDS metadata carries it (ITI TF-3: 4.2.3.1.2): code, codingScheme, display."""

    code: str
    scheme: str
    display: str = ""
