"""Who knows a person: learnt once, forgotten after a merge, asked anew where the id is known no longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import Unavailable, UnknownPatient
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, PersonName
from gateway.ports import Correlated
from gateway.services.federation.discovery import Discovery, Found, Whom, contradicts
from tests.persons_fake import AUTHORITIES, FakePersons

REGION, TOKYO, MEDICAL, OSAKA = (one.oid for one in AUTHORITIES)
PEER = "urn:oid:1.2.392.200119.99999.20"
HANAKO = Demographics((PersonName("見本", "花子"),), "19700405", "F")
LOCAL, SHARED, THERE = PatientId("77", TOKYO), PatientId("M1", MEDICAL), PatientId("e9", "1.2.3")


class Memory:
    """ports.Correlations in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self.rows: dict[tuple[str, str], Correlated] = {}
        self.clock = clock

    def of(self, person: str) -> list[Correlated]:
        now = self.clock.now().timestamp()
        return [one for (who, _), one in self.rows.items() if who == person and one.expires_s > now]

    def put(self, correlated: Correlated) -> None:
        self.rows[correlated.person, correlated.home] = correlated

    def drop(self, person: str, home: str) -> None:
        self.rows.pop((person, home), None)


class World:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.persons = FakePersons()
        self.persons.put("e1", HANAKO, LOCAL, SHARED)
        clock = Clock(lambda: self.now)
        self.memory = Memory(clock)
        known: tuple[Authority, ...] = AUTHORITIES
        self.discovery = Discovery(self.persons, self.memory, clock, known, REGION)  # type: ignore[arg-type]
        self.answers: list[Found | Exception] = []
        self.told: list[Whom] = []

    def discover(self, whom: Whom, left_s: float) -> Found:
        self.told.append(whom)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, strangers: tuple[PatientId, ...] = (), patient: PatientId = LOCAL) -> Any:
        def put(id_: PatientId, left_s: float) -> PatientId:
            if id_ in strangers:
                raise UnknownPatient("who?")
            return id_

        memory = self.discovery.memory(self.discovery.whom(patient, UNRESTRICTED))
        return self.discovery.asked(PEER, memory, self.discover, put, 10)


@pytest.fixture
def world() -> World:
    return World()


def test_learnt_once_and_remembered_for_as_long_as_it_was_said(world: World) -> None:
    world.answers = [Found((THERE,), 60.0), Found((THERE,), None)]
    assert world.ask() == world.ask() == THERE and len(world.told) == 1
    world.now += timedelta(seconds=61)
    assert world.ask() == THERE and len(world.told) == 2


def test_others_are_told_our_own_id_and_shared_ones_and_no_number_of_a_hospital(world: World) -> None:
    world.answers = [Found((THERE,))]
    world.ask()
    (whom,) = world.told
    assert whom.ids == (PatientId("e1", REGION), SHARED) and LOCAL not in whom.ids
    assert whom.demographics == HANAKO and whom.shared == SHARED


def test_who_knows_nobody_is_not_asked_again_for_a_while(world: World) -> None:
    world.answers = [Found(()), Found((THERE,))]
    for _ in range(3):
        with pytest.raises(UnknownPatient):
            world.ask()
    assert len(world.told) == 1
    world.now += timedelta(seconds=301)
    assert world.ask() == THERE


def test_a_merge_or_a_new_link_asks_again(world: World) -> None:
    world.answers = [Found((THERE,)), Found((THERE,)), Found((THERE,))]
    world.ask()
    world.persons.put("e1", HANAKO, PatientId("78", OSAKA))
    world.ask()
    world.persons.put("e1", replace(HANAKO, birth_date="19700406"), LOCAL)
    world.ask()
    assert len(world.told) == 3


def test_an_id_that_is_known_no_longer_is_asked_for_anew_within_the_question(world: World) -> None:
    other = PatientId("e10", "1.2.3")
    world.answers = [Found((THERE,)), Found((other,))]
    world.ask()
    assert world.ask(strangers=(THERE,)) == other
    assert world.ask() == other and len(world.told) == 2
    world.answers = [Found(())]
    with pytest.raises(UnknownPatient):
        world.ask(strangers=(other,))


def test_a_failure_is_not_remembered(world: World) -> None:
    world.answers = [Unavailable("down"), Found((THERE,))]
    with pytest.raises(Unavailable):
        world.ask()
    assert world.ask() == THERE


def test_a_community_without_discovery_is_asked_by_the_shared_id(world: World) -> None:
    whom = world.discovery.whom(LOCAL, UNRESTRICTED)
    memory = world.discovery.memory(whom)
    assert world.discovery.asked(PEER, memory, None, lambda id_, left: id_, 10) == SHARED
    stranger = PatientId("9", "1.2.99")
    unknown = world.discovery.whom(stranger, UNRESTRICTED)
    assert (unknown.known, unknown.ids, unknown.person) == (False, (stranger,), str(stranger))
    assert world.discovery.asked(PEER, world.discovery.memory(unknown), None, lambda id_, left: id_, 10) == stranger


@pytest.mark.parametrize(
    ("born", "ids", "another"),
    [
        ("19700405", {}, False),
        ("1970", {}, False),
        ("", {}, False),
        ("19710405", {}, True),
        ("", {MEDICAL: "M1"}, False),
        ("", {MEDICAL: "M2"}, True),
        ("19700405", {TOKYO: "1"}, False),
    ],
)
def test_somebody_else(world: World, born: str, ids: dict[str, str], another: bool) -> None:
    assert contradicts(world.discovery.whom(LOCAL, UNRESTRICTED), born, ids) is another
