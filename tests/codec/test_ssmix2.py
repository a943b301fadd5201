"""SS-MIX2 names: seven parts, six parts, stray files, folders that contradict."""

import tarfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import ssmix2
from gateway.errors import BadInput

NAME = "0001000052_20111220_OML-11_000000011000354_20111220103059000_01_1"
SAMPLES = Path(__file__).parents[2] / ".." / "shared" / "samples" / "ssmix2"


def test_seven_parts() -> None:
    file = ssmix2.parse_name(NAME)
    assert file == (
        "0001000052",
        "20111220",
        "OML-11",
        "000000011000354",
        "20111220103059000",
        "01",
        "1",
        NAME,
    )
    assert file.key == ("0001000052", "20111220", "OML-11", "000000011000354")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("12_-_ADT-00_999999999999999_20240401120000000_-_1", ("12", "-", "ADT-00", "999999999999999", "-", "1")),
        ("A_1_20240401_OMD_77_20240401120000000_01_0", ("A_1", "20240401", "OMD", "77", "01", "0")),
        (
            "99_20240401_L-OBSERVATIONS^OBSERVATIONS^99ZL01_5_20240401120000000_2",
            ("99", "20240401", "L-OBSERVATIONS^OBSERVATIONS^99ZL01", "5", "", "2"),
        ),
        ("99_20240401_OMD_000000000000005_20240401120000000_2", ("99", "20240401", "OMD", "000000000000005", "", "2")),
        (
            "99_20240401_^（経過_記録）^^11506-3^経過記録^LN_5_20240401120000000_01_1",
            ("99", "20240401", "^（経過_記録）^^11506-3^経過記録^LN", "5", "01", "1"),
        ),
        ("99_20240401_OML-11_20240401_20240401120000000_01_1", ("99", "20240401", "OML-11", "20240401", "01", "1")),
        ("20240401_20240401_OML-11_1_20240401120000000_01_1", ("20240401", "20240401", "OML-11", "1", "01", "1")),
    ],
)
def test_forms_of_names(name: str, parts: tuple[str, ...]) -> None:
    file = ssmix2.parse_name(name)
    assert (*file.key, file.department, file.flag) == parts
    assert file.timestamp == "20240401120000000"


def test_a_short_timestamp_is_filled_so_that_versions_compare() -> None:
    assert ssmix2.parse_name("1_-_ADT-00_9_20240401120000_01_1").timestamp == "20240401120000000"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("readme.txt", "seven parts"),
        ("a_b_c_d", "flag"),
        (NAME[:-1] + "3", "flag"),
        (NAME + ".bak", "flag"),
        ("1_20240401_OMD_7_2024_01_1", "timestamp"),
        ("1_2024041_OMD_7_20240401120000000_01_1", "care date"),
        ("1_OMD_7_20240401120000000_01_1", "care date"),
        ("_20240401_OMD_7_20240401120000000_01_1", "patient id"),
        ("1_20240401__7_20240401120000000_01_1", "data type"),
        ("1_20240401_OMD__20240401120000000_01_1", "order number"),
        ("1_20240401_OMD_7_20240401120000000_TOOLONG_1", "department"),
        ("1" * 600, "600 characters"),
        ("", "seven parts"),
    ],
)
def test_what_is_no_name_is_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        ssmix2.parse_name(name)
    assert not ssmix2.looks_like_storage_file(name)


PART = st.text(st.characters(exclude_characters="_/", codec="utf-8"), min_size=1, max_size=5).filter(str.strip)


@given(
    PART, st.from_regex(r"[0-9]{8}|-", fullmatch=True), PART, PART, st.from_regex(r"[0-9]{17}", fullmatch=True), PART
)
def test_parts_come_back_as_they_were_joined(id_: str, date: str, type_: str, order: str, time: str, dept: str) -> None:
    file = ssmix2.parse_name("_".join((id_, date, type_, order, time, dept, "1")))
    assert file[:7] == (id_, date, type_, order, time, dept, "1")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(name: str) -> None:
    assert ssmix2.looks_like_storage_file(name) in (True, False)
    assert isinstance(ssmix2.ignored(name), str)


@pytest.mark.parametrize(
    "name",
    [
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "._" + NAME,
        NAME + ".tmp",
        NAME + ".bak",
        NAME + "~",
        "~$manual.doc",
        "x.lock",
        "SSMIXIDX.mdb",
        "index.sqlite-wal",
        "TR_20240401000000000_00001.DAT",
        ".gitkeep",
    ],
)
def test_stray_files_are_ignored_by_rule(name: str) -> None:
    assert ssmix2.ignored(name)


@pytest.mark.parametrize("name", [NAME, "main_document.hl7", "readme.txt", "x_1"])
def test_other_files_are_not_ignored(name: str) -> None:
    assert ssmix2.ignored(name) == ""


def test_folders_that_agree_and_folders_that_do_not() -> None:
    file = ssmix2.parse_name(NAME)
    agree = ["000", "100", "0001000052", "20111220", "OML-11"]
    assert ssmix2.check_path(agree, file) == ()
    assert ssmix2.check_path(["root"], file) == ()
    for at in range(5):
        wrong = [*agree[:at], "x", *agree[at + 1 :]]
        issues = ssmix2.check_path(wrong, file)
        assert [(i.severity, i.code) for i in issues] == [("warning", "path-conflict")]
        assert "0001000052" not in issues[0].text
    short = ssmix2.parse_name("12_-_ADT-00_9_20240401120000000_-_1")
    assert ssmix2.check_path(["012", "000", "12", "-", "ADT-00"], short) == ()


