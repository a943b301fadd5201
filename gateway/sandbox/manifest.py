"""What a generated storage holds, counted while it is written, so that a reader can be held to it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

EXPECTED = (
    # resource as the gateway makes it, data type and segment it comes from, one to one
    ("Observation/laboratory", "OML-11", "OBX"),
    ("Observation/exam", "ADT-00", "OBX"),
    ("Specimen", "OML-11", "SPM"),
    ("DiagnosticReport", "OML-11", "OBR"),
    ("MedicationRequest", "OMP-01", "RXE"),
    ("Condition", "PPR-01", "PRB"),
    ("AllergyIntolerance", "ADT-00", "AL1"),
    ("Coverage", "ADT-00", "IN1"),
    ("Encounter/AMB", "ADT-12", "MSH"),
    ("Encounter/IMP", "ADT-22", "MSH"),
)
"""Conservation: in the current view each of these segments is exactly one resource. Allergies repeated in
prescriptions are the ones of ADT-00, and a discharge joins its admission, so neither adds a resource."""


@dataclass(slots=True)
class Manifest:
    """Counts of one storage."""

    files: int = 0
    bytes: int = 0
    patients: int = 0
    by_type_flag: Counter[tuple[str, str]] = field(default_factory=Counter)
    segments: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(data type, segment) over all files."""
    current_segments: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(data type, segment) over files with condition flag 1."""
    line_ends: Counter[str] = field(default_factory=Counter)
    charsets: Counter[str] = field(default_factory=Counter)

    def add(self, data_type: str, flag: str, segments: list[str], size: int, line_end: str, charset: str) -> None:
        self.files += 1
        self.bytes += size
        self.by_type_flag[data_type, flag] += 1
        self.line_ends[line_end] += 1
        self.charsets[charset] += 1
        seen = Counter([segment[:3] for segment in segments])
        for name, count in seen.items():
            self.segments[data_type, name] += count
            if flag == "1":
                self.current_segments[data_type, name] += count

    @property
    def by_type(self) -> dict[str, int]:
        return _sums((data_type, count) for (data_type, _), count in self.by_type_flag.items())

    @property
    def by_flag(self) -> dict[str, int]:
        return _sums((flag, count) for (_, flag), count in self.by_type_flag.items())

    @property
    def expected(self) -> dict[str, int]:
        """Resources by type in the current view."""
        found = {resource: self.current_segments[data_type, name] for resource, data_type, name in EXPECTED}
        return {"Patient": self.patients, **found}

    def as_dict(self) -> dict[str, Any]:
        """For JSON: keys joined with `/`, sorted."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "patients": self.patients,
            "by_type": self.by_type,
            "by_flag": self.by_flag,
            "by_type_flag": _joined(self.by_type_flag),
            "segments": _joined(self.segments),
            "current_segments": _joined(self.current_segments),
            "line_ends": dict(sorted(self.line_ends.items())),
            "charsets": dict(sorted(self.charsets.items())),
            "expected_current": self.expected,
        }


def _sums(pairs: Any) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, count in pairs:
        sums[key] = sums.get(key, 0) + count
    return dict(sorted(sums.items()))


def _joined(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    return {"/".join(key): counts[key] for key in sorted(counts)}
