"""The feed below the wire: group commit, readers, ledger keys. What a message becomes is tested in tests/ihe/test__v2.py."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway import app
from gateway.codec.head import read_head
from gateway.codec.mllp import Block
from gateway.errors import Unavailable
from gateway.ihe._v2 import answer
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED
from gateway.model.ingest import Applied, FileOutcome
from gateway.services.feed import GroupCommit, Readers, ledger_key
from gateway.services.ingest.rejects import write_rejects
from tests.v2_parts import LEDGER, lab, node, rows, settings


def outcome(name: bytes) -> FileOutcome:
    return FileOutcome(name, 1, 1)


def record(one: FileOutcome, state: str) -> AuditRecord:
    return AuditRecord("110107", "mllp", "C", 0, one.path.decode())


class Keeping:
    """Stores what is not called `bad`; a test may hold it."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.kept: list[bytes] = []
        self.gate = threading.Event()
        self.started = threading.Event()
        self.error: Exception = ValueError("bad")

    def keep(self, outcomes: Sequence[FileOutcome], audit: Callable[[FileOutcome, str], AuditRecord]) -> Applied:
        self.started.set()
        assert self.gate.wait(20)
        self.groups.append([one.path for one in outcomes])
        if any(one.path == b"bad" for one in outcomes):
            raise self.error
        for one in outcomes:
            assert audit(one, "ingested").actor == one.path.decode()
        self.kept += [one.path for one in outcomes]
        return Applied()


def test_messages_that_wait_share_the_next_commit_and_a_bad_one_is_alone() -> None:
    keeping = Keeping()
    group = GroupCommit(keeping)  # type: ignore[arg-type]
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(group.keep, outcome(b"first"), record)
        assert keeping.started.wait(20)
        names = [b"%d" % n for n in range(8)] + [b"bad"]
        others = {name: pool.submit(group.keep, outcome(name), record) for name in names}
        while len(group._waiting) < len(names):
            pass
        keeping.gate.set()
        first.result()
        with pytest.raises(ValueError, match="bad"):
            others.pop(b"bad").result()
        for future in others.values():
            future.result()
    assert keeping.groups[0] == [b"first"] and sorted(keeping.groups[1]) == sorted(names)
    assert sorted(keeping.kept) == sorted([b"first", *others])


def test_a_storage_that_is_gone_is_every_callers_error() -> None:
    keeping = Keeping()
    keeping.error = Unavailable("storage: disk full")
    keeping.gate.set()
    with pytest.raises(Unavailable):
        GroupCommit(keeping).keep(outcome(b"bad"), record)  # type: ignore[arg-type]
    assert keeping.groups == [[b"bad"]]


def test_a_reader_serves_one_message_at_a_time_and_is_made_once() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    readers = Readers(make, 2)  # type: ignore[arg-type]
    with readers.one() as one, readers.one() as two:
        assert one is not two
    with readers.one() as again:
        assert again in (one, two)
    assert len(made) == 2


def test_a_ledger_key_names_sender_and_control_id_and_shows_neither() -> None:
    keys = {
        ledger_key(read_head(message))
        for message in (lab("M1"), lab("M2"), lab("M1", application="HIS"), lab("M1", facility="OSAKA-HP"))
    }
    assert len(keys) == 4 and all(key.startswith(b"mllp:") and b"M1" not in key for key in keys)
    assert ledger_key(read_head(lab("M1", value="9"))) == ledger_key(read_head(lab("M1")))


def test_many_senders_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    messages = [lab(f"M{n}", patient=f"{n % 7:04d}^^^^PI", order=f"{n:015d}") for n in range(60)]
    with node(tmp_path) as (services, parts):
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda one: answer(Block(one), "a", services), messages))
        assert {one.answer for one in replies} == {"AA"}
        found = [one for one in parts.resources.export(UNRESTRICTED) if one.type == "Observation"]
        assert len(found) == 60
        assert rows(parts, f"SELECT count(*), count(DISTINCT sha256) FROM {LEDGER}") == [(60, 60)]
        assert rows(parts, "SELECT count(*) FROM audit") == [(60,)]


def test_ingest_beside_it_forgets_no_message_and_lists_none_as_a_file(tmp_path: Path) -> None:
    with node(tmp_path) as (services, parts):
        answer(Block(lab("M1", pid="NTE|1")), "a", services)
        answer(Block(lab("M2")), "a", services)
        assert write_rejects(tmp_path / "rejects.jsonl", parts.keeping) == 0
        assert rows(parts, f"SELECT count(*) FROM {LEDGER}") == [(2,)]


def test_a_message_that_also_lies_in_a_storage_is_one_message(tmp_path: Path) -> None:
    message = lab("M1")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "message.hl7").write_bytes(message)
    with node(tmp_path) as (services, parts):
        answer(Block(message), "a", services)
        summary = app.ingestor(settings(tmp_path), parts).run([str(tmp_path / "in")], rejects_file=tmp_path / "r")
        assert summary.states["unchanged"] == 1
        assert rows(parts, "SELECT count(*) FROM registry_object") == [(3,)]
