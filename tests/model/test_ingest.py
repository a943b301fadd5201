"""The rules of versions and claims."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.ingest import (
    DELETED,
    SUPERSEDED,
    VALID,
    Claim,
    Version,
    corrects,
    current_version,
    make_key,
    replacements,
    stronger,
    update_time,
    valid_versions,
)

FLAGS = st.sampled_from([VALID, SUPERSEDED, DELETED])
VERSIONS = st.builds(Version, st.sampled_from(["1", "2", "3"]), st.sampled_from(["a", "b", "c"]), st.just("-"), FLAGS)


def version(timestamp: str, flag: int, sha256: str = "a") -> Version:
    return Version(timestamp, sha256, "-", flag)


@given(st.lists(FLAGS, min_size=1))
def test_a_flag_only_ever_moves_from_1_to_2_to_0(flags: list[int]) -> None:
    seen = flags[0]
    for flag in flags:
        seen = stronger(seen, flag)
    assert seen == (DELETED if DELETED in flags else SUPERSEDED if SUPERSEDED in flags else VALID)


def test_the_newest_valid_version_is_current() -> None:
    assert current_version([version("1", VALID), version("2", VALID)]) == version("2", VALID)


def test_the_flag_beats_the_timestamp_between_valid_and_superseded() -> None:
    assert current_version([version("1", VALID), version("2", SUPERSEDED)]) == version("1", VALID)


def test_a_deletion_covers_what_is_not_newer_than_it() -> None:
    assert current_version([version("1", VALID), version("2", DELETED)]) is None
    assert current_version([version("2", VALID), version("2", DELETED, "b")]) is None


def test_a_key_may_live_again_after_its_deletion() -> None:
    assert current_version([version("3", VALID), version("2", DELETED), version("1", DELETED)]) == version("3", VALID)


def test_a_version_without_timestamp_can_be_current() -> None:
    assert current_version([version("", VALID)]) == version("", VALID)


def test_only_superseded_versions_show_nothing() -> None:
    assert current_version([version("1", SUPERSEDED)]) is None


def test_of_one_timestamp_the_larger_hash_is_the_newer() -> None:
    assert current_version([version("1", VALID, "a"), version("1", VALID, "b")]) == version("1", VALID, "b")


@given(st.lists(VERSIONS, max_size=5, unique_by=lambda one: one[:3]))
def test_the_order_of_versions_does_not_matter(versions: list[Version]) -> None:
    answers = {(current_version(order), tuple(replacements(order))) for order in permutations(versions)}
    assert len(answers) == 1


@given(st.lists(VERSIONS, unique_by=lambda one: one[:3]))
def test_what_is_current_is_valid_and_the_last_of_the_valid(versions: list[Version]) -> None:
    valid = valid_versions(versions)
    assert all(one.flag == VALID for one in valid)
    assert current_version(versions) == (valid[-1] if valid else None)


def test_the_chain_of_replacements_leaves_deleted_versions_out() -> None:
    chain = replacements([version("3", VALID), version("1", SUPERSEDED), version("2", DELETED)])
    assert chain == [(version("3", VALID), version("1", SUPERSEDED))]


def test_the_owner_speaks_before_a_newer_mention_then_the_newer_then_the_larger_hash() -> None:
    owner, mention = Claim(0, "1", b"a"), Claim(1, "2", b"a")
    newer, larger = Claim(0, "2", b"a"), Claim(0, "2", b"b")
    assert mention.weight < owner.weight < newer.weight < larger.weight


def test_no_part_of_a_key_can_imitate_two() -> None:
    assert make_key("f", "1", "-", "ADT-00", "9") != make_key("f", "1\x1f-", "ADT-00", "9", "")[:-1] + "x"
    assert make_key("f", "a", "b", "c", "d").split("\x1f") == ["f", "a", "b", "c", "d"]


# -- records that are sent again --------------------------------------------------------------------------------------


def _record(day: int, content: str, sent: str = "9") -> Version:
    return Version(f"2017100{day}000000000-{sent}", content, "", VALID)


@pytest.mark.parametrize(
    ("versions", "replaced"),
    [
        ([_record(1, "a")], ""),
        ([_record(1, "a"), _record(2, "a")], ""),
        ([_record(1, "a"), _record(2, "b")], "20171001000000000"),
        ([_record(1, "a"), _record(2, "b"), _record(3, "b")], "20171001000000000"),
        ([_record(1, "a"), _record(2, "b"), _record(3, "a")], "20171002000000000"),
        ([_record(1, "a", "8"), _record(1, "b", "9")], ""),
    ],
)
def test_a_record_corrects_the_newest_other_content_before_it(versions: list[Version], replaced: str) -> None:
    current = current_version(versions)
    assert current is not None and corrects(current, versions) == replaced
    assert current.timestamp.startswith(update_time(current)) and len(update_time(current)) == 17
