"""One file's bytes -> what storage keeps of it. Runs in worker processes; nothing here writes.

A message is kept whole or not at all: it is rejected when it cannot be read, when it is not sure whose it is
(translate/converted.py QUARANTINE), and when what we made of it breaks FHIR or its JP Core profile.
"""

import hashlib
from collections import Counter

from gateway.codec.packing import pack
from gateway.model.ingest import FileOutcome, KeptMessage, Reject
from gateway.model.outcome import Issue
from gateway.profiles.validator import Validator
from gateway.services.ingest.files import Changed, Content, Found, Gone, TooLarge, Unreadable, read_steadily
from gateway.services.ingest.messages import Check, Messages, Pack, ReadingRules, Rejected
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file


class Reader:
    """Built once a process: the tables behind it are compiled when it is first used."""

    def __init__(self, rules: ReadingRules, check: Check, pack: Pack) -> None:
        self._rules, self._messages = rules, Messages(rules, check, pack)
        self._facilities = Facilities(rules.authorities)

    def read(self, found: Found) -> FileOutcome:
        """Never raises for what a file holds: an error of ours in one file must not stop ten million others.

        A file that is gone gives an outcome without messages and rejects; the next run meets it under its new name.
        """
        if found.error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", found.error))
        try:
            content = read_steadily(found.path, self._rules.max_file_bytes)
        except Gone:
            return FileOutcome(found.path, found.size, found.mtime_ns)
        except Unreadable as error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", str(error)))
        except TooLarge:
            text = f"more than {self._rules.max_file_bytes} bytes ([ingest] max_file_bytes)"
            return _rejected(found, Reject("", 0, "fatal", "too-large", text))
        except Changed:
            return _rejected(found, Reject("", 0, "error", "changed-while-read", "the file was being written"))
        try:
            return self.convert(found.path, content)
        except Exception as error:  # noqa: BLE001 - see above; the class name is all that may be said of it
            text = f"error of the program while reading this file: {type(error).__name__}"
            return _rejected(found, Reject("", 0, "fatal", "internal-error", text))

    def convert(self, path: bytes, content: Content) -> FileOutcome:
        """All messages of one file."""
        made = read_file(content.data, _text(path), self._facilities, facility=self._rules.facility)
        messages: list[KeptMessage] = []
        rejects: list[Reject] = []
        findings: list[Reject] = []
        issues: Counter[str] = Counter()
        residue: Counter[str] = Counter()
        for one in made:
            issues.update(issue.code for issue in one.translated.issues)
            if one.error is not None:
                rejects.append(_unread(one, one.error))
                continue
            try:
                messages += self._messages.kept(one)
            except Rejected as error:
                rejects.append(Reject(_order_no(one), one.message_offset, error.severity, error.code, error.reason))
                continue
            findings += _errors(one)
            residue.update(_field(kept.where) for kept in one.translated.residue)
        return FileOutcome(
            path,
            content.size,
            content.mtime_ns,
            hashlib.sha256(content.data).hexdigest(),
            tuple(messages),
            tuple(rejects),
            tuple(findings),
            dict(issues),
            dict(residue),
        )


def make_reader(rules: ReadingRules) -> Reader:
    """The reader of one process, built in each worker. It lives here and not in app.py because a worker imports what it
    unpickles: the web server and the database would cost each of them most of a second."""
    return Reader(rules, Validator.from_environment().remembering().check, pack)


def _rejected(found: Found, reject: Reject) -> FileOutcome:
    return FileOutcome(found.path, found.size, found.mtime_ns, rejects=(reject,))


def _errors(one: Converted) -> list[Reject]:
    """Errors of a message that is kept, once a code: damaged bytes of a name must not cost a doctor the result."""
    found: dict[str, Reject] = {}
    for issue in one.translated.issues:
        if issue.severity in ("error", "fatal"):
            found.setdefault(issue.code, _unread(one, issue))
    return list(found.values())


def _field(where: str) -> str:
    """`OBX[3]-5.1` -> `OBX-5.1`: the same field of all segments is one line of the count."""
    segment, _, rest = where.partition("[")
    return segment + rest.partition("]")[2] if rest else where.partition(" ")[0]


def _unread(one: Converted, issue: Issue) -> Reject:
    """`where` of a message that cannot be read is `byte N`, counted in the file."""
    place = issue.where.removeprefix("byte ")
    return Reject(
        _order_no(one), int(place) if place.isdigit() else one.message_offset, issue.severity, issue.code, issue.text
    )


def _text(path: bytes) -> str:
    """For reading the name only; a name in another charset keeps its ASCII parts, which are all that SS-MIX2 uses."""
    return path.decode("utf-8", "replace")


def _order_no(one: Converted) -> str:
    """Of the message; of the file name when the message did not give one."""
    return one.order_no or (one.name.order_no if one.name else "")
