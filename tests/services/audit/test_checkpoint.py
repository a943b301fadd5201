"""Checkpoints: signed, kept outside, and what they say about a trail that was cut."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.errors import BadInput
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.services.audit.checkpoint import Checkpointer, faults, is_signed, notes_in, read, write
from gateway.storage.opening import Storage, opened_trail
from tests.storage.making import storage

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def test_a_note_comes_back_and_says_who_signed_it() -> None:
    note = write("urn:oid:1.2", 7, b"r" * 32, "2026-01-01T00:00:00Z", KEY)
    found = read(note)
    assert (found.home, found.size, found.root, found.at) == ("urn:oid:1.2", 7, b"r" * 32, "2026-01-01T00:00:00Z")
    assert is_signed(found, KEY.public_key()) and not is_signed(found, OTHER.public_key())
    assert not is_signed(read(note.replace("\n7\n", "\n8\n")), KEY.public_key())
    assert list(notes_in(note * 2)) == [note, note]


@pytest.mark.parametrize("text", ["", "musubi audit x\n", "a\nb\nc\nd\n\nsignature x\n", "musubi audit x\n1\n!\nt\n\nsignature YQ==\n"])  # fmt: skip
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read(text)


def kept(store: Storage, outside: list[str], now: list[datetime]) -> Checkpointer:
    clock = Clock(lambda: now[0])
    return Checkpointer(store.trail, store.audit, KEY, "urn:oid:1.2", clock, 5, 10, outside.append)


def record(store: Storage, count: int) -> None:
    for _ in range(count):
        store.audit.record(AuditRecord("110112", "t", "E", 0, "x"))


def test_one_is_made_after_records_or_time_and_goes_outside_and_into_the_trail(tmp_path: Path) -> None:
    outside: list[str] = []
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with storage(tmp_path) as store:
        maker = kept(store, outside, now)
        record(store, 3)
        assert maker.run_once() and not maker.run_once()  # the first at once
        record(store, 3)
        assert not maker.run_once()
        record(store, 2)
        assert maker.run_once()
        record(store, 1)
        assert not maker.run_once()
        now[0] += timedelta(minutes=10)
        assert maker.run_once()
        assert [read(note).size for note in outside] == [3, 9, 11]
        told = [one.record.detail for one in store.trail.after(0, 99) if one.record.transaction == "audit-checkpoint"]
        assert told == outside
        assert [one.note for one in store.trail.checkpoints()] == outside
        again = kept(store, outside, now)
        assert not again.run_once()  # one record alone is that of the last checkpoint
        assert list(faults(store.trail, outside, KEY.public_key())) == []
        assert list(faults(store.trail, outside, OTHER.public_key())) == [
            f"the checkpoint at {size} is not signed by this node" for size in (3, 9, 11)
        ]


def test_a_trail_that_was_cut_or_written_anew_is_found_by_the_note_outside(tmp_path: Path) -> None:
    outside: list[str] = []
    with storage(tmp_path) as store:
        record(store, 8)
        kept(store, outside, [datetime(2026, 1, 1, tzinfo=UTC)]).run_once()
    with sqlite3.connect(tmp_path / "musubi.db") as connection:
        for table in ("audit", "audit_chain"):
            connection.execute(f"DELETE FROM {table} WHERE n > 6")
        connection.execute("DELETE FROM audit_checkpoint")
    with opened_trail(f"sqlite:///{tmp_path / 'musubi.db'}") as trail:
        assert list(trail.broken()) == []  # the chain alone cannot know
        (found,) = faults(trail, outside, KEY.public_key())
        assert "its end was cut off" in found
    with storage(tmp_path) as store:
        record(store, 4)  # somebody fills it up again
    with opened_trail(f"sqlite:///{tmp_path / 'musubi.db'}") as trail:
        (found,) = faults(trail, outside, KEY.public_key())
        assert "are not those of the checkpoint" in found
