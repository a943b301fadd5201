"""How a community answered: one vocabulary for rows, FHIR and XDS."""

from typing import Final, Literal, NamedTuple

from gateway.errors import Forbidden, GatewayError, Unavailable, UnknownPatient

OutcomeWord = Literal["ok", "nothing", "timeout", "failed", "refused", "consent", "open"]
"""`nothing`: it holds nothing of this person, which is an answer. `consent`: the patient's consent holds it back.
`open`: it failed often, and is left alone for a while."""

ANSWERED: Final = frozenset({"ok", "nothing"})

ISSUE_TYPES: Final[dict[str, str]] = {
    "timeout": "timeout",
    "failed": "processing",
    "refused": "forbidden",
    "consent": "forbidden",
    "open": "transient",
}
"""http://hl7.org/fhir/issue-type of a community that did not answer. One that cannot be reached is `transient`."""


class Consent(Forbidden):
    """The patient's consent holds the record back."""


class Down(Unavailable):
    """It is there and says that it cannot (HTTP 5xx): asking once more at once would only add to its trouble."""


class NoAnswer(GatewayError):
    """The breaker is open: the community is not asked."""


class Outcome(NamedTuple):
    """One community's part in an answer."""

    community: str
    """homeCommunityId"""
    name: str
    outcome: OutcomeWord
    ms: int
    transient: bool = False
    """A failure of the way there (no connection, HTTP 5xx), not of what was said."""
    alarms: tuple[str, ...] = ()
    """What of its answer was not believed or is missing; stable words, no data."""

    @property
    def answered(self) -> bool:
        return self.outcome in ANSWERED

    @property
    def issue(self) -> str:
        """FHIR issue type of a silent community."""
        return "transient" if self.transient else ISSUE_TYPES[self.outcome]

    def as_json(self) -> dict[str, object]:
        """The form of `musubi query --json`."""
        return {"community": self.community, "name": self.name, "outcome": self.outcome, "ms": self.ms}


def word_of(error: BaseException) -> OutcomeWord:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, Consent):
        return "consent"
    if isinstance(error, Forbidden):
        return "refused"
    if isinstance(error, UnknownPatient):
        return "nothing"
    return "open" if isinstance(error, NoAnswer) else "failed"
