"""Weights out of records: what the file teaches is found again, what it cannot teach stays."""

import tomllib
from pathlib import Path

import pytest

from gateway.errors import BadInput
from gateway.model.person import Demographics
from gateway.sandbox.persons import records
from gateway.services.matching import Features, Matching, training, weights
from gateway.services.matching.evaluation import evaluate

MATCHING = Matching.load()
START = weights.parsed(None)


@pytest.fixture(scope="module")
def people() -> list[Features]:
    return [MATCHING.features(line.demographics, line.ids) for line in records(9, 2_500)]


@pytest.fixture(scope="module")
def learnt(people: list[Features]) -> training.Learnt:
    training_pairs = training.RANDOM_PAIRS
    try:
        training.RANDOM_PAIRS = 40_000
        return training.train(MATCHING, people, START)
    finally:
        training.RANDOM_PAIRS = training_pairs


def test_the_shares_of_chance_are_counted(learnt: training.Learnt) -> None:
    assert learnt.u["sex"]["equal"] == pytest.approx(0.5, abs=0.02)
    assert learnt.u["birth"]["equal"] < 0.0005


def test_true_pairs_agree_where_they_should(learnt: training.Learnt) -> None:
    m = learnt.m
    assert m["sex"]["equal"] > 0.9 and m["birth"]["equal"] > 0.8
    assert m["given"]["exact"] > 10 * learnt.u["given"]["exact"]
    assert m["phone"]["equal"] > 0.3 > learnt.u["phone"]["equal"]


def test_common_names_are_counted(learnt: training.Learnt) -> None:
    assert learnt.family["佐藤"] == pytest.approx(0.015, abs=0.008)
    assert list(learnt.family.values()) == sorted(learnt.family.values(), reverse=True)


def test_the_same_records_teach_the_same(people: list[Features]) -> None:
    few = people[:300]
    assert training.train(MATCHING, few, START) == training.train(MATCHING, few, START)


def test_records_that_say_nothing_change_nothing() -> None:
    empty = [MATCHING.features(Demographics())] * 150
    learnt = training.train(MATCHING, empty, START)
    assert learnt.m["birth"]["equal"] == pytest.approx(START["birth"]["equal"]["m"], rel=0.05)
    assert learnt.u["birth"]["equal"] == pytest.approx(START["birth"]["equal"]["u"], rel=0.05)


def test_too_few_records_are_refused() -> None:
    with pytest.raises(BadInput):
        training.train(MATCHING, [MATCHING.features(Demographics())] * 3, START)


def test_what_is_printed_is_a_file_that_works(learnt: training.Learnt, tmp_path: Path) -> None:
    text = training.toml(START, learnt)
    values = tomllib.loads(text)
    assert values["outcome"] == START["outcome"] and values["rules"] == START["rules"]
    (tmp_path / "matching.toml").write_text(text, "utf-8")
    trained = Matching.load(tmp_path)
    assert trained.version.startswith("1-trained+")
    found = evaluate(trained, records(10, 1_000))
    assert found.wrong_links == 0 and found.recall > 0.95


def test_text_of_the_file_is_quoted() -> None:
    said = {"why": 'a "b" \\ c\n結び', "list": ["x", 1.5]}
    assert tomllib.loads(f"v = {training._value(said)}") == {"v": said}
