"""gateway/translate/laboratory_groups.py: which segments belong to one OBR."""

import pytest

from gateway.codec import charset, er7
from gateway.translate.laboratory_groups import grouped


def shape(kind: str, *names: str) -> list[str]:
    """Each group as the names of its segments: specimens, then ORC, OBR, TQ1, NTE, OBX(+its NTE)."""
    lines = [f"MSH|^~\\&|A|B|C|D|2024||{kind}|1|P|2.5", "PID|1||1", *(f"{name}|1" for name in names)]
    groups, rest = grouped(er7.parse(charset.decode("\r".join(lines).encode(), 0)))
    found = [
        " ".join(
            [
                *(f"SPM{one.ordinal}" for one in group.specimens),
                *(["ORC"] if group.orc else []),
                *(["OBR"] if group.obr else []),
                *(one.name for one in (*group.timings, *group.notes)),
                *("OBX" + "n" * len(notes) for _, notes in group.results),
            ]
        )
        for group in groups
    ]
    return found + [f"rest {segment.name}" for segment in rest]


@pytest.mark.parametrize(
    ("kind", "names", "groups"),
    [
        ("OUL^R22", "SPM OBR ORC NTE TQ1 OBX NTE OBX", ["SPM1 ORC OBR TQ1 NTE OBXn OBX"]),
        ("OUL^R22", "SPM ORC OBR OBX ORC OBR OBX", ["SPM1 ORC OBR OBX", "SPM1 ORC OBR OBX"]),
        ("OUL^R22", "SPM OBR OBR OBX SPM OBR", ["SPM1 OBR", "SPM1 OBR OBX", "SPM2 OBR"]),
        ("OUL^R22", "OBR OBX SPM OBR OBX", ["OBR OBX", "SPM1 OBR OBX"]),
        ("OUL^R22", "NTE SPM NTE OBX", ["SPM1 OBX", "rest NTE", "rest NTE"]),
        ("OML^O33", "SPM ORC TQ1 OBR OBX NTE", ["SPM1 ORC OBR TQ1 OBXn"]),
        ("OML^O21", "ORC OBR OBX SPM ORC OBR SPM", ["SPM1 ORC OBR OBX", "SPM2 ORC OBR"]),
        ("OUL^R24", "OBR ORC OBX SPM OBR OBX SPM", ["SPM1 ORC OBR OBX", "SPM2 OBR OBX"]),
        ("ORU^R01", "ORC OBR OBX SPM OBR OBX SPM SPM", ["SPM1 ORC OBR OBX", "SPM2 SPM3 OBR OBX"]),
        ("ORU^R01", "OBR SPM ORC OBR OBX", ["SPM1 OBR", "ORC OBR OBX"]),
        ("ORU^R01", "SPM OBR OBX SPM OBR", ["SPM1 OBR OBX", "SPM2 OBR"]),
        ("OUL^R22", "OBX ZXX TQ1", ["OBX", "rest ZXX", "rest TQ1"]),
    ],
)
def test_groups(kind: str, names: str, groups: list[str]) -> None:
    assert shape(kind, *names.split()) == groups
