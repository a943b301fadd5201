"""One file's bytes -> what storage keeps of it. Runs in worker processes; nothing here writes.

A message is kept whole or not at all: it is rejected when it cannot be read, when it is not sure whose it is
(translate/converted.py QUARANTINE), and when what we made of it breaks FHIR or its JP Core profile.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway import mapping_files
from gateway.codec.document import DocumentReader
from gateway.codec.packing import SMALL, pack
from gateway.codec.ssmix2 import looks_like_storage_file, place, text_of
from gateway.model.ingest import FileOutcome, KeptMessage, Reject
from gateway.model.outcome import Issue
from gateway.profiles.validator import Validator
from gateway.services.ingest.files import (
    Changed,
    Content,
    Deleted,
    Found,
    Gone,
    TooLarge,
    Unreadable,
    beginning,
    pass_steadily,
    read_steadily,
    renamed,
)
from gateway.services.ingest.merging import statements_of
from gateway.services.ingest.messages import Check, Messages, Pack, ReadingRules, Rejected
from gateway.services.ingest.notebook_parts import parts_beside
from gateway.services.ingest.summary import field_of
from gateway.translate import extended, transactions
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.jahistc.source import read_parts
from gateway.translate.sources import choose, read_file
from gateway.translate.structures import compile_all

FINDINGS: Final = 1_000
"""Lines of rejects.jsonl about one message at most; the summary counts all."""
HEAD: Final = 512
"""Bytes by which a source knows a file."""


class _TooLarge(Exception):
    """A file above the limit of its kind."""

    def __init__(self, limit: int, setting: str) -> None:
        super().__init__(setting)
        self.limit, self.setting = limit, setting


class _Passing:
    """A document passing by: what it is, and its bytes as long as they are few."""

    def begin(self) -> Callable[[bytes], None]:
        """Called for each attempt at reading."""
        self.reader, self._kept, self._size = DocumentReader(), list[bytes](), 0
        return self._take

    def _take(self, piece: bytes) -> None:
        self.reader.feed(piece)
        self._size += len(piece)
        if self._size <= SMALL:
            self._kept.append(piece)

    def small(self) -> bytes:
        """All bytes of a small document, else nothing: storage copies a large one from its file."""
        return b"".join(self._kept) if self._size <= SMALL else b""


class Reader:
    """Built once a process: the tables behind it are compiled when it is first used."""

    def __init__(self, rules: ReadingRules, check: Check, pack: Pack) -> None:
        self._rules, self._messages = rules, Messages(rules, check, pack)
        self._facilities = Facilities(rules.authorities, rules.patient, exchange=rules.exchange)

    def read(self, found: Found) -> FileOutcome:
        """Never raises for what a file holds: an error of ours in one file must not stop ten million others.

        A file that is gone gives an outcome without messages and rejects; the next run meets it under its new name.
        """
        if found.error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", found.error))
        try:
            return self._read(found.path) if found.deleted is None else self._deleted(found, found.deleted)
        except Gone:
            return self._after_rename(found)
        except Unreadable as error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", str(error)))
        except _TooLarge as error:
            text = f"more than {error.limit} bytes ([ingest] {error.setting})"
            return _rejected(found, Reject("", 0, "fatal", "too-large", text))
        except Changed:
            return _rejected(found, Reject("", 0, "error", "changed-while-read", "the file was being written"))
        except Exception as error:  # noqa: BLE001 - see above; the class name is all that may be said of it
            text = f"error of the program while reading this file: {type(error).__name__}"
            return _rejected(found, Reject("", 0, "fatal", "internal-error", text))

    def _after_rename(self, found: Found) -> FileOutcome:
        """SS-MIX2 renames a file when its successor comes: under its new name it is read now, else in the next run."""
        moved = renamed(found.path, looks_like_storage_file)
        if moved is None:
            return FileOutcome(found.path, found.size, found.mtime_ns)
        try:
            return self._read(moved)
        except Exception:  # noqa: BLE001 - whatever is wrong with it now, the next run meets it by its name and says it
            return FileOutcome(found.path, found.size, found.mtime_ns)

    def _read(self, path: bytes) -> FileOutcome:
        name = text_of(path)
        if place(name).extended and choose(beginning(path, HEAD), name).name == extended.NAME:
            return self._document(path, name)
        limit = self._rules.max_file_bytes
        try:
            return self.convert(path, read_steadily(path, limit))
        except TooLarge:
            raise _TooLarge(limit, "max_file_bytes") from None

    def _deleted(self, found: Found, deleted: Deleted) -> FileOutcome:
        where = place(text_of(found.path))
        folder_type = where.data_type if where.name is not None else ""
        gone = transactions.tombstone(
            deleted.name, self._facilities, self._rules.facility, deleted.facility, folder_type=folder_type
        )
        return self._outcome(found.path, Content(b"", 0, found.mtime_ns), [gone], gone.sha256)

    def _document(self, path: bytes, name: str) -> FileOutcome:
        """A document of the extended storage passes by in pieces; only a small one is held."""
        limit = self._rules.max_document_bytes
        passing = _Passing()
        try:
            size, mtime_ns = pass_steadily(path, limit, passing.begin)
        except TooLarge:
            raise _TooLarge(limit, "max_document_bytes") from None
        facts = passing.reader.facts(name)
        made = replace(extended.convert(name, facts, self._facilities, self._rules.facility), original=passing.small())
        return self._outcome(path, Content(b"", size, mtime_ns), [made], facts.sha256)

    def convert(self, path: bytes, content: Content) -> FileOutcome:
        """All messages of one file."""
        name, facility = text_of(path), self._rules.facility
        if parts := parts_beside(path, content.data, self._rules.max_file_bytes):
            return self._outcome(path, content, [read_parts(parts, name, self._facilities, facility)])
        return self._outcome(path, content, read_file(content.data, name, self._facilities, facility=facility))

    def convert_message(self, key: bytes, content: Content, facility: str) -> FileOutcome:
        """An HL7 v2 message that is no file: `key` is its row in the ledger, `facility` the OID it belongs to. What it
        says of who is who its receiver has read, and answers for (ihe/_feed.py)."""
        made = read_file(content.data, "", self._facilities, facility=facility, source="ss-mix2")
        return self._outcome(key, content, made, feed=True)

    def _outcome(
        self, path: bytes, content: Content, made: list[Converted], sha256: str = "", *, feed: bool = False
    ) -> FileOutcome:
        messages: list[KeptMessage] = []
        rejects: list[Reject] = []
        findings: list[Reject] = []
        issues: Counter[str] = Counter()
        residue: Counter[str] = Counter()
        for one in made:
            issues.update(issue.code for issue in one.translated.issues)
            if one.error is not None:
                rejects.append(_unread(one, one.error))
                if one.outcome is not None:
                    rejects += _errors(one)
                continue
            try:
                kept = self._messages.kept(one, path)
                messages += kept if feed else [*kept, *statements_of(one, self._facilities)]
            except Rejected as error:
                rejects.append(Reject(_order_no(one), one.message_offset, error.severity, error.code, error.reason))
                continue
            findings += _errors(one)
            residue.update(field_of(kept.where) for kept in one.translated.residue)
        return FileOutcome(
            path,
            content.size,
            content.mtime_ns,
            sha256 or hashlib.sha256(content.data).hexdigest(),
            tuple(messages),
            tuple(rejects),
            tuple(findings),
            dict(issues),
            dict(residue),
        )


def make_reader(rules: ReadingRules) -> Reader:
    """The reader of one process, built in each worker. It lives here and not in gateway.app because a worker imports what it
    unpickles: the web server and the database would cost each of them most of a second."""
    mapping_files.configure(rules.overlay)
    compile_all()
    return Reader(rules, Validator.from_environment().remembering().check, pack)


def _rejected(found: Found, reject: Reject) -> FileOutcome:
    return FileOutcome(found.path, found.size, found.mtime_ns, rejects=(reject,))


def _errors(one: Converted) -> list[Reject]:
    """Errors of a message that is kept, once a code: damaged bytes of a name must not cost a doctor the result. A source
    that answers each finding (exchange files) has a line for each, up to FINDINGS: its records are refused one by one."""
    found: dict[tuple[str, str], Reject] = {}
    for issue in one.translated.issues:
        if issue.severity in ("error", "fatal") and len(found) < FINDINGS:
            found.setdefault((issue.code, issue.where if one.outcome else ""), _unread(one, issue))
    return list(found.values())


def _unread(one: Converted, issue: Issue) -> Reject:
    """`where` of a message that cannot be read is `byte N`, counted in the file."""
    place = issue.where.removeprefix("byte ")
    reason = f"{issue.text} at {issue.where}" if issue.where.startswith(("/", "line ")) else issue.text
    offset = int(place) if place.isdigit() else one.message_offset
    return Reject(_order_no(one), offset, issue.severity, issue.code, reason)


def _order_no(one: Converted) -> str:
    """Of the message; of the file name when the message did not give one."""
    return one.order_no or (one.name.order_no if one.name else "")
