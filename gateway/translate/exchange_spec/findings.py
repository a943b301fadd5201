"""Findings of section 8 of the convention's checks: the code of the sheet verbatim, and our stable issue code for it.

`Issue.code` is the stable word (mappings/issue-codes.csv); `Issue.text` begins with the code as the sheet spells it,
`E-DIGITS:step`, and `Issue.where` is a JSON pointer (RFC 6901). Texts never hold a value of the file.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from gateway.model.outcome import Issue

SYSTEM: Final = "https://musubi.invalid/CodeSystem/exchange-finding"
"""The sheet's codes in OperationOutcome.issue.details."""
ISSUE_CODES: Final = "https://musubi.invalid/issue-codes"


class Words(NamedTuple):
    severity: str
    issue: str
    text: str


_WORDS: Final = {
    "E-JSON": ("fatal", "exchange-json", "the file is not JSON that can be read without loss"),
    "E-ENCODING": ("fatal", "exchange-encoding", "the bytes are not UTF-8"),
    "E-LIMIT": ("fatal", "too-large", "the file is larger or deeper than we read"),
    "E-HEADER": ("fatal", "exchange-header", "an item of the header is missing, too long or not of its form"),
    "E-VERSION": ("fatal", "exchange-version", "this version of the format is not read"),
    "E-CONSORTIUM": ("fatal", "exchange-consortium", "the consortium is not in the consortium list"),
    "E-NO-PERSON": ("fatal", "exchange-no-person", "the file names no person"),
    "E-PERSON": ("error", "exchange-person", "the person is not in the participant list, or cannot be read"),
    "E-REQUIRED": ("error", "exchange-required", "a mandatory item is missing"),
    "E-TYPE": ("error", "exchange-type", "the item is not of its type"),
    "E-DIGITS": ("error", "exchange-digits", "the item has more digits than its table allows"),
    "E-DATE": ("error", "exchange-date", "the item is no real date and time"),
    "E-CODE": ("error", "exchange-code", "the code is not in the code list"),
    "E-RANGE": ("error", "exchange-range", "the value is outside of its range"),
    "E-CONFLICT": ("error", "exchange-conflict", "two names of one item say different things"),
    "E-UNIT": ("error", "exchange-unit", "an HbA1c value of the JDS scale is not converted"),
    "E-DUP-IN-FILE": ("error", "exchange-duplicate", "two records of one key and update time differ"),
    "W-OUTSIDE-PERIOD": ("warning", "exchange-outside-period", "measured outside the period of participation"),
    "W-ALIAS": ("warning", "exchange-alias", "a misspelled name was read for the right one"),
    "W-STALE": ("warning", "exchange-stale", "a record older than the one known of its key is not shown"),
    "W-FUTURE": ("warning", "exchange-future", "measured more than 24 hours after the file was sent"),
    "W-UNKNOWN-KEY": ("warning", "exchange-unknown-key", "the convention has no such item; it is kept as it came"),
    "W-UNKNOWN-TYPE": ("warning", "exchange-unknown-type", "the convention has no such records; they are kept as they came"),
    "W-NUMERIC-STRING": ("warning", "exchange-numeric-string", "a number was written as a string"),
    "W-UPDATE14": ("warning", "exchange-update14", "the update time has no milliseconds; they are read as 000"),
    "W-NO-LIST": ("warning", "exchange-no-list", "registration lists are not configured, so this was not checked:"),
    "W-EMPTY": ("warning", "exchange-empty", "an empty item was read as one that is absent"),
    "W-BOM": ("warning", "exchange-bom", "the file begins with a byte-order mark"),
}  # fmt: skip
"""Sheet code -> (severity, issue code, words)."""
WORDS: Final = {code: Words(*words) for code, words in _WORDS.items()}


_NAMED: Final = frozenset({"E-REQUIRED", "E-TYPE", "E-DIGITS", "E-DATE", "E-CODE", "E-RANGE"})
"""Codes that the sheet spells with the name of the item; of the others the pointer says where."""


def finding(code: str, where: str, name: str = "") -> Issue:
    """One finding; `name` is the item, or what else the words end in."""
    words = WORDS[code]
    if code == "W-NO-LIST":
        return Issue(words.severity, words.issue, where, f"{code} {words.text} {name}")
    return Issue(
        words.severity, words.issue, where, f"{code}:{name} {words.text}" if code in _NAMED else f"{code} {words.text}"
    )


def of_person(issue: Issue) -> Issue:
    """A header finding about one person: it refuses that person and not the file."""
    return Issue("error", "exchange-header", issue.where, issue.text)


def sheet_code(issue: Issue) -> str:
    """`E-DIGITS:step` of an issue made here."""
    return issue.text.partition(" ")[0]


def pointer(*parts: str | int) -> str:
    """RFC 6901."""
    return "".join(f"/{part}" if isinstance(part, int) else "/" + escaped(part) for part in parts)


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The answer to a file: one OperationOutcome with one issue a finding; `expression` is the JSON pointer."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": issue.severity,
                "code": "invalid" if issue.severity != "warning" else "informational",
                "details": {
                    "coding": [
                        {"system": ISSUE_CODES, "code": issue.code},
                        {"system": SYSTEM, "code": sheet_code(issue)},
                    ],
                    "text": issue.text,
                },
                **({"expression": [issue.where]} if issue.where else {}),
            }
            for issue in issues
        ],
    }
