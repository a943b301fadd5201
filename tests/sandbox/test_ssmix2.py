"""The generator: right by the guideline, the same bytes for a seed, and a manifest that tells the truth."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.sandbox import tables
from gateway.sandbox.facilities import ALL_TYPES, NAGASAKI
from gateway.sandbox.manifest import EXPECTED, Manifest
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import NO_ORDER, Deviations

MESSAGE_TYPES = {
    "ADT-00": {"ADT^A08^ADT_A01"},
    "ADT-12": {"ADT^A04^ADT_A01"},
    "ADT-22": {"ADT^A01^ADT_A01", "ADT^A11^ADT_A09"},
    "ADT-52": {"ADT^A03^ADT_A03"},
    "PPR-01": {"PPR^ZD1^PPR_ZD1"},
    "OMP-01": {"RDE^O11^RDE_O11"},
    "OML-11": {"OUL^R22^OUL_R22"},
}


class File:
    """One file read back by a reader that shares nothing with the writer but the standard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.patient_id, self.date, self.type, self.order, self.timestamp, self.department, self.flag = path.name.split(
            "_"
        )
        self.data = path.read_bytes()
        charset = "utf-8" if b"|UNICODE UTF-8|" in self.data else "iso2022_jp"
        self.segments = [line.split("|") for line in self.data.decode(charset).splitlines()]
        self.segments[0].insert(1, "|")  # so that fields are numbered as in the standard

    def all(self, name: str) -> list[list[str]]:
        return [segment for segment in self.segments if segment[0] == name]

    def field(self, name: str, number: int) -> str:
        segment = self.all(name)[0]
        return segment[number] if number < len(segment) else ""


def read(root: Path) -> list[File]:
    return [File(path) for path in sorted(root.rglob("*")) if path.is_file()]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[File], Manifest]:
    root = tmp_path_factory.mktemp("storage") / "1310000001"
    manifest = generate(root, seed=5, patients=25, files=900)
    return read(root), manifest


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    def content(folder: str, seed: int) -> dict[str, bytes]:
        generate(tmp_path / folder, seed=seed, patients=4)
        return {file.path.name: file.data for file in read(tmp_path / folder)}

    assert content("a", 1) == content("b", 1)
    assert content("a2", 1) != content("c", 2)


def test_files_is_exact_and_spread_over_the_patients(tmp_path: Path) -> None:
    manifest = generate(tmp_path, seed=3, patients=7, files=101)
    per_patient = Counter(file.patient_id for file in read(tmp_path))
    assert manifest.files == 101 == sum(per_patient.values())
    assert set(per_patient.values()) == {14, 15}


def test_impossible_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cover"):
        generate(tmp_path, seed=1, patients=5, files=4)


def test_it_never_writes_over_a_file(tmp_path: Path) -> None:
    generate(tmp_path, seed=1, patients=1)
    with pytest.raises(FileExistsError):
        generate(tmp_path, seed=1, patients=1)


def test_path_follows_the_name_and_name_follows_the_message(storage: tuple[list[File], Manifest]) -> None:
    for file in storage[0]:
        folders = [parent.name for parent in file.path.parents][:5]
        assert folders == [file.type, file.date, file.patient_id, file.patient_id[3:6], file.patient_id[:3]]
        assert file.field("PID", 3).split("^")[0] == file.patient_id
        assert file.field("MSH", 9) in MESSAGE_TYPES[file.type]
        assert file.field("MSH", 7).replace(".", "") == file.timestamp
        assert len(file.timestamp) == 17 and len(file.order) == 15
        assert (file.date == "-") == (file.type in {"ADT-00", "PPR-01"})
        assert (file.order == NO_ORDER) == (file.type not in {"OMP-01", "OML-11"})


def test_care_date_is_the_field_of_the_type(storage: tuple[list[File], Manifest]) -> None:
    where = {
        "ADT-12": ("PV1", 44),
        "ADT-22": ("PV1", 44),
        "ADT-52": ("PV1", 45),
        "OMP-01": ("ORC", 9),
        "OML-11": ("SPM", 17),
    }
    seen = set()
    for file in storage[0]:
        if file.type in where:
            assert file.field(*where[file.type])[:8] == file.date
            seen.add(file.type)
    assert seen == set(where)


