"""Persons as the identity faces see them (PIX, PDQ, XCPD in HL7 v2, v3 and FHIR): demographics, feeds, queries, links.

One vocabulary for three wires. A person is known here as one record a patient-id domain; records that are one person
share an enterprise id (XAD-PID, the affinity domain's own id).
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from gateway.model.identity import PatientId

NameKind = Literal["kanji", "kana", "romaji", ""]
"""iso21090-EN-representation IDE, SYL, ABC; "" when nobody says."""


class PersonName(NamedTuple):
    family: str = ""
    given: str = ""
    text: str = ""
    """The whole name where the sender did not take it apart."""
    kind: NameKind = ""
    use: str = "official"
    """FHIR name-use; `maiden` and `old` are former names (旧姓)."""


class PersonAddress(NamedTuple):
    postal_code: str = ""
    state: str = ""
    city: str = ""
    line: str = ""
    text: str = ""
    country: str = ""
    use: str = ""


@dataclass(frozen=True, slots=True)
class Demographics:
    """What one record says about its person; nothing is folded or normalised here."""

    names: tuple[PersonName, ...] = ()
    birth_date: str = ""
    """YYYY, YYYYMM or YYYYMMDD."""
    sex: str = ""
    """HL7 table 0001: M, F, O, U, A, N; "" when unknown."""
    addresses: tuple[PersonAddress, ...] = ()
    telecoms: tuple[str, ...] = ()
    mothers_maiden_name: PersonName | None = None
    birth_order: int | None = None
    """Of a multiple birth (PID-25); twins are told apart by it where senders fill it."""
    multiple_birth: bool | None = None
    deceased: bool | None = None
    accounts: tuple[str, ...] = ()
    """Account numbers (PID-18): `value`, or CX where their authority is known."""
    mothers_ids: tuple[str, ...] = ()
    """The mother's numbers (PID-21), likewise."""


FeedKind = Literal["add", "revise", "merge", "link", "unlink", "change-id", "delete"]


@dataclass(frozen=True, slots=True)
class PersonFeed:
    """One message of a patient identity source (ITI-8, ITI-30, ITI-44, ITI-104), whatever wire it came by."""

    kind: FeedKind
    ids: tuple[PatientId, ...]
    """The record's own id first (the survivor of a merge), then other ids of the same list (PID-3)."""
    prior: tuple[PatientId, ...] = ()
    """The subsumed id of a merge (MRG-1), the id before a change, the other id of a link or unlink."""
    demographics: Demographics | None = None
    event_time: str = ""
    """17 digits: EVN-2, else MSH-7; feeds are applied in its order, whenever they arrive."""
    sender: str = ""
    """Application|facility (MSH-3|MSH-4), device id, or caller."""
    control_id: str = ""
    transaction: str = ""
    """`ITI-8`, `ITI-104`, ..."""
    nameless: bool = False
    """The sender says that there is no name: it is not one he forgot."""


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """One record of one domain as it stands now."""

    id: PatientId
    demographics: Demographics
    enterprise_id: str
    other_ids: tuple[PatientId, ...] = ()
    """All other ids of the person that the asker may see."""
    patient: str = ""
    """Logical id of the Patient resource."""
    active: bool = True
    score: Decimal | None = None
    """0 to 1, when the record was found by matching."""
    grade: str = ""
    """certain | probable | possible | certainly-not (http://terminology.hl7.org/CodeSystem/match-grade)"""


@dataclass(frozen=True, slots=True)
class PersonQuery:
    """A demographics query (ITI-21, ITI-47, ITI-78): everything given has to hold."""

    ids: tuple[PatientId, ...] = ()
    """Any of them. An empty value asks for any id of that authority."""
    family: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    """Of any part of any name. `*` at the end of a name is a wildcard; otherwise the whole part has to be equal after
    folding (width, kana, case, variant forms)."""
    exact: bool = False
    """Compare names as they are written."""
    birth_date: str = ""
    """Digits; a shorter one is a prefix."""
    birth_range: tuple[str, str] = ("", "")
    sex: str = ""
    postal_code: str = ""
    state: str = ""
    city: str = ""
    line: str = ""
    country: str = ""
    address: str = ""
    telecom: str = ""
    mothers_maiden_name: str = ""
    account: str = ""
    """Of PID-18: `value`, or CX to ask for it under its authority alone."""
    mothers_id: str = ""
    """Of PID-21, likewise."""
    active: bool | None = None
    patient: str = ""
    """Logical id of a Patient (`_id`)."""
    domains: tuple[str, ...] = ()
    """OIDs of the domains whose ids are wanted back (QPD-8, otherIDsScopingOrganization); () for all."""
    limit: int = 0
    """At most so many persons in one page; 0: all, up to the node's limit."""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class PersonPage:
    records: tuple[PersonRecord, ...]
    """One a person and answered domain, in an order that is the same for every page."""
    total: int


Outcome = Literal["link", "review", "separate"]


class Comparison(NamedTuple):
    """What matching thinks of two records."""

    outcome: Outcome
    score: Decimal
    """Sum of the attribute weights (log2 of m/u), or of a rule: its fixed score."""
    probability: Decimal
    rule: str
    """Name of the deterministic rule that decided, or `score`."""
    attributes: tuple[tuple[str, str, Decimal], ...]
    """(attribute, level of agreement, weight)"""


Decision = Literal["same", "different", "defer"]


@dataclass(frozen=True, slots=True)
class Review:
    """One pair that people have to look at."""

    number: int
    one: PersonRecord
    other: PersonRecord
    comparison: Comparison
    decision: Decision | Literal[""] = ""
    decided_by: str = ""
    decided_at: str = ""
    reason: str = ""


class HistoryLine(NamedTuple):
    """One change of who is whom."""

    at: str
    event_time: str
    what: str
    """`added`, `revised`, `merged`, `linked`, `unlinked`, `separated`, `decided`, `undone`, `deleted`; of a medical ID
    `issued`, `replaced`, `suspended`, `resumed`."""
    ids: tuple[PatientId, ...]
    who: str
    rule: str
    version: str
    """Of the matching rules that were in force."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a feed."""

    enterprise_id: str
    created: bool = False
    changed: bool = False
    links: tuple[PatientId, ...] = ()
    review: int = 0
    """Pairs that went to people."""
    warnings: tuple[str, ...] = field(default=())
