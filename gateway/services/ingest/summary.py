"""What one run of ingest did, in numbers that add up."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gateway.model.ingest import STATES, Applied, FileOutcome, State

_INDEX = re.compile(r"/[0-9]+")


@dataclass(slots=True)
class Summary:
    """`seen` is the sum of the six states."""

    states: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    """Resource type -> created, changed or removed by this run."""
    issues: Counter[str] = field(default_factory=Counter)
    residue: Counter[str] = field(default_factory=Counter)
    """Source field -> how often it was valued and no rule read it."""
    reject_codes: Counter[str] = field(default_factory=Counter)
    """Code -> lines of rejects.jsonl this run added: messages not kept, and errors in kept ones."""
    rejects_file: str = ""
    """Path of rejects.jsonl; empty when nothing was written (`--dry-run`)."""

    @property
    def seen(self) -> int:
        return self.states.total()

    @property
    def changed(self) -> int:
        """Files that told the store something new."""
        return sum(self.states[state] for state in ("ingested", "superseded", "deleted"))

    def count(self, state: State, outcome: FileOutcome | None = None) -> None:
        self.states[state] += 1
        if outcome is not None:
            self.issues.update(outcome.issues)
            self.residue.update(outcome.residue)
            self.reject_codes.update(reject.code for reject in outcome.reported)

    def add(self, applied: Applied) -> None:
        self.resources.update(applied.resources)
        self.issues.update(applied.issues)

    def as_dict(self) -> dict[str, Any]:
        """The last line of `ingest --json` (docs/commands.md)."""
        return {
            "seen": self.seen,
            **{state: self.states[state] for state in STATES},
            "resources": dict(sorted(self.resources.items())),
            "issues": dict(sorted(self.issues.items())),
            "residue": dict(sorted(self.residue.items())),
            "rejects": self.rejects_file or None,
        }


def field_of(where: str) -> str:
    """`OBX[3]-5.1` -> `OBX-5.1`, `/a/3/b` -> `/a/*/b`, `line 3, record 999` -> `record 999`: the same field of all segments
    is one line of a count."""
    segment, _, rest = where.partition("[")
    if rest:
        return segment + rest.partition("]")[2]
    if where.startswith("line "):
        return where.rpartition(", ")[2].partition(" (")[0]
    return _INDEX.sub("/*", where.partition(" ")[0])
