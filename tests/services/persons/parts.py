"""A person index over a real storage, with two hospitals, a medical ID and an insurer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, Fed, FeedKind, PersonFeed, PersonName
from gateway.services.ingest.deriving import derivations
from gateway.services.matching import Matching
from gateway.services.persons import Desk, Persons
from gateway.services.persons.describing import Mode, describing
from gateway.storage.opening import Storage, opened
from tests.storage.making import DOMAIN, database_url, ticking

A, B, C = "1.2.392.200119.99999.21", "1.2.392.200119.99999.22", "1.2.392.200119.99999.23"
MEDICAL, INSURER = "1.2.392.200119.99999.3", "1.2.392.200119.99999.4"
AUTHORITIES = (
    Authority(A, "A", "Hospital A", institution="1312345670"),
    Authority(B, "B", "Hospital B"),
    Authority(C, "C", "Hospital C"),
    Authority(MEDICAL, "MED", "医療等ID", kind="medical-id"),
    Authority(INSURER, "INS", "被保険者番号", kind="insurer"),
)
CALLER = Caller()
SATO = Demographics(
    names=(
        PersonName("佐藤", "花子", "佐藤 花子", "kanji"),
        PersonName("サトウ", "ハナコ", "サトウ ハナコ", "kana"),
    ),
    birth_date="19800502",
    sex="F",
    telecoms=("03-1234-5678",),
)
TANAKA = Demographics(
    names=(
        PersonName("田中", "一郎", "田中 一郎", "kanji"),
        PersonName("タナカ", "イチロウ", "タナカ イチロウ", "kana"),
    ),
    birth_date="19551231",
    sex="M",
)


class World:
    """Persons with short words for tests; the minutes of events count up unless they are given."""

    def __init__(self, persons: Persons, storage: Storage) -> None:
        self.persons, self.storage = persons, storage
        self.desk = Desk(persons)
        self.caller, self.insurer = CALLER, INSURER
        self._minute = 0

    def feed(
        self,
        kind: FeedKind,
        *ids: PatientId,
        prior: tuple[PatientId, ...] = (),
        known: Demographics | None = SATO,
        at: int | None = None,
        control_id: str = "",
    ) -> Fed:
        return self.persons.feed(self.event(kind, *ids, prior=prior, known=known, at=at, control_id=control_id), CALLER)

    def event(
        self,
        kind: FeedKind,
        *ids: PatientId,
        prior: tuple[PatientId, ...] = (),
        known: Demographics | None = SATO,
        at: int | None = None,
        control_id: str = "",
    ) -> PersonFeed:
        self._minute += 1
        minute = self._minute if at is None else at
        time = f"20260101{minute // 60:02d}{minute % 60:02d}00000"
        return PersonFeed(kind, ids, prior, known, time, "APP|FAC", control_id or f"C{minute}", "ITI-8")

    def xref(self, id_: PatientId, *domains: str) -> list[str]:
        """`value@last arc` of the other ids, without the enterprise id."""
        found = self.persons.cross_reference(id_, domains, UNRESTRICTED)
        return [f"{one.value}@{one.authority.rpartition('.')[2]}" for one in found if one.authority != DOMAIN]


def a(value: str) -> PatientId:
    return PatientId(value, A)


def b(value: str) -> PatientId:
    return PatientId(value, B)


def c(value: str) -> PatientId:
    return PatientId(value, C)


def med(value: str) -> PatientId:
    return PatientId(value, MEDICAL)


def moved(known: Demographics, **changes: object) -> Demographics:
    return replace(known, **changes)  # type: ignore[arg-type]  # words of a test


@contextmanager
def world(folder: Path, mode: Mode = "off", *, matching: Matching | None = None) -> Iterator[World]:
    compared = matching or (None if mode == "off" else Matching.load(None, AUTHORITIES))
    clock = ticking()
    url = database_url(folder)
    derive = derivations(DOMAIN, describing(compared, mode))
    with opened(url, folder / "blobs", affinity_domain=DOMAIN, derive=derive, clock=clock) as parts:
        persons = Persons(parts.persons, parts.keeping, clock, AUTHORITIES, DOMAIN, compared, mode == "auto")
        yield World(persons, parts)
