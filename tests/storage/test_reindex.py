"""An index made by other rules is made anew when the node starts, and only then."""

from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.model.caller import UNRESTRICTED
from gateway.model.person import PersonQuery
from gateway.services.persons import Desk
from gateway.storage import reindex
from tests.services.persons.parts import SATO, World, a, b, world
from tests.services.persons.test_links import FULL

pytestmark = pytest.mark.usefixtures("each_engine")


def _rows(w: World, sql: str, *values: object) -> list[tuple[object, ...]]:
    return [tuple(row) for row in w.storage.lookups.rows(sql, values)]


def test_records_of_before_the_index_are_found_and_linked(tmp_path: Path) -> None:
    with world(tmp_path, "auto") as w:
        w.feed("add", a("1"), known=FULL)
        w.feed("add", b("9"), known=FULL)
        expected = _rows(w, "SELECT authority, value, features FROM person_record ORDER BY value")
        tables = ("person_record", "person_term", "person_key", "person_pair")
        w.storage.writer.run(lambda driver: [driver.run(f"DELETE FROM {name}") for name in tables])
        w.storage.writer.run(lambda driver: driver.run("DELETE FROM ledger WHERE path = ?", (reindex.MARK,)))
    with world(tmp_path, "auto") as w:
        assert _rows(w, "SELECT authority, value, features FROM person_record ORDER BY value") == expected
        assert w.xref(a("1")) == ["9@22"]
        assert w.persons.search(PersonQuery(family=("佐藤",)), UNRESTRICTED).total == 2


def test_another_mode_changes_the_links_and_back(tmp_path: Path) -> None:
    for mode, links in (("auto", ["9@22"]), ("off", []), ("review", []), ("auto", ["9@22"])):
        with world(tmp_path, mode) as w:
            if not w.persons.search(PersonQuery(family=("佐藤",)), UNRESTRICTED).total:
                w.feed("add", a("1"), known=FULL)
                w.feed("add", b("9"), known=FULL)
            assert w.xref(a("1")) == links
            assert len(Desk(w.persons).reviews(0, 9, "open", UNRESTRICTED)) == (mode == "review")


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(reindex, "STEP", 2)
    with world(tmp_path, "off") as w:
        for number in range(7):
            w.feed("add", a(str(number)), known=SATO)
    with world(tmp_path, "review") as w:
        assert len(Desk(w.persons).reviews(0, 99, "open", UNRESTRICTED)) == 7 * 6 // 2
        before = _rows(w, "SELECT size, outcome FROM ledger WHERE path = ?", reindex.MARK)
        assert before[0][0] == 2
    with world(tmp_path, "review") as w, w.storage.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM person_record")).scalar() == 7
