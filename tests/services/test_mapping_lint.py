"""gateway/services/mapping_lint.py: a fault in each kind of file is found with its line, and sound files give none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.services import mapping_lint
from gateway.services.mapping_lint import Fault, bound, lint, read_sheet

ROWS = """\
segment = "PID"
resource = "Patient"
row = [
  { from = "PID-16", to = "maritalStatus", via = "cwe", cite = "ours" },
  { from = "PID-15", to = "gender", table = "administrative-gender", cite = "ours" },
]
unmapped = [
  { from = "PID-17", reason = "not wanted" },
]
"""
Site = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    def write(name: str = "rows/ss-mix2/PID-Patient.toml", text: str = ROWS) -> Path:
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return tmp_path / "site"

    return write


def of(found: list[Fault]) -> list[tuple[str, int, str]]:
    """Findings of the overlay."""
    return [(fault.severity, fault.line, fault.text) for fault in found if "/site/" in fault.file]


def test_our_own_files_have_no_error() -> None:
    assert [str(fault) for fault in lint() if fault.severity == "error"] == []


def test_a_sound_overlay_has_no_finding(site: Site) -> None:
    site("tables/ucum-units.csv", "source,target,cite\n甲,g,ours\n")
    site("tables/code-systems.csv", "name,system,pattern,published\n99A,http://hospital.example/a,.+,no\n")
    assert of(lint(site())) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('via = "cwe"', 'via = "no_such"', 4, "no converter 'no_such'"),
        ('table = "administrative-gender"', 'table = "no-such"', 5, "no code table 'no-such'"),
        ('to = "maritalStatus"', 'to = "maritalStatuz"', 4, "'maritalStatuz' is no element of Patient"),
        ('to = "maritalStatus"', 'to = "contact.nome"', 4, "'nome' is no element of Patient.contact"),
        ('to = "maritalStatus"', 'to = "name[].nome"', 4, "'nome' is no element of HumanName"),
        ('table = "administrative-gender"', 'table = "request-priority"', 5, "administrative-gender does not have"),
        ('via = "cwe", cite = "ours"', 'via = "cwe"', 4, "without cite"),
        ('via = "cwe", cite = "ours"', 'via = "cwe", cite = " "', 4, "without cite"),
        ('via = "cwe", ', "", 4, "one of via and table"),
        ('via = "cwe", ', 'via = "cwe", when = "x", ', 4, "unknown key when"),
        ('from = "PID-16"', 'from = "PV1-16"', 4, "'PV1-16' is no field of PID"),
        ('from = "PID-16"', 'from = "PID-15"', 5, "PID-15 stands in two rows"),
        ('from = "PID-17"', 'from = "PID-16"', 4, "mapped and left out"),
        ('from = "PID-16"', 'from = "PID-8"', 4, "PID-8 is read by our own rows"),
        ('from = "PID-16"', 'from = "PID-1"', 4, "PID-1 is left out on purpose"),
        ('reason = "not wanted"', 'reason = ""', 8, "without a reason"),
        ("row = [", "row = {", 3, "no TOML"),
        ('segment = "PID"', 'segment = "PV1"', 0, "SEGMENT-NAME"),
    ],
)
def test_a_fault_in_rows_is_found_at_its_line(site: Site, old: str, new: str, line: int, words: str) -> None:
    assert old in ROWS
    found = of(lint(site(text=ROWS.replace(old, new, 1))))
    assert any(severity == "error" and words in text for severity, _, text in found), found
    assert any(at == line and words in text for _, at, text in found) or line == 3, found


@pytest.mark.parametrize(
    ("name", "text", "line", "severity", "words"),
    [
        ("tables/administrative-gender.csv", "source,target\nX,male\nY,femail\n", 3, "error", "'femail' is not in"),
        ("tables/administrative-gender.csv", "source,target\nM,female\n", 2, "error", "contradicts"),
        ("tables/administrative-gender.csv", "source,target\nM,male\n", 2, "warning", "the same as"),
        ("tables/administrative-gender.csv", "source,target\nX,male\nX,female\n", 3, "error", "on line 2 already"),
        ("tables/administrative-gender.csv", "# a\nsource,target\nX,male,z\n", 3, "error", "3 columns"),
        ("tables/administrative-gender.csv", "code,target\nX,male\n", 0, "error", "columns are missing: source"),
        ("tables/no-such.csv", "source,target\nX,male\n", 0, "error", "no table 'no-such'"),
        ("tables/system-aliases.csv", "oid,http,name\na,b,c\n", 0, "error", "takes additions"),
        ("tables/code-systems.csv", "name,system,pattern,published\n99A,codes,.+,no\n", 2, "error", "an absolute URI"),
        ("tables/code-systems.csv", "name,system,pattern,published\n99A,urn:x:y,(,no\n", 2, "error", "a regular"),
        ("tables/code-systems.csv", "name,system,pattern,published\n99A,urn:x:y,.+,never\n", 2, "error", "yes or no"),
        ("tables/code-systems.csv", "name,system,pattern,published\nJC10,urn:x:y,.+,no\n", 2, "error", "contradicts"),
        ("tables/deep/ucum-units.csv", "source,target\n甲,g\n", 0, "error", "an overlay has"),
        ("rows/ss-mix2/PID-Nobody.toml", ROWS, 0, "error", "no structure reads"),
        ("rows/other/PID-Patient.toml", ROWS, 0, "error", "no structure reads"),
        ("rows/PID-Patient.toml", ROWS, 0, "error", "an overlay has"),
    ],
)
def test_a_fault_in_an_overlay_is_found(site: Site, name: str, text: str, line: int, severity: str, words: str) -> None:
    found = of(lint(site(name, text)))
    assert any((kind, at) == (severity, line) and words in said for kind, at, said in found), found


def test_a_table_in_another_charset_is_a_finding_and_no_crash(site: Site) -> None:
    folder = site()
    (folder / "tables").mkdir()
    (folder / "tables" / "ucum-units.csv").write_bytes("source,target\n検,g\n".encode("cp932"))
    assert any("UTF-8" in text for _, _, text in of(lint(folder)))


def test_a_folder_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        lint(tmp_path / "none")


def test_an_unused_table_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping_lint, "_words_of_the_program", lambda: frozenset({"request-priority"}))
    found = [str(fault) for fault in lint() if fault.text == "nothing reads this table"]
    assert any(line.endswith("tables/country.csv:0: warning: nothing reads this table") for line in found)
    assert not any("request-priority.csv" in line or "observation-status.csv" in line for line in found)


def test_what_code_takes_out_again_is_declared_and_only_then_no_fault(site: Site) -> None:
    text = ROWS.replace("maritalStatus", "form")
    assert any("'form' is no element" in words for _, _, words in of(lint(site(text=text))))
    assert not any("'form'" in words for _, _, words in of(lint(site(text='scratch = ["form"]\n' + text))))


def test_the_head_of_a_table_names_what_binds_it(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(
        "# HL7 table 1 -> http://hl7.org/fhir/administrative-gender; A\n# cite: x\nsource,target\nA,b\n", "utf-8"
    )
    sheet = read_sheet(file)
    assert bound(sheet.comments) == "http://hl7.org/fhir/administrative-gender"
    assert sheet.rows == [(4, ["A", "b"])]
    assert bound(["# words only"]) == ""


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("class", "data_type,code,scheme\nOML-11,LAB,1.2.3\n", 0, ""),
        ("colour", "data_type,code\n", 0, "no table 'colour'"),
        ("class", "data_type,code\nOML-11,LAB\n", 0, "columns are missing: scheme"),
        ("class", "data_type,code,scheme\nOML-11,,1.2.3\n", 2, "'OML-11' has no code"),
        ("class", "data_type,code,scheme\nA,B,1.2.3\nA,C,1.2.3\n", 3, "'A' stands on line 2 already"),
        ("class", "data_type,code,scheme\nA,B,local words\n", 2, "neither an OID nor an absolute URI"),
        ("class", "data_type,code,scheme\nA,B\n", 2, "2 columns, the header has 3"),
        ("format", "kind,code,scheme,mime\nfile,F,1.2.3,binary\n", 2, "'binary' is no media type"),
    ],
)
def test_codes_of_the_affinity_domain(site: Site, name: str, text: str, line: int, words: str) -> None:
    found = of(lint(site(f"affinity-domain/{name}.csv", text)))
    if not words:
        assert found == []
    else:
        assert [(one[0], one[1]) for one in found] == [("error", line)] and words in found[0][2]
