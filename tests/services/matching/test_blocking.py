"""Records of one person meet under a key, and a key says nothing to who reads it."""

import pytest

from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.services.matching.blocking import MAX_KEYS, keys
from gateway.services.matching.features import features
from tests.person_parts import person

BASE = person("佐藤 翔太", "サトウ ショウタ")
FAR = {"home": "大阪府例示市1-1", "postal": "500-0001", "phone": "06-9999-1111"}


@pytest.mark.parametrize(
    "other",
    [
        person("佐藤 翔太", "サトウ ショウタ", **FAR),
        person("", "", "SATOH SHOTA", **FAR),
        person("", "ｻﾄｰ ｼﾖｳﾀ", **FAR),
        person("翔太 佐藤", "", **FAR),
        person("", "ショウタサトウ", **FAR),
        person("鈴木 翔太", "スズキ ショウタ", **FAR),
        person("佐藤 健", "サトウ ケン", **FAR),
        person("佐藤 翔太", "", birth="19800201", **FAR),
        person("佐藤 翔太", "", birth="1980", **FAR),
        person("佐藤 翔太", "", birth="19550102", **FAR),
        person("鈴木 翔", "スズキ カケル", **{**FAR, "postal": "100-0099"}),
        person("鈴木 翔", "スズキ カケル", birth="", **{**FAR, "phone": "+81 3-1234-5678"}),
        person("佐藤 翔太", "", birth="", **{**FAR, "postal": "100-0099"}),
        person("鈴木 花", "スズキ ハナ", former="佐藤 花", **FAR),
    ],
)
def test_these_meet(other: Demographics) -> None:
    assert set(keys(features(BASE))) & set(keys(features(other)))


@pytest.mark.parametrize(
    "other",
    [
        person("佐藤 翔太", "サトウ ショウタ", birth="19620708", **FAR),
        person("鈴木 花", "スズキ ハナ", **FAR),
        Demographics(),
    ],
)
def test_these_do_not(other: Demographics) -> None:
    assert not set(keys(features(BASE))) & set(keys(features(other)))


def test_a_shared_id_is_a_key() -> None:
    shared = PatientId("M1", "9.3")
    one, other = (features(Demographics(), (PatientId(own, "9.1"), shared)) for own in "12")
    assert len(set(keys(one)) & set(keys(other))) == 1


def test_keys_are_few_short_and_unreadable() -> None:
    crowded = Demographics(
        tuple(PersonName(f"名{n}", f"字{n}") for n in range(30)) + tuple(PersonName(f"ナ{n}", "ア") for n in range(30)),
        "19800102",
        "M",
        tuple(PersonAddress(f"100-{n:04d}") for n in range(30)),
        tuple(f"03-1234-{n:04d}" for n in range(30)),
    )
    made = keys(features(crowded, tuple(PatientId(str(n), "9.1") for n in range(30))))
    assert len(made) == MAX_KEYS
    assert all(len(key) == 12 and key.isascii() for key in made)
    assert keys(features(crowded)) == keys(features(crowded))
    assert len(keys(features(BASE))) <= 12
