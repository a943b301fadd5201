"""Blocking keys that bring too many together compare nobody, whoever came first."""

from pathlib import Path
from typing import Any

import pytest

from gateway.model.caller import UNRESTRICTED
from gateway.model.person import PersonAddress, PersonName
from gateway.storage import keep_persons
from tests.services.persons.parts import SATO, World, a, moved, world

pytestmark = pytest.mark.usefixtures("each_engine")

HOME = (PersonAddress("100-0001", "東京都", "千代田区", "千代田1-1", "東京都千代田区千代田1-1"),)


def _pairs(w: World) -> list[tuple[Any, ...]]:
    return sorted(w.storage.lookups.rows("SELECT outcome FROM person_pair WHERE outcome <> 'separate'"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_persons, "MAX_KEY_HOLDERS", 3)


@pytest.mark.usefixtures("few")
def test_a_key_of_too_many_takes_its_pairs_away_and_gives_them_back(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        for number in range(3):
            w.feed("add", a(str(number)), known=moved(SATO, addresses=HOME))
        assert len(_pairs(w)) == 3
        w.feed("add", a("3"), known=moved(SATO, addresses=HOME))
        assert _pairs(w) == []
        other = moved(SATO, names=(PersonName("別", "人", "別 人", "kanji"),), birth_date="19330303", telecoms=())
        w.feed("revise", a("3"), known=other)
        assert len(_pairs(w)) == 3


@pytest.mark.usefixtures("few")
def test_one_batch_gives_what_many_give(tmp_path: Path) -> None:
    found = []
    for name, order in (("up", range(6)), ("down", reversed(range(6)))):
        (tmp_path / name).mkdir()
        with world(tmp_path / name, "auto") as w:
            for number in order:
                names = (PersonName("佐藤", f"花{number // 3}", "", "kanji"),)
                w.feed("add", a(str(number)), known=moved(SATO, addresses=HOME, names=names), at=1)
            found.append((_pairs(w), len(w.desk.reviews(0, 99, "open", UNRESTRICTED))))
    assert found[0] == found[1]
