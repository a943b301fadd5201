"""Counts of a measurement, on records made by hand and on invented people."""

from gateway.codec.persons import PersonLine
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics
from gateway.sandbox.people import MEDICAL_ID_OID
from gateway.sandbox.persons import records
from gateway.services.matching import Matching
from gateway.services.matching.evaluation import MAX_BLOCK, candidates, evaluate
from tests.person_parts import person

MATCHING = Matching.load(None, [Authority(MEDICAL_ID_OID, kind="medical-id")])


def line(number: int, said: Demographics, own: str, twins: int = 0) -> PersonLine:
    return PersonLine(number, (PatientId(own, f"9.{own}"),), said, twins)


def test_links_reviews_and_what_was_missed() -> None:
    vague = person(home="", postal="", phone="")
    stranger = person("勅使河原 櫂", "テシガワラ カイ", birth="19330303", home="", postal="", phone="")
    lines = [
        line(1, person(), "1"),
        line(1, person(), "2"),
        line(2, person("見本 健", "ミホン ケン"), "3"),
        line(1, vague, "4"),
        line(2, stranger, "5"),
    ]
    found = evaluate(MATCHING, lines)
    assert (found.records, found.true_pairs) == (5, 4)
    assert (found.links, found.wrong_links, found.reviews, found.true_reviews) == (1, 0, 2, 2)
    assert (found.precision, found.recall, found.recall_linked) == (1.0, 0.75, 0.25)
    assert [(one.ids[0].value, other.ids[0].value) for one, other in found.missed] == [("3", "5")]


def test_a_wrong_link_is_counted_and_of_twins_twice() -> None:
    lines = [line(1, person(), "1", twins=1), line(2, person(), "2", twins=1), line(3, person(), "3")]
    found = evaluate(MATCHING, lines)
    assert (found.links, found.wrong_links, found.twins_linked, found.precision) == (3, 3, 1, 0.0)


def test_a_key_that_everybody_has_is_left() -> None:
    shared = [MATCHING.features(Demographics(telecoms=("03-1234-5678",)))] * (MAX_BLOCK + 10)
    assert sum(1 for _ in candidates(MATCHING, shared)) < MAX_BLOCK * (MAX_BLOCK + 20) / 2


def test_nobody_at_all() -> None:
    found = evaluate(MATCHING, [])
    assert (found.precision, found.recall, found.records) == (1.0, 1.0, 0)


def test_invented_people_are_found_and_twins_stay_two() -> None:
    found = evaluate(MATCHING, records(seed=4711, persons=3_000))
    assert found.true_pairs > 250
    assert found.wrong_links == 0 and found.twins_linked == 0
    assert found.recall >= 0.97
    assert found.reviews - found.true_reviews < found.records / 100, "people have better things to do"