@pytest.mark.parametrize(
    ("path", "root"),
    [
        (f"/data/STD01/000/100/0001000052/20111220/OML-11/{NAME}", "STD01"),
        (f"STD01/000/100/0001000052/-/OML-11/{NAME}", "STD01"),
        (f"ANX/000/100/0001000052/20111220/^x^/{NAME}/main_document.hl7", "ANX"),
        (f"000/100/0001000052/20111220/OML-11/{NAME}", ""),
        (f"STD01/000/999/0001000052/20111220/OML-11/{NAME}", ""),
        (f"STD01/000/100/0001000052/x/OML-11/{NAME}", ""),
        (NAME, ""),
        ("", ""),
    ],
)
def test_the_root_of_a_place(path: str, root: str) -> None:
    assert ssmix2.place(path).root == root


def test_data_types_are_the_36_entries_of_the_specification() -> None:
    types = ssmix2.DATA_TYPES
    assert len(types) + sum(bool(row.cancel) for row in types.values()) == 36
    assert types["ADT-22"].message == "ADT^A01" and types["ADT-22"].cancel == "ADT^A11"
    assert types["OML-11"].care_date == "SPM-17"
    assert all(row.ja and row.en and row.message and row.care_date for row in types.values())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared SS-MIX2 samples are not here")
@pytest.mark.parametrize(
    ("archive", "stray"), [("storage-20p.tar.gz", set()), ("nho-testing-tool-samples.tar.gz", {"LICENSE"})]
)
def test_every_sample_has_a_name_we_read(archive: str, stray: set[str]) -> None:
    with tarfile.open(SAMPLES / archive) as tar:
        names = [PurePosixPath(member.name) for member in tar if member.isfile()]
    assert names
    assert {path.name for path in names if not ssmix2.looks_like_storage_file(path.name)} == stray
    known = [ssmix2.parse_name(path.name) for path in names if path.name not in stray]
    assert {file.data_type for file in known} <= set(ssmix2.DATA_TYPES)


# -- where a file lies ------------------------------------------------------------------------------------------------

TYPE = "^（経過記録）^^11506-3^経過記録^LN"
CONTENT = f"0001000052_20111220_{TYPE}_777_20111220103059000_01_1"
BELOW = "STD01/000/100/0001000052/20111220"


@pytest.mark.parametrize(
    ("path", "root", "inside", "part", "data_type", "extended"),
    [
        (f"/d/{BELOW}/OML-11/{NAME}", "STD01", "", "", "OML-11", False),
        (NAME, "", "", "", "OML-11", False),
        (f"/d/{BELOW}/{TYPE}/{CONTENT}/a.pdf", "STD01", "a.pdf", "a.pdf", TYPE, True),
        (f"\\d\\{BELOW}/{TYPE}/{CONTENT}/a.pdf".replace("/", "\\"), "STD01", "a.pdf", "a.pdf", TYPE, True),
        (f"/d/{BELOW}/{TYPE}/{CONTENT}/x/y/a.pdf", "STD01", "x/y/a.pdf", "x/y/a.pdf", TYPE, True),
        (f"/d/{BELOW}/{TYPE}/{CONTENT}/Main_Document.HL7", "STD01", "Main_Document.HL7", "", TYPE, True),
        (f"/d/{BELOW}/{TYPE}/{CONTENT}.pdf", "STD01", "pdf", "pdf", TYPE, True),
        (f"/d/{BELOW}/{TYPE}/{CONTENT}", "STD01", "", "", TYPE, True),
        (f"/d/{BELOW}/{TYPE}/{CONTENT.replace(TYPE, '11506-3')}/a.pdf", "STD01", "a.pdf", "a.pdf", TYPE, True),
        (f"{CONTENT}/a.pdf", "", "a.pdf", "a.pdf", TYPE, True),
    ],
)
def test_place(path: str, root: str, inside: str, part: str, data_type: str, extended: bool) -> None:
    found = ssmix2.place(path)
    assert found.name is not None and found.name.patient_id == "0001000052" and found.name.flag == "1"
    assert (found.root, found.inside, found.part) == (root, inside, part)
    assert (found.data_type, found.extended) == (data_type, extended)


@pytest.mark.parametrize("path", ["", "/", "letter.pdf", f"/d/{BELOW}/OML-11/letter.pdf", f"/{NAME}.pdf"])
def test_a_place_without_a_name(path: str) -> None:
    found = ssmix2.place(path)
    assert found.name is None and not found.extended and found.data_type == ""


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (TYPE, ("", "（経過記録）", "", "11506-3", "経過記録")),
        ("A^B^99X^1-2^C^LOINC", ("A", "B", "99X", "1-2", "C")),
        ("A^B^99X^1-2^C", ("A", "B", "99X", "1-2", "C")),
        ("A^B^99X^1^C^99Y", ("A", "B", "99X", "", "")),
        ("11506-3^経過記録^LN", ("", "", "", "11506-3", "経過記録")),
        ("L-OBSERVATIONS^OBSERVATIONS^99ZL01", ("L-OBSERVATIONS", "OBSERVATIONS", "99ZL01", "", "")),
        ("^^^^^", ("",) * 5),
        ("OMD", ("OMD", "", "", "", "")),
    ],
)
def test_parts_of_an_extended_type(name: str, parts: tuple[str, ...]) -> None:
    assert ssmix2.extended_type(name) == parts


@pytest.mark.parametrize("charset", ["utf-8", "cp932", "euc_jp"])
def test_paths_of_mixed_charsets(charset: str) -> None:
    path = "/利用者/".encode() + "（経過記録）".encode(charset) + b"/a"
    assert ssmix2.text_of(path) == "/利用者/（経過記録）/a"
    assert ssmix2.text_of(b"/a\n/\xff\xfe/0001") == "/a /\ufffd\ufffd/0001"
    assert ssmix2.text_of(b"/a/\xff\xfe/0001") == "/a/\ufffd\ufffd/0001"
