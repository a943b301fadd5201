from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.storage import resources
from gateway.storage.opening import Storage
from tests.storage.making import HOSPITAL, kept, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")


def fill(store: Storage, count: int) -> None:
    made = [kept("Observation", f"o{number:04}", str(number)) for number in range(count)]
    hospital = kept("Organization", "h", "hospital", patient="")
    store.keeping.keep([outcome(message("a", 0, "x", resources=[*made, hospital]))], record)


def test_a_read_carries_version_and_time_in_meta(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        fill(store, 1)
        found = store.resources.read("Observation", "o0000", UNRESTRICTED)
        assert found is not None
        meta = fhir.parse(found.body)["meta"]
        assert meta == {"versionId": "1", "lastUpdated": found.last_updated, "profile": ["urn:p"]}
        assert store.resources.read("Observation", "none", UNRESTRICTED) is None
        assert store.resources.vread("Observation", "o0000", 2, UNRESTRICTED) is None
        assert store.resources.history("Observation", "none", UNRESTRICTED) == []


def test_export_walks_every_resource_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PAGE", 7)
    with storage(tmp_path) as store:
        fill(store, 20)
        found = [(one.type, one.id) for one in store.resources.export(UNRESTRICTED)]
        assert found == [*(("Observation", f"o{number:04}") for number in range(20)), ("Organization", "h")]


def test_scope_hides_reads_histories_and_exports(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        fill(store, 2)
        hidden = [
            Scope(frozenset({"else"}), None),
            Scope(None, None, frozenset({HOSPITAL})),
            Scope(None, frozenset({"R"})),
        ]
        for scope in hidden:
            assert store.resources.read("Observation", "o0000", scope) is None
            assert store.resources.history("Observation", "o0000", scope) == []
            assert [one.type for one in store.resources.export(scope)] in ([], ["Organization"])


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)  # the plan is in its words
def test_the_export_reads_along_an_index(tmp_path: Path) -> None:
    with storage(tmp_path) as store, store.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT type, rid FROM resource WHERE deleted = 0 AND (type, rid) > ('A', 'b')"
            " ORDER BY type, rid LIMIT 500"
        ).all()
    assert any("USING INDEX" in row[-1] and "type" in row[-1] for row in plan)
    assert not any("TEMP B-TREE" in row[-1] for row in plan)
