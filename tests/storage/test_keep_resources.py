"""Which file speaks for a resource, and what its history holds."""

from pathlib import Path

import pytest

from gateway.model.caller import UNRESTRICTED
from gateway.model.ingest import KeptMessage
from gateway.storage.opening import Storage
from tests.storage.making import kept, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")


def keep(store: Storage, *messages: KeptMessage) -> dict[str, int]:
    return store.keeping.keep([outcome(one) for one in messages], record).resources


def says(order: str, time: int, text: str, *, rank: int = 0, flag: int = 1) -> KeptMessage:
    return message(order, time, text, flag, resources=[kept("Observation", "o", text, rank=rank)])


def shown(store: Storage) -> tuple[int, bool, str]:
    found = store.resources.read("Observation", "o", UNRESTRICTED)
    assert found is not None
    return found.version, found.deleted, _text(found.body)


def _text(body: bytes) -> str:
    return body.partition(b'"text":"')[2][:-2].decode()


def history(store: Storage) -> list[str]:
    return [_text(one.body) for one in store.resources.history("Observation", "o", UNRESTRICTED)]


def indexed(store: Storage) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT code FROM resource_token ORDER BY code").scalars())


def test_a_replacement_is_a_new_version_and_the_old_one_is_history(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        assert keep(store, says("a", 0, "old")) == {"Observation": 1}
        assert keep(store, says("a", 1, "new")) == {"Observation": 1}
        assert shown(store) == (2, False, "new")
        assert history(store) == ["new", "old"]
        assert indexed(store) == ["new"]
        old = store.resources.vread("Observation", "o", 1, UNRESTRICTED)
        assert old is not None and b'"versionId":"1"' in old.body


def test_an_older_version_that_arrives_late_goes_to_its_place_in_history(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, says("a", 1, "new"))
        assert keep(store, says("a", 0, "old", flag=2)) == {}
        assert shown(store) == (1, False, "new")
        assert history(store) == ["new", "old"]


def test_the_same_content_again_is_no_new_version(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, says("a", 0, "same"))
        assert keep(store, message("a", 1, "other file", resources=[kept("Observation", "o", "same")])) == {}
        assert shown(store) == (1, False, "same")
        assert history(store) == ["same"]


def test_the_owner_speaks_until_it_is_gone_then_the_mention(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, says("mention", 5, "mentioned", rank=1))
        keep(store, says("owner", 0, "owned"))
        assert shown(store)[1:] == (False, "owned")
        keep(store, says("owner", 0, "owned", flag=0))
        assert shown(store)[1:] == (False, "mentioned")
        assert indexed(store) == ["mentioned"]
        keep(store, says("mention", 5, "mentioned", rank=1, flag=0))
        assert shown(store)[1:] == (True, "")
        assert indexed(store) == []


def test_a_resource_of_superseded_files_only_is_a_tombstone_with_history(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, says("a", 0, "old", flag=2))
        assert shown(store)[1:] == (True, "")
        assert "old" in history(store)
        keep(store, says("a", 1, "new"))
        assert shown(store)[1:] == (False, "new")


def test_a_content_that_comes_back_keeps_its_bytes_once(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        for time, text in enumerate(["a", "b", "a", "b"]):
            keep(store, says("x", time, text))
        assert shown(store) == (4, False, "b")
        assert history(store) == ["b", "a", "b", "a"]
        with store.engine.connect() as connection:
            count = "SELECT count(*) FROM resource_version WHERE body IS NOT NULL"
            assert connection.exec_driver_sql(count).scalar_one() == 2


def test_many_files_that_name_one_hospital_touch_one_row(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        for start in (0, 50):
            hospital = kept("Organization", "h", "hospital", patient="", rank=1)
            changed = keep(store, *(message(str(start + i), i, "x", resources=[hospital]) for i in range(50)))
            assert changed == ({"Organization": 1} if start == 0 else {})
