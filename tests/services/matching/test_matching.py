"""Link, review or separate: the cases a region meets."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.identity import Authority, PatientId
from gateway.model.person import Comparison, Demographics
from gateway.services.matching import Features, Matching
from tests.person_parts import person

MEDICAL, INSURER = "9.3", "9.4"
MATCHING = Matching.load(None, [Authority(MEDICAL, kind="medical-id"), Authority(INSURER, kind="insurer")])
Ids = tuple[PatientId, ...]


def compare(one: Demographics, other: Demographics, ids: Ids = (), other_ids: Ids = ()) -> Comparison:
    a, b = MATCHING.features(one, ids), MATCHING.features(other, other_ids)
    found = MATCHING.compare(a, b)
    assert found == MATCHING.compare(b, a), "which record is named first makes no difference"
    assert 0 <= found.probability <= 1
    return found


def sato(**changes: str) -> Demographics:
    """A very common name."""
    kanji, kana = changes.pop("kanji", "佐藤 翔太"), changes.pop("kana", "サトウ ショウタ")
    return person(kanji, kana, changes.pop("romaji", ""), **changes)  # type: ignore[arg-type]


def test_everything_equal_links_by_a_rule() -> None:
    assert compare(sato(), sato())[:2] == ("link", Decimal("50.00"))
    assert compare(sato(), sato()).rule == "all-equal"


@pytest.mark.parametrize(
    "other",
    [
        sato(kanji="佐藤 翔太", kana="ｻﾄｰ ｼﾖｳﾀ", phone="+81-3-1234-5678"),
        sato(kanji="", kana="さとう しょうた"),
        sato(kanji="", kana="", romaji="SATOH Shota"),
        sato(kanji="翔太 佐藤", kana="ショウタ サトウ"),
        sato(kanji="佐藤翔太", kana=""),
        sato(birth="19800201"),
        sato(birth="19800103"),
        sato(birth="19550102"),
        sato(phone="", home="架空区見本一丁目２番３号 コーポ1"),
        sato(home="", postal=""),
        sato(sex=""),
        sato(kanji="佐東 翔太"),
    ],
)
def test_these_link(other: Demographics) -> None:
    assert compare(sato(), other).outcome == "link"


def test_old_and_new_kanji_link() -> None:
    for one, other in (("髙﨑 渡", "高崎 渡"), ("渡邊 実", "渡邉 實"), ("齋藤 広", "斉藤 廣"), ("濵田 恵", "浜田 惠")):
        assert compare(person(one, ""), person(other, "")).outcome == "link"


@pytest.mark.parametrize(
    "other",
    [
        sato(home="", postal="", phone=""),  # one name and one birth date: ten such pairs in a prefecture
        sato(home="大阪府例示市1-1", postal="500-0001", phone=""),
        sato(kanji="鈴木 翔太", kana="スズキ ショウタ"),  # married, perhaps
        sato(kanji="佐藤 ベビー", kana="サトウ ベビー"),
        sato(sex="F"),
        sato(kanji="佐藤 祥太"),  # read alike, other kanji
        sato(kanji="佐藤 しょうた", kana=""),  # in hiragana: his name, or his twin brother's
        sato(birth="1980"),
        sato(birth=""),
        sato(kanji="佐藤 翔平", kana=""),  # near in kanji: twins have such names
        sato(kanji="", kana="サトウ ショウダ"),
    ],
)
def test_these_go_to_people(other: Demographics) -> None:
    assert compare(sato(), other).outcome == "review"


def test_a_rare_name_and_a_birth_date_are_not_certain_either() -> None:
    alone = person("勅使河原 櫂", "テシガワラ カイ", home="", postal="", phone="")
    assert compare(alone, alone).outcome == "review"
    assert compare(alone, alone).score > compare(sato(home="", postal="", phone=""), sato()).score


def test_a_common_name_weighs_less() -> None:
    common, rare = (compare(one, one).attributes[0] for one in (sato(), person("勅使河原 櫂", "テシガワラ カイ")))
    assert common[0] == rare[0] == "family" and rare[2] - common[2] > 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sato(), sato(kanji="佐藤 健", kana="サトウ ケン")),
        (sato(), sato(kanji="佐藤 美咲", kana="サトウ ミサキ", sex="F")),
        (person(order=1), person(order=2)),
        (person(phone="", home="", postal=""), person("見本 健", "ミホン ケン", phone="", home="", postal="")),
    ],
)
def test_twins_are_two(one: Demographics, other: Demographics) -> None:
    found = compare(one, other)
    assert (found.outcome, found.rule) == ("separate", "twins")


@pytest.mark.parametrize(
    "given_name", ["翔大 ショウタ", "翔 ショウ", "優太 ユウタ", "優斗 ユウト", "翔太郎 ショウタロウ"]
)
def test_twins_with_names_alike_never_link(given_name: str) -> None:
    kanji, _, kana = given_name.partition(" ")
    other = sato(kanji=f"佐藤 {kanji}", kana=f"サトウ {kana}")
    for ids in ((), (PatientId("1", INSURER),)):
        for one in (sato(), sato(kana=""), sato(kanji=""), sato(kanji="翔太 佐藤", kana="ショウタ サトウ")):
            found = compare(one, other, ids, ids)
            # 翔大 read as ショウタ: where one side has no kanji, nothing tells him from 翔太.
            assert found.outcome != "link" or (kana == "ショウタ" and found.attributes[1][1] == "kana")


@pytest.mark.parametrize(
    "other",
    [
        person("見本 花子", "ミホン ハナコ", birth="19820505", sex="F"),
        person("見本 一郎", "ミホン イチロウ", birth="20100505"),
        person("見本 ベビー", "ミホン ベビー", birth="20240505"),
        person("見本 一郎", "ミホン イチロウ", birth=""),
    ],
)
def test_a_family_is_not_one_person(other: Demographics) -> None:
    assert compare(person(), other)[0::3] == ("separate", "household")


# -- ids --------------------------------------------------------------------------------------------------------------

OURS, THEIRS = PatientId("1", "9.1"), PatientId("2", "9.2")
M1, M2 = PatientId("M1", MEDICAL), PatientId("M2", MEDICAL)


def test_one_medical_id_links_whatever_moved() -> None:
    other = sato(
        kanji="鈴木 翔太", kana="スズキ ショウタ", home="大阪府例示市1-1", postal="500-0001", phone="06-1111-2222"
    )
    found = compare(sato(), other, (OURS, M1), (THEIRS, M1))
    assert (found.outcome, found.rule, found.score) == ("link", "shared-id", Decimal("60.00"))


@pytest.mark.parametrize(
    "other",
    [sato(birth="19700304"), sato(sex="F"), sato(kanji="佐藤 健", kana="サトウ ケン"), sato(birth="19800103")],
)
def test_one_medical_id_and_a_contradiction_goes_to_people(other: Demographics) -> None:
    found = compare(sato(), other, (OURS, M1), (THEIRS, M1))
    assert (found.outcome, found.rule) == ("review", "shared-id-conflict")


def test_two_medical_ids_are_never_linked_by_themselves() -> None:
    assert compare(sato(), sato(), (OURS, M1), (THEIRS, M2)).outcome == "review"
    assert compare(sato(), sato(), (OURS, M1), (THEIRS,)).outcome == "link"


def test_the_insurance_of_a_family_links_nobody() -> None:
    card = PatientId("00012345::１８７:", INSURER)
    child = person("見本 一郎", "ミホン イチロウ", birth="20100505")
    assert compare(person(), child, (OURS, card), (THEIRS, card)).outcome == "separate"
    twin = person("見本 健", "ミホン ケン")
    assert compare(person(), twin, (OURS, card), (THEIRS, card)).outcome == "separate"
    narrow = PatientId("00012345::187:", INSURER)
    moved = person(home="", postal="", phone="")
    assert compare(person(), moved, (OURS, card), (THEIRS, narrow)).rule == "shared-id", (
        "full width or half is one card"
    )


def test_two_numbers_of_one_hospital_link_by_a_rule_only() -> None:
    again = PatientId("3", "9.1")
    assert compare(sato(), sato(), (OURS,), (again,)).rule == "all-equal"
    near = sato(birth="19800103")
    assert compare(sato(), near, (OURS,), (again,)).outcome == "review"
    assert compare(sato(), near, (OURS,), (THEIRS,)).outcome == "link"


def test_nothing_known_is_no_match() -> None:
    assert compare(Demographics(), Demographics()).outcome == "separate"
    assert compare(sato(), Demographics()).score == 0


def test_missing_values_weigh_nothing() -> None:
    full, vague = compare(sato(), sato(birth="19800103")), compare(sato(), sato(birth="19800103", phone=""))
    phone = next(weight for name, _, weight in full.attributes if name == "phone")
    assert full.score - vague.score == phone


def test_the_version_names_weights_and_tables() -> None:
    assert MATCHING.version == Matching.load().version
    assert MATCHING.version.startswith("1+")


_PART = st.sampled_from(["", "佐藤 翔太", "佐藤 翔平", "サトウ ショウタ", "SATO SHOTA", "佐藤", "ベビー", "林 林"])
_RECORD = st.builds(
    person, _PART, _PART, birth=st.sampled_from(["", "19800102", "198001", "20250230"]), sex=st.sampled_from("MFO"),
    home=st.sampled_from(["", "見本1-1"]), phone=st.sampled_from(["", "03-1234-5678"]), order=st.sampled_from([None, 1, 2]),
)  # fmt: skip


@given(_RECORD, _RECORD)
def test_any_two_records_compare_alike_from_both_sides_and_from_storage(one: Demographics, other: Demographics) -> None:
    found = compare(one, other)
    kept = [Features.from_json(MATCHING.features(record).to_json()) for record in (one, other)]
    assert MATCHING.compare(*kept) == found