def test_every_type_and_every_flag_occurs(storage: tuple[list[File], Manifest]) -> None:
    assert {file.type for file in storage[0]} == set(ALL_TYPES)
    assert {file.flag for file in storage[0]} == {"0", "1", "2"}


def test_versions_of_a_key(storage: tuple[list[File], Manifest]) -> None:
    """One current file, or the deleted file with its delete message; never two current ones."""
    keys: dict[tuple[str, str, str, str], list[File]] = {}
    for file in storage[0]:
        keys.setdefault((file.patient_id, file.date, file.type, file.order), []).append(file)
    for versions in keys.values():
        versions.sort(key=lambda file: file.timestamp)
        assert [file.flag for file in versions] in (["1"], ["2", "1"], ["0", "0"])
        assert len({file.timestamp for file in versions}) == len(versions)
        if versions[-1].flag == "0":
            last = versions[-1]
            assert last.field("ORC", 1) == "CA" if last.all("ORC") else last.field("MSH", 9).startswith("ADT^A11")


def test_the_manifest_counts_what_is_there(storage: tuple[list[File], Manifest]) -> None:
    files, manifest = storage
    assert manifest.files == len(files)
    assert manifest.bytes == sum(len(file.data) for file in files)
    assert manifest.patients == len({file.patient_id for file in files})
    assert manifest.by_type_flag == Counter((file.type, file.flag) for file in files)
    current = Counter((file.type, segment[0]) for file in files if file.flag == "1" for segment in file.segments)
    assert manifest.current_segments == current
    assert manifest.expected == {
        "Patient": manifest.patients,
        **{resource: current[data_type, segment] for resource, data_type, segment in EXPECTED},
    }


def test_names_carry_their_representation_in_the_right_components(storage: tuple[list[File], Manifest]) -> None:
    for file in storage[0]:
        kanji, kana = (name.split("^") for name in file.field("PID", 5).split("~"))
        assert (kanji[6], kanji[7], kana[6], kana[7]) == ("L", "I", "L", "P")
        assert all("ァ" <= letter <= "ー" for letter in kana[0] + kana[1])


def test_ids_local_first_then_the_medical_id(storage: tuple[list[File], Manifest]) -> None:
    with_medical_id = set()
    for file in storage[0]:
        local, *shared = file.field("PID", 3).split("~")
        assert local == f"{file.patient_id}^^^^PI"
        for cx in shared:
            value, _, _, authority, kind = cx.split("^")
            assert (authority, kind) == ("MEDICAL-ID&1.2.392.200119.99999.3&ISO", "JHN")
            assert len(value) == 16  # a My Number has 12
            with_medical_id.add(file.patient_id)
    assert 0 < len(with_medical_id) < storage[1].patients


def test_laboratory_groups_and_codes(storage: tuple[list[File], Manifest]) -> None:
    types: set[str] = set()
    flags: set[str] = set()
    comparators = qualitative = 0
    for file in storage[0]:
        if file.type != "OML-11":
            continue
        names = "".join({"SPM": "S", "OBR": "B", "ORC": "C", "OBX": "X"}.get(s[0], "") for s in file.segments)
        assert names.replace("X", "") == "SBC" * names.count("S") and "CX" in names and "SS" not in names
        assert len({segment[2] for segment in file.all("SPM")}) == len(file.all("SPM"))
        for obx in file.all("OBX"):
            code, _, system = obx[3].split("^")
            assert len(code) == 17 and system == "JC10"
            assert obx[11] == {"2": "P"}.get(file.flag, "F")
            types.add(obx[2])
            flags.add(obx[8])
            if obx[2] == "NM":
                float(obx[5])
                assert obx[6] and obx[7]
                assert obx[8] == expected_flag(obx) or obx[8] in {"HH", "LL"}
            elif obx[5][0] in "<>":
                comparators += 1
            else:
                qualitative += 1
    assert types == {"NM", "ST"} and {"", "H", "L", "A"} <= flags
    assert comparators and qualitative


def expected_flag(obx: list[str]) -> str:
    low, _, high = obx[7].removeprefix("<=").rpartition("-")
    value = float(obx[5])
    return "H" if value > float(high) else "L" if low and value < float(low) else ""


