"""Conservation: nothing a message says may vanish, and nothing it says may stop the translation."""

import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.profiles.validator import Validator
from gateway.sandbox.damage import KINDS, damage
from gateway.sandbox.facilities import NAGASAKI, TOKYO
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import Deviations
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file
from gateway.translate.structures import STRUCTURES
from tests.translate.goldens import GOLDENS, Golden, parse
from tests.translate.ledger import MARKERS, Spot, render, shows, spots, unaccounted
from tests.translate.messages import FACILITIES, HOSPITAL

SHORT, LONG = 200, 20_000


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, bytes]]:
    """Files of two generated storages, one of them with other character sets and line ends."""
    root = tmp_path_factory.mktemp("storage")
    generate(root / TOKYO.institution, seed=5, patients=4, files=80)
    odd = Deviations(lf=0.3, crlf=0.3, utf8=0.3, shift_jis=0.3)
    generate(root / NAGASAKI.institution, seed=6, patients=4, files=80, facility=NAGASAKI, deviations=odd)
    return [(path, path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()]


def _cases(check: Callable[[Any], None], long: bool) -> None:
    """Runs a check on drawn data: the short form, the same cases each time, or with --long many more and others."""
    some = settings(
        max_examples=LONG if long else SHORT,
        derandomize=not long,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    some(given(st.data())(check))()


# -- counts -----------------------------------------------------------------------------------------------------------


def _storage(archive: Path, folder: Path) -> list[Path]:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return sorted(path for path in folder.rglob("*_[012]") if path.is_file())


def test_the_sample_storage_holds_what_its_manifest_says(shared: Path, tmp_path: Path) -> None:
    samples = shared / "samples" / "ssmix2"
    expected = json.loads((samples / "storage-20p.manifest.json").read_text("utf-8"))
    found: Counter[str] = Counter()
    ids: set[str] = set()
    for path in _storage(samples / "storage-20p.tar.gz", tmp_path):
        if not path.name.endswith("_1"):
            continue
        for converted in read_file(path.read_bytes(), str(path), Facilities(), explain=True):
            assert converted.error is None
            found.update(f"discharges {e.data_type}" for e in converted.translated.stay_events)
            for resource in converted.translated.resources:
                kind = resource["resourceType"]
                found["ingredients"] += sum(len(m["ingredient"]) for m in resource.get("contained", ()))
                if resource["id"] not in ids:
                    found[f"{kind} {converted.data_type}"] += 1
                    ids.add(resource["id"])
    view = expected["expected_conservation_current_view"]
    assert sum(count for key, count in found.items() if key.startswith("Patient ")) == view["Patient"]
    assert found["Observation OML-11"] == view["Observation_lab (OBX in OML-11)"]
    assert found["Observation ADT-00"] == view["Observation_adt00 (OBX in ADT-00)"]
    assert found["Specimen OML-11"] == view["Specimen (SPM in OML-11)"]
    assert found["DiagnosticReport OML-11"] == view["DiagnosticReport_lab (OBR in OML-11)"]
    assert found["MedicationRequest OMP-01"] == view["MedicationRequest_oral (RXE in OMP-01)"]
    assert found["MedicationRequest OMP-02"] == view["MedicationRequest_injection (RXE in OMP-02)"]
    assert found["ingredients"] == view["ingredients (RXC in OMP-02)"]
    assert found["Condition PPR-01"] == view["Condition (PRB in PPR-01)"]
    # Allergies of prescriptions are those of the basics, so the order of reading does not matter for their number.
    assert sum(n for key, n in found.items() if key.startswith("Allergy")) >= view["AllergyIntolerance (AL1 in ADT-00)"]
    assert found["Coverage ADT-00"] == view["Coverage (IN1 in ADT-00)"]
    assert found["Encounter ADT-12"] == view["Encounter visits (ADT-12 files)"]
    assert found["discharges ADT-22"] == view["Encounter admissions (ADT-22 files)"]
    assert found["discharges ADT-52"] == view["discharges (ADT-52 files)"]


# -- every field ------------------------------------------------------------------------------------------------------


def _check_fields(path: str, data: bytes) -> Iterator[str]:
    for converted in read_file(data, path, FACILITIES, explain=True):
        assert converted.error is None, path
        for where in unaccounted(parse(data), converted):
            yield f"{converted.data_type} {where}"


def test_every_valued_field_of_a_generated_storage_is_accounted_for(generated: list[tuple[Path, bytes]]) -> None:
    assert [where for path, data in generated for where in _check_fields(str(path), data)] == []


def test_explaining_a_storage_changes_nothing_of_it(generated: list[tuple[Path, bytes]]) -> None:
    """Without `explain` equal segments are converted once; the result must be that of converting each."""
    facilities = Facilities([HOSPITAL])
    for path, data in generated:
        plain = read_file(data, str(path), facilities)
        explained = read_file(data, str(path), facilities, explain=True)
        assert [one.resources for one in plain] == [one.resources for one in explained]
        assert [one.translated.issues for one in plain] == [one.translated.issues for one in explained]
        assert [Counter(one.translated.residue) for one in plain] == [
            Counter(one.translated.residue) for one in explained
        ]


@pytest.mark.parametrize("sample", GOLDENS, ids=lambda sample: sample.name)
def test_every_valued_field_of_the_goldens_is_accounted_for(sample: Golden) -> None:
    assert list(_check_fields(sample.path, sample.data)) == []


@pytest.mark.parametrize("archive", ["storage-20p.tar.gz", "nho-testing-tool-samples.tar.gz"])
def test_every_valued_field_of_the_samples_is_accounted_for(shared: Path, tmp_path: Path, archive: str) -> None:
    checked, missing = 0, []
    for path in _storage(shared / "samples" / "ssmix2" / archive, tmp_path):
        data = path.read_bytes()
        (converted,) = read_file(data, str(path), FACILITIES, explain=True)
        if converted.error is None:
            checked += 1
            missing += [f"{path.name} {where}" for where in unaccounted(parse(data), converted)]
    assert missing == []
    assert checked >= 19


def test_the_ledger_notices_a_field_that_is_forgotten() -> None:
    sample = GOLDENS[0]
    converted = sample.read(sample.data)
    (first, *others) = converted.translated.lineage
    kept = [entry for entry in others if entry.source != first.source]
    object.__setattr__(converted.translated, "lineage", tuple(kept))
    assert first.source in unaccounted(sample.message, converted)


# -- markers ----------------------------------------------------------------------------------------------------------


def _vanishes(sample: Golden, spot: Spot, marker: str) -> bool:
    data = spot.put(sample.message, marker)
    converted = sample.read(data)
    place = spot.place(sample.message)
    return not shows(converted, place, spot.component + 1, MARKERS[marker])


def test_a_marker_anywhere_comes_out_somewhere(long: bool) -> None:
    places = {id(sample): list(spots(sample.message)) for sample in GOLDENS}

    def check(data: st.DataObject) -> None:
        sample = data.draw(st.sampled_from(GOLDENS))
        spot = data.draw(st.sampled_from(places[id(sample)]))
        marker = data.draw(st.sampled_from(list(MARKERS)))
        assert not _vanishes(sample, spot, marker), (sample, spot.place(sample.message), spot, marker)

    _cases(check, long)


@pytest.mark.long
@pytest.mark.parametrize("sample", GOLDENS, ids=lambda sample: sample.name)
def test_a_marker_in_every_single_place_comes_out_somewhere(sample: Golden) -> None:
    lost = {
        (spot.place(sample.message), spot.component + 1, marker)
        for spot in spots(sample.message)
        for marker in MARKERS
        if _vanishes(sample, spot, marker)
    }
    assert sorted(lost) == []


# -- what comes out is FHIR -------------------------------------------------------------------------------------------

ODD = [
    " A", "A  B", "　全角", "あ い", "x" * 300, "-5", "0", "1e5", ".", "-", "１２", "2024", "20240230", "99991231", "0001",
    "20240101120000+0900", "\\X41\\", "\\.br\\", "\\X00\\", "a\\T\\b", "a&b", "a^b", "a~b", "^", "~", "&", "~~", '""', '^""',
    '""~a', "http://x y/", "<b>", "\t", "1^2^3^4^5^6^7^8^9^10", "a\\", "N", "Y", "22^x", "5^h", "9" * 40, "1.", "+3",
    "A_B_C_D", "1_", "__", "I10", "A^x^HL70063", "^^JC10", "A^b^MR9P", "DE", "CA", "20201^20191", "😀", "\u3000",
]  # fmt: skip
"""Values that systems send and that FHIR or a profile has no place for."""


def test_no_value_anywhere_makes_the_output_invalid(long: bool) -> None:
    """A message whose output breaks FHIR or its profile is not stored: one odd field must not cost a whole report."""
    validator = Validator.default()
    places = {id(sample): list(spots(sample.message)) for sample in GOLDENS}

    def check(data: st.DataObject) -> None:
        sample = data.draw(st.sampled_from(GOLDENS))
        spot = data.draw(st.sampled_from(places[id(sample)]))
        value = data.draw(st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
        converted = sample.read(spot.put(sample.message, value), explain=False)
        findings = [f for resource in converted.resources for f in validator.check(resource)]
        wrong = [finding for finding in findings if finding.severity in ("error", "fatal")]
        assert wrong == [], (sample, spot.place(sample.message), value)

    _cases(check, long)


# -- nothing raises ---------------------------------------------------------------------------------------------------


def _whole(converted: Converted) -> None:
    """Uses everything callers use of a message."""
    converted.to_bundle("transaction")
    assert converted.bundle["type"] == "collection"
    assert converted.error is None or converted.error.severity in ("fatal", "error")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_every_kind_is_survived(kind: str, generated: list[tuple[Path, bytes]], long: bool) -> None:
    rng = Random(kind)
    files = [(path, data) for path, data in generated if b"\x1b$B" in data and b"\n" not in data]
    for path, data in rng.sample(files, len(files) if long else 6):
        for converted in read_file(damage(data, kind, rng), str(path), FACILITIES, explain=rng.random() < 0.3):
            _whole(converted)


def test_random_changes_of_bytes_and_segments_are_survived(long: bool) -> None:
    def check(data: st.DataObject) -> None:
        sample = data.draw(st.sampled_from(GOLDENS))
        if data.draw(st.booleans()):
            lines = [list(segment.fields) for segment in sample.message.segments]
            for _ in range(data.draw(st.integers(1, 4))):
                _disturb(lines, data)
            content = render(lines)
        else:
            content = bytearray(sample.data)
            for _ in range(data.draw(st.integers(1, 8))):
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        for converted in read_file(bytes(content), sample.path, FACILITIES, explain=data.draw(st.booleans())):
            _whole(converted)

    _cases(check, long)


def _disturb(lines: list[list[str]], data: st.DataObject) -> None:
    """One change: a segment twice, away, elsewhere, cut short, or a field of another segment in it."""
    at = data.draw(st.integers(1, len(lines) - 1)) if len(lines) > 1 else 0
    if at == 0:
        return
    match data.draw(st.sampled_from(["twice", "away", "moved", "short", "field"])):
        case "twice":
            lines.insert(at, list(lines[at]))
        case "away":
            del lines[at]
        case "moved":
            lines.insert(data.draw(st.integers(1, len(lines) - 1)), lines.pop(at))
        case "short":
            del lines[at][data.draw(st.integers(1, len(lines[at]))) :]
        case "field":
            other = lines[data.draw(st.integers(0, len(lines) - 1))]
            value = other[data.draw(st.integers(0, len(other) - 1))]
            number = data.draw(st.integers(1, 45))
            lines[at] += [""] * (number + 1 - len(lines[at]))
            lines[at][number] = value


def test_the_goldens_cover_every_translated_type() -> None:
    assert {sample.data_type for sample in GOLDENS} == set(STRUCTURES)
