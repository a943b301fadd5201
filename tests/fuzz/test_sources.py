"""Damaged inputs of every source: no exception, no invalid FHIR, nothing of the patient in a finding, bounded time.

Short: a few hundred cases, the same each time. `--long`: 20,000 a parser.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from gateway.translate.context import Facilities
from gateway.translate.sources import read_documents
from tests.fuzz.damage import damaged

ROOT = Path(__file__).parents[1]
INPUTS: dict[str, list[Path]] = {
    "hl7": sorted((ROOT / "golden").glob("*/*/in.hl7")),
    "exchange-spec": sorted((ROOT / "golden" / "exchange-spec").glob("*/in.json")),
    "jahistc": [ROOT.parent / "fixtures" / "samples" / "notebook.csv"],
}
MARKS = ("見本", "結子", "ミホン", "ユイコ", "仮田", "架空 一郎", "カクウ イチロウ")
"""Names in the inputs: no finding may repeat one."""
SHORT, LONG = 120, 20_000
SLOWEST_S = 5.0
"""Of one damaged file. Generous, because the machine does other things; without a limit a file takes milliseconds."""


def cases(name: str, count: int) -> Iterator[tuple[int, str, bytes]]:
    files = [(file, file.read_bytes()) for file in INPUTS[name]]
    for seed in range(count):
        file, data = files[seed % len(files)]
        yield seed, str(file), damaged(data, seed)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_damage_is_read_or_refused(name: str, long: bool) -> None:
    check = Validator.default().remembering().check
    facilities = Facilities()
    for seed, path, data in cases(name, LONG if long else SHORT):
        began = time.perf_counter()
        for one in read_documents(
            data, path, facilities, explain=seed % 4 == 0, source="" if seed % 2 else _source(name)
        ):
            fhir.parse(fhir.render(one.to_bundle("transaction")))
            findings = [one.error] if one.error else []
            texts = " ".join(issue.text for issue in (*findings, *one.translated.issues))
            assert not any(mark in texts for mark in MARKS), (name, seed)
            for resource in one.resources:
                wrong = [found for found in check(resource) if found.severity in ("error", "fatal")]
                assert wrong == [], (name, seed, path, resource["resourceType"])
        assert time.perf_counter() - began < SLOWEST_S, (name, seed, len(data))


def _source(name: str) -> str:
    return "ss-mix2" if name == "hl7" else name
