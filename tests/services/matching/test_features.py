"""What is kept of a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.services.matching.features import Features, features
from tests.person_parts import person


def test_a_record_and_what_storage_keeps_of_it() -> None:
    made = features(person("髙橋 一郎", "ﾀｶﾊｼ ｲﾁﾛｳ", "TAKAHASHI Ichiro"), (PatientId("１２a", "9.1"),))
    assert made.kanji[0][:2] == ("高橋", "一郎")
    assert made.kana[0][:3] == ("タカハシ", "イチロー", ("TAKAHASI", "ITIRO"))
    assert made.romaji[0].sound == ("TAKAHASI", "ITIRO")
    assert made.ids == (("9.1", "12a"),)
    assert Features.from_json(made.to_json()) == made


def test_nothing_is_kept_of_nothing() -> None:
    assert features(Demographics()) == Features()


@pytest.mark.parametrize(
    ("name", "family", "given"),
    [
        (PersonName(text="山田 太郎"), "山田", "太郎"),
        (PersonName(text="山田　太郎"), "山田", "太郎"),
        (PersonName("山田 太郎"), "山田", "太郎"),
        (PersonName("山田太郎"), "山田太郎", ""),
        (PersonName("", "太郎"), "太郎", ""),
        (PersonName("山田", "花子ベビー"), "山田", ""),
        (PersonName("山田ベビー"), "山田", ""),
        (PersonName("ベビー", "山田"), "山田", ""),
    ],
)
def test_names_that_nobody_took_apart(name: PersonName, family: str, given: str) -> None:
    made = features(Demographics((name,)))
    assert made.kanji[0][:2] == (family, given)
    assert made.newborn == ("ベビー" in name.family + name.given)


def test_the_script_is_looked_at_and_not_believed() -> None:
    made = features(Demographics((PersonName("ヤマダ", "タロウ", kind=""), PersonName("山田", "太郎", kind="kana"))))
    assert made.kana[0].family == "ヤマダ" and made.kanji[0].family == "山田"


def test_a_given_name_in_hiragana_stays_in_the_written_name() -> None:
    made = features(
        Demographics((PersonName("山田", "さくら", kind="kanji"), PersonName("ヤマダ", "サクラ", kind="kana")))
    )
    assert made.kanji[0].given == "サクラ" and made.kana[0].given == "サクラ"


def test_former_names_stand_last_and_old_addresses_nowhere() -> None:
    said = Demographics(
        (PersonName("旧見", "花子", use="maiden"), PersonName("新見", "花子")),
        addresses=(PersonAddress("100-0099", text="旧町1", use="old"),),
    )
    made = features(said)
    assert [(name.family, name.former) for name in made.kanji] == [("新見", False), ("旧見", True)]
    assert made.addresses == ()


def test_what_a_sender_repeats_a_hundred_times_is_bounded() -> None:
    names = tuple(PersonName(f"名{n}", "一" * 500) for n in range(100))
    made = features(
        Demographics(names, addresses=(PersonAddress("100-0099"),) * 50, telecoms=("03-1234-5678",) * 50),
        tuple(PatientId(str(n), "9.1") for n in range(100)),
    )
    assert len(made.to_json()) < 4_000


@pytest.mark.parametrize("stored", [b"{}", b"[]", b"[1,2]", b"x"])
def test_other_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        Features.from_json(stored)


@given(st.builds(PersonName, st.text(max_size=12), st.text(max_size=12), st.text(max_size=20)), st.text(max_size=12))
def test_any_name_and_date_are_taken(name: PersonName, birth: str) -> None:
    made = features(Demographics((name,), birth))
    assert Features.from_json(made.to_json()) == made


@pytest.mark.parametrize("family", ["田中(佐藤)", "田中（旧姓佐藤）", "田中（旧姓：佐藤）", "田中 (旧 佐藤)"])
def test_a_former_name_in_brackets(family: str) -> None:
    made = features(Demographics((PersonName(family, "花子(ハナコ)", kind="kanji"),)))
    assert [name[:2] + name[3:] for name in made.kanji] == [("田中", "花子", False), ("佐藤", "花子", True)]


def test_a_name_that_is_nothing_but_a_bracket_stays() -> None:
    assert features(Demographics((PersonName("(不明)", "花子"),))).kanji[0].family == "不明"
