"""What matching links by itself, what goes to people, and what people say; and that no order matters."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import InvalidParameter, UnknownPatient, UnknownResource
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonFeed, PersonName
from gateway.services.persons import feeding
from tests.services.persons.parts import CALLER, SATO, TANAKA, A, B, C, World, a, b, c, med, moved, world
from tests.storage.making import record

HOME = (PersonAddress("100-0001", "東京都", "千代田区", "千代田1-1", "東京都千代田区千代田1-1"),)
FULL = moved(SATO, addresses=HOME)
HALF = moved(
    FULL,
    names=(PersonName("サトウ", "ハナコ", "サトウ ハナコ", "kana"),),
    telecoms=(),
    addresses=(),
)
"""Kana name, birth date and sex alone: a namesake may have been born that day too."""
TWIN = moved(
    FULL,
    names=(PersonName("佐藤", "桃子", "佐藤 桃子", "kanji"), PersonName("サトウ", "モモコ", "サトウ モモコ", "kana")),
)


def jobs(w: World) -> list[dict[str, object]]:
    return [json.loads(job.payload) for job in w.storage.outbox.pending("identity-changed", 100)]


def test_equal_records_of_two_domains_are_linked(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        assert w.feed("add", a("1"), known=FULL).links == ()
        fed = w.feed("add", b("9"), known=FULL)
        assert fed.links == (a("1"),) and not fed.review
        assert w.xref(a("1")) == ["9@22"]
        line = w.desk.history(a("1"), UNRESTRICTED)[-1]
        assert (line.what, set(line.ids), line.rule) == ("linked", {a("1"), b("9")}, "all-equal")
        assert line.version == w.persons.matching.version
        assert jobs(w)[-1]["ids"] == [["1", A], ["9", b("9").authority]]


def test_off_links_nobody_and_review_asks_people(tmp_path: Path) -> None:
    for mode, reviews in (("off", 0), ("review", 1)):
        (tmp_path / mode).mkdir()
        with world(tmp_path / mode, mode) as w:
            w.feed("add", a("1"), known=FULL)
            fed = w.feed("add", b("9"), known=FULL)
            assert fed.links == () and fed.review == reviews
            assert len(w.desk.reviews(0, 10, "open", UNRESTRICTED)) == reviews


def test_two_of_one_domain_are_never_linked_without_people(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        fed = w.feed("add", a("2"), known=FULL)
        assert fed.links == () and fed.review == 1
        # Nor by a third of another domain that is like both.
        w.feed("add", b("9"), known=FULL)
        assert len([one for one in (w.xref(a("1")), w.xref(a("2"))) if one == ["9@22"]]) == 1
        assert len(w.desk.reviews(0, 10, "open", UNRESTRICTED)) == 2


def test_twins_are_not_put_together_by_a_record_without_a_given_name(tmp_path: Path) -> None:
    vague = moved(FULL, names=(PersonName("佐藤", "", "佐藤", "kanji"),))
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("2"), known=TWIN)
        w.feed("add", c("3"), known=vague)
        assert "2@22" not in w.xref(a("1"))


def test_what_people_say_stands_above_matching(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", a("2"), known=FULL)
        (review,) = w.desk.reviews(0, 10, "open", UNRESTRICTED)
        assert {review.one.id, review.other.id} == {a("1"), a("2")} and review.comparison.outcome == "review"
        said = w.desk.decide(review.number, "same", "clerk", "same card shown", CALLER)
        assert (said.decision, said.decided_by, said.reason) == ("same", "clerk", "same card shown") and said.decided_at
        assert w.xref(a("1")) == ["2@21"]
        w.feed("revise", a("2"), known=moved(FULL, telecoms=("0312345678",)))
        assert w.xref(a("1")) == ["2@21"]
        assert w.desk.reviews(0, 10, "open", UNRESTRICTED) == []
        assert [one.number for one in w.desk.reviews(0, 10, "decided", UNRESTRICTED)] == [review.number]
        w.desk.undo(review.number, "chief", CALLER)
        assert w.xref(a("1")) == []
        assert len(w.desk.reviews(0, 10, "open", UNRESTRICTED)) == 1
        whats = [line.what for line in w.desk.history(a("1"), UNRESTRICTED)]
        assert whats == ["added", "decided", "linked", "undone", "separated"]


def test_different_takes_a_link_apart_and_keeps_it_apart(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("9"), known=FULL)
        w.feed("add", c("5"), known=FULL)
        assert w.xref(a("1")) == ["9@22", "5@23"]
        w.feed("add", a("2"), known=FULL)
        numbers = {frozenset((r.one.id, r.other.id)): r.number for r in w.desk.reviews(0, 10, "open", UNRESTRICTED)}
        w.desk.decide(numbers[frozenset((a("1"), a("2")))], "different", "clerk", "", CALLER)
        w.desk.decide(numbers[frozenset((a("2"), b("9")))], "same", "clerk", "", CALLER)
        assert "2@21" not in w.xref(a("1"))
        assert "2@21" in w.xref(b("9"))
        with pytest.raises(UnknownResource):
            w.desk.decide(99, "same", "clerk", "", CALLER)
        with pytest.raises(InvalidParameter):
            w.desk.decide(numbers[frozenset((a("1"), a("2")))], "perhaps", "clerk", "", CALLER)  # type: ignore[arg-type]


def test_a_shared_medical_id_links_what_matching_would_not(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), med("M1"), known=HALF)
        w.feed("add", b("9"), med("M1"), known=moved(HALF, names=(PersonName("鈴木", "花子", "鈴木 花子", "kanji"),)))
        assert w.xref(a("1"), b("9").authority) == ["9@22"]


def test_a_revision_takes_a_link_back(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("9"), known=FULL)
        w.feed("revise", b("9"), known=TANAKA)
        assert w.xref(a("1")) == []
        assert jobs(w)[-1]["ids"] in ([["1", A]], [["9", b("9").authority]])


def test_match_and_preview_store_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("9"), known=TANAKA)
        (found,) = w.persons.match(FULL, (), UNRESTRICTED)
        assert (found.id, found.grade) == (a("1"), "certain") and found.score > 0.99
        assert w.persons.match(FULL, (), UNRESTRICTED, certain_only=True) == (found,)
        (half,) = w.persons.match(HALF, (), UNRESTRICTED)
        assert half.grade in ("probable", "possible")
        assert w.persons.match(HALF, (), UNRESTRICTED, certain_only=True) == ()
        event = w.event("add", c("5"), known=FULL)
        ((record, said),) = w.persons.preview(event, UNRESTRICTED)
        assert record.id == a("1") and said.outcome == "link"
        with pytest.raises(UnknownPatient):
            w.xref(c("5"))


def test_a_scope_hides_persons_links_and_candidates(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("9"), known=FULL)
        w.feed("add", a("2"), known=FULL)
        hidden = Scope(None, None, frozenset({b("9").authority}))
        nobody = Scope(frozenset(), None)
        assert all(one.authority != b("9").authority for one in w.persons.cross_reference(a("1"), (), hidden))
        for scope in (hidden, nobody):
            with pytest.raises(UnknownPatient):
                w.persons.cross_reference(b("9"), (), scope)
            assert w.persons.record(b("9"), scope) is None
            assert all(r.id.authority == A for r in w.persons.match(FULL, (), scope))
        assert w.persons.match(FULL, (), nobody) == ()
        assert w.desk.reviews(0, 10, "all", nobody) == []
        assert w.desk.history(a("1"), nobody) == []


# --- no order matters -----------------------------------------------------------------------------------------------


def _events() -> list[PersonFeed]:
    def event(
        kind: str, minute: int, *ids: PatientId, prior: tuple[PatientId, ...] = (), known: Demographics | None = None
    ) -> PersonFeed:
        return PersonFeed(kind, ids, prior, known, f"2026010100{minute:02d}00000", "S", f"{minute}", "ITI-8")  # type: ignore[arg-type]

    return [
        event("add", 1, a("1"), known=FULL),
        event("add", 2, b("9"), known=FULL),
        event("add", 3, c("5"), med("M1"), known=HALF),
        event("add", 4, a("2"), med("M1"), known=HALF),
        event("add", 5, b("8"), known=TWIN),
        event("revise", 6, b("9"), med("M2"), known=FULL),
        event("revise", 7, c("5"), med("M1"), known=FULL),
        event("add", 8, c("6"), known=TANAKA),
        event("add", 9, a("7"), known=TANAKA),
    ]


def _state(w: World) -> dict[str, object]:
    ask = w.storage.lookups.rows
    number = dict(ask("SELECT n, authority || '|' || value FROM person_record"))
    pairs = ask("SELECT one, other, outcome, held FROM person_pair WHERE outcome <> 'separate'")
    return {
        "identity": sorted(ask("SELECT authority, value, eid FROM identity")),
        "patients": sorted(ask("SELECT patient, eid FROM identity_patient")),
        "resources": sorted(ask("SELECT type, rid, eid, body FROM resource WHERE deleted = 0")),
        "records": sorted(ask("SELECT authority, value, birth_date, sex, state, features FROM person_record")),
        "terms": sorted((number[n], *rest) for n, *rest in ask("SELECT n, kind, value, birth_date FROM person_term")),
        "pairs": sorted((tuple(sorted((number[one], number[other]))), *rest) for one, other, *rest in pairs),
    }


def _in_order(folder: Path, events: list[PersonFeed], after: Callable[[World], None]) -> dict[str, object]:
    folder.mkdir()
    with world(folder, "auto") as w:
        for one in events:
            w.persons.feed(one, CALLER)
        after(w)
        return _state(w)


def _late(w: World) -> None:
    """Statements need their records; among themselves they too come in any order."""
    w.feed("merge", a("1"), prior=(a("7"),), at=70, known=None)
    w.feed("link", b("8"), prior=(c("6"),), at=71, known=None)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_arrival_does_not_matter(tmp_path: Path, seed: int) -> None:
    events = _events()
    expected = _in_order(tmp_path / "in-order", events, _late)
    random.Random(seed).shuffle(events)
    assert _in_order(tmp_path / "shuffled", events + events[:3], _late) == expected


def _stated() -> list[PersonFeed]:
    """Statements among them, which no service checks here: a circle, a repeated merge, a deletion and a new life."""

    def event(kind: str, minute: int, *ids: PatientId, prior: tuple[PatientId, ...] = ()) -> PersonFeed:
        known = None if kind in ("link", "unlink", "delete") else FULL
        return PersonFeed(kind, ids, prior, known, f"2026010101{minute:02d}00000", "S", f"s{minute}", "ITI-8")  # type: ignore[arg-type]

    return [
        event("merge", 1, a("1"), prior=(a("2"),)),
        event("merge", 2, a("2"), prior=(a("1"),)),
        event("merge", 3, a("7"), prior=(a("2"),)),
        event("merge", 4, a("7"), prior=(a("1"),)),
        event("unlink", 5, b("9"), prior=(c("5"),)),
        event("link", 6, b("8"), prior=(c("6"),)),
        event("delete", 7, b("8")),
        event("delete", 8, c("6")),
        event("add", 9, c("6")),
        event("change-id", 10, b("90"), prior=(b("9"),)),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_nor_does_the_order_of_statements(tmp_path: Path, seed: int) -> None:
    found = []
    for name in ("in-order", "shuffled"):
        (tmp_path / name).mkdir()
        events = [*_events(), *_stated()]
        if name == "shuffled":
            random.Random(seed).shuffle(events)
        with world(tmp_path / name, "auto") as w:
            known = {one.oid: one for one in w.persons.domains()}
            for one in events:
                w.persons.keeping.keep([feeding.outcome(one, feeding.messages(one, known))], record)
            found.append(_state(w))
    for name, rows in found[0].items():
        assert found[1][name] == rows, name


def _anything(chance: random.Random) -> list[PersonFeed]:
    """26 events about twelve numbers: feeds, merges, links, deletions and changes of number, sensible or not."""
    ids = [domain(str(n)) for domain in (a, b, c) for n in range(4)]
    found: list[PersonFeed] = []
    for n in range(26):
        kind = chance.choice(["add"] * 6 + ["revise"] * 3 + ["merge", "merge", "link", "unlink", "delete", "change-id"])
        own = chance.choice(ids)
        others = [id_ for id_ in ids if id_ != own]
        prior: tuple[PatientId, ...] = ()
        if kind in ("merge", "change-id"):
            prior = (chance.choice([id_ for id_ in others if id_.authority == own.authority]),)
        elif kind in ("link", "unlink"):
            prior = (chance.choice(others),)
        known = None if kind in ("link", "unlink", "delete") else chance.choice([FULL, FULL, HALF, TWIN, TANAKA])
        more = (
            chance.sample([med("M1"), med("M2"), chance.choice(others)], chance.choice([0, 0, 0, 1])) if known else []
        )
        time = f"20260101{chance.randint(1, 9):02d}{n:02d}00000"
        found.append(PersonFeed(kind, (own, *more), prior, known, time, "S", str(n), "ITI-8"))  # type: ignore[arg-type]
    return found


def _whatever_order(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    events = _anything(chance)
    found = []
    for name in ("in-order", "shuffled"):
        (folder / f"{name}-{seed}").mkdir()
        with world(folder / f"{name}-{seed}", "auto") as w:
            known = {one.oid: one for one in w.persons.domains()}
            for one in events:
                w.persons.keeping.keep([feeding.outcome(one, feeding.messages(one, known))], record)
            found.append(_state(w))
        chance.shuffle(events)
    for name, rows in found[0].items():
        assert found[1][name] == rows, (seed, name)


@pytest.mark.parametrize("seed", [7, 101, 136, 195, *range(8)])
def test_nor_does_that_of_anything_that_may_be_said(tmp_path: Path, seed: int) -> None:
    _whatever_order(tmp_path, seed)


@pytest.mark.long
def test_nor_in_a_thousand_histories(tmp_path: Path) -> None:
    for seed in range(1000, 2000):
        _whatever_order(tmp_path, seed)


def test_twins_stay_two_while_their_duplicates_are_merged_in_three_domains(tmp_path: Path) -> None:
    hana = moved(SATO, multiple_birth=True, birth_order=1)
    names = (PersonName("佐藤", "雪子", "佐藤 雪子", "kanji"), PersonName("サトウ", "ユキコ", "サトウ ユキコ", "kana"))
    yuki = moved(SATO, names=names, multiple_birth=True, birth_order=2)
    with world(tmp_path, "auto") as w:
        for known, number, medical in ((hana, "1", "M1"), (yuki, "2", "M2")):
            for domain in (a, b, c):
                w.feed("add", domain(number), med(medical), known=known)
                w.feed("add", domain(f"9{number}"), known=known)  # registered twice in each hospital
        for domain in (c, a, b):
            for number in ("2", "1"):
                w.feed("merge", domain(number), prior=(domain(f"9{number}"),), known=None)
        for number, other in (("1", "2"), ("2", "1")):
            for domain in (a, b, c):
                found = w.xref(domain(number), A, B, C)
                assert sorted(one.split("@")[0] for one in found) == [number, number]
                with pytest.raises(UnknownPatient):
                    w.xref(domain(f"9{number}"))
            assert w.xref(med(f"M{number}"), A, B, C) == [f"{number}@21", f"{number}@22", f"{number}@23"]
            assert f"{other}@21" not in w.xref(med(f"M{number}"))