def test_prescriptions_agree_with_themselves(storage: tuple[list[File], Manifest]) -> None:
    """Quantity = amount a day x days; code and words of the usage are a pair of the table; Rp share their usage."""
    pairs = {usage.tq1_3 for group in tables.usages().values() for usage in group}
    kinds: set[str] = set()
    for file in storage[0]:
        if file.type != "OMP-01":
            continue
        usage_of_rp: dict[str, str] = {}
        for orc, rxe, tq1, rxr in zip(file.all("ORC"), file.all("RXE"), file.all("TQ1"), file.all("RXR"), strict=True):
            order, rp, _ = orc[4].split("_")
            assert order == orc[2] == file.order
            assert usage_of_rp.setdefault(rp, tq1[3]) == tq1[3]
            assert tq1[3].split("~")[0] in pairs
            code, _, system = rxe[2].split("^")
            assert len(code) == 9 and code.isdigit() and system == "HOT9"
            assert rxr[1].endswith("^HL70162")
            kinds.add(rxe[27][:2])
            if rxe[19]:
                days, unit = tq1[6].split("^")
                assert unit == "D&日&ISO+"
                assert float(rxe[10]) == float(rxe[19].split("^")[0]) * int(days)
            elif rxe[3] == '""':
                assert rxe[10] and not tq1[6]
            else:
                assert float(rxe[10]) == float(rxe[3]) * int(tq1[14])
            if rxe[7]:
                assert sum(int(code[2]) for code in rxe[7].split("~")) == int(rxe[19].split("^")[0])
    assert kinds == {"21", "22", "23"}


def test_a_stay_is_discharged_after_it_began(storage: tuple[list[File], Manifest]) -> None:
    admitted = {(f.patient_id, f.date) for f in storage[0] if f.type == "ADT-22" and f.flag == "1"}
    discharged = {(f.patient_id, f.date) for f in storage[0] if f.type == "ADT-52"}
    assert discharged
    for patient, date in discharged:
        assert any(other == patient and begin < date for other, begin in admitted)


def test_problems_began_before_they_were_written_down(storage: tuple[list[File], Manifest]) -> None:
    suspected = resolved = 0
    for file in storage[0]:
        for prb in file.all("PRB"):
            assert prb[16] <= file.timestamp[:8] and (not prb[9] or prb[16] <= prb[9] <= file.timestamp[:8])
            suspected += prb[13] != ""
            resolved += prb[9] != ""
    assert suspected and resolved


def test_insured_person_data(storage: tuple[list[File], Manifest]) -> None:
    for file in storage[0]:
        for in1 in file.all("IN1"):
            assert len(in1[3]) == (6 if in1[2].startswith("C0^") else 8)
            assert len(in1[10].split("~")) == 3
            assert in1[2].endswith("^JHSD0001")


def test_basics_say_when_they_were_last_changed(storage: tuple[list[File], Manifest]) -> None:
    for file in storage[0]:
        if file.type == "ADT-00":
            assert file.field("PID", 33) == file.timestamp[:14]


def test_deviations_take_their_share(tmp_path: Path) -> None:
    deviations = Deviations(lf=0.3, crlf=0.2, utf8=0.2, shift_jis=0.2)
    manifest = generate(tmp_path, seed=8, patients=5, files=300, facility=NAGASAKI, deviations=deviations)
    assert set(manifest.line_ends) == {"CR", "LF", "CRLF"}
    assert set(manifest.charsets) == {"ISO-2022-JP", "UTF-8", "Shift_JIS"}
    by_bytes: Counter[str] = Counter()
    for path in tmp_path.rglob("*_*"):
        if path.is_file():
            data = path.read_bytes()
            if b"|UNICODE UTF-8|" in data:
                data.decode("utf-8")
                by_bytes["UTF-8"] += 1
            elif b"\x1b" in data:
                data.decode("iso2022_jp")
                by_bytes["ISO-2022-JP"] += 1
            else:
                data.decode("shift_jis")
                assert b"|~ISO IR87|" in data  # the false claim is the point
                by_bytes["Shift_JIS"] += 1
    assert by_bytes == manifest.charsets


def test_standard_bytes_end_each_segment_with_cr(storage: tuple[list[File], Manifest]) -> None:
    for file in storage[0]:
        assert file.data.endswith(b"\r") and b"\n" not in file.data


def test_delimiters_hide_in_the_bytes_of_names(storage: tuple[list[File], Manifest]) -> None:
    """A reader that splits before it decodes must fail on this storage."""
    assert any(len(file.data.split(b"|")) != sum(len(segment) - 1 for segment in file.segments) for file in storage[0])
