"""`musubi mapping lint`: what is wrong with the mapping files, ours and a site's overlay, each with file and line.

It reads the files by itself and not through gateway/mapping_files.py, which refuses an overlay at its first fault.
"""

import csv
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway import mapping_files
from gateway.profiles.tables import Tables
from gateway.profiles.terminology import plain_codes
from gateway.profiles.validator import TABLES
from gateway.translate import rules
from gateway.translate.additions import conflicts
from gateway.translate.common import SOURCE
from gateway.translate.describe import structures

PARTS: Final = {
    "Contact": "Patient.contact",
    "Ingredient": "Medication.ingredient",
    "Performer": "Procedure.performer",
}
"""Names of rows for a part of a resource, and the element it becomes. Other names are values that code takes apart."""

_KEYS = frozenset({"from", "with", "to", "via", "table", "cite"})
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_URI = mapping_files.ABSOLUTE_URI
_MIME = re.compile(r"[a-z]+(-[a-z]+)*/[A-Za-z0-9][A-Za-z0-9.+-]*")
_TARGET = re.compile(r"->\s*(https?://[^\s;,)]+)")


class Fault(NamedTuple):
    """One finding. `line` from 1; 0: the file as a whole."""

    severity: str
    """error | warning"""
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity}: {self.text}"


class Sheet(NamedTuple):
    """One CSV table with the number of each line."""

    file: Path
    comments: list[str]
    columns: list[str]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> int:
        return self.columns.index(name) if name in self.columns else -1


def lint(overlay: Path | None = None) -> list[Fault]:
    """All findings, ours first; empty when everything is sound. ConfigurationError when the overlay is no folder."""
    return list(_Lint(overlay).run())


def bound(comments: list[str]) -> str:
    """The code system or value set that a table's head names behind `->`; "" when it names none."""
    return next((found[1].rstrip(".") for line in comments if (found := _TARGET.search(line))), "")


class _Lint:
    def __init__(self, overlay: Path | None) -> None:
        self._overlay = overlay
        self._fhir = Tables.load(mapping_files.path("profiles", name) for name in TABLES)
        self._converters = rules.converters()
        self._tables = {file.stem: file for file in sorted(mapping_files.path("tables").glob("*.csv"))}
        self._known: dict[str, frozenset[str]] = {}
        """Table -> its targets, overlay included; filled as the tables are read."""

    def run(self) -> Iterator[Fault]:
        site = _overlay_files(self._overlay) if self._overlay else []
        ours = {name: read_sheet(file) for name, file in self._tables.items()}
        for name, sheet in ours.items():
            yield from self._table(sheet, sheet.comments, name)
            if not sheet.comments:
                yield Fault("error", str(sheet.file), 1, "no source of the codes stands above the header (# cite: ...)")
        for file, fault in site:
            if fault:
                yield Fault("error", str(file), 0, fault)
        additions = [file for file, fault in site if not fault]
        agreed = [file for file in additions if file.parent.name == mapping_files.AFFINITY]
        for file in (one for one in additions if one.suffix == ".csv" and one not in agreed):
            yield from self._addition(read_sheet(file), ours)
        for file in (*sorted(mapping_files.path(mapping_files.AFFINITY).glob("*.csv")), *agreed):
            yield from _affinity(read_sheet(file))
        yield from self._rows(additions)
        yield from self._unused(ours)

    # -- tables -------------------------------------------------------------------------------------------------------

    def _table(self, sheet: Sheet, comments: list[str], name: str) -> Iterator[Fault]:
        """What holds of one file by itself."""
        if not sheet.columns:
            yield Fault("error", str(sheet.file), 0, "the file has no header, or is not UTF-8")
            return
        source, target = sheet.column("source"), sheet.column("target")
        first: dict[str, int] = {}
        allowed = self._allowed(bound(comments)) if target >= 0 else None
        for line, row in sheet.rows:
            if len(row) != len(sheet.columns):
                yield Fault("error", str(sheet.file), line, f"{len(row)} columns, the header has {len(sheet.columns)}")
                continue
            if name == "code-systems":
                yield from _code_system(sheet, line, row)
            key = row[source] if source >= 0 else row[0] if name == "code-systems" else None
            if key is not None and first.setdefault(key, line) != line:
                yield Fault("error", str(sheet.file), line, f"{key!r} stands on line {first[key]} already")
            if target >= 0 and allowed is not None and row[target] and row[target] not in allowed:
                yield Fault("error", str(sheet.file), line, f"{row[target]!r} is not in {bound(comments)}")
        if target >= 0:
            targets = {row[target] for _, row in sheet.rows if len(row) == len(sheet.columns)}
            self._known[name] = self._known.get(name, frozenset()) | targets

    def _allowed(self, url: str) -> frozenset[str] | None:
        if not url:
            return None
        codes = self._fhir.codes(url)
        if codes is None and url.startswith("http://hl7.org/fhir/"):
            codes = plain_codes(self._fhir.value_set(url.replace("/fhir/", "/fhir/ValueSet/")))
        return codes if codes is not None else plain_codes(self._fhir.value_set(url))

    def _addition(self, sheet: Sheet, ours: Mapping[str, Sheet]) -> Iterator[Fault]:
        name = sheet.file.stem
        if name not in ours or not mapping_files.takes_additions(name):
            yield Fault("error", str(sheet.file), 0, f"there is no table {name!r} that takes additions")
            return
        yield from self._table(sheet, ours[name].comments, name)
        own = ours[name]
        optional = mapping_files.OPTIONAL
        missing = [column for column in own.columns if column not in sheet.columns and column not in optional]
        if missing:
            yield Fault("error", str(sheet.file), 0, f"columns are missing: {', '.join(missing)}")
            return
        known = {row[0]: (line, dict(zip(own.columns, row, strict=False))) for line, row in own.rows}
        for line, row in sheet.rows:
            said = dict(zip(sheet.columns, row, strict=False))
            if len(row) != len(sheet.columns) or (key := said[own.columns[0]]) not in known:
                continue
            at, there = known[key]
            same = all(there.get(column) == value for column, value in said.items() if value and column != "cite")
            if same:
                yield Fault("warning", str(sheet.file), line, f"{key!r} is the same as {own.file.name} line {at}")
            else:
                text = f"{key!r} contradicts {own.file.name} line {at}, and an overlay only adds"
                yield Fault("error", str(sheet.file), line, text)

    def _unused(self, ours: Mapping[str, Sheet]) -> Iterator[Fault]:
        words = _words_of_the_program()
        for name, sheet in ours.items():
            if name not in words and f"{name}.csv" not in words and name not in self._rows_tables:
                yield Fault("warning", str(sheet.file), 0, "nothing reads this table")

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _rows(self, additions: list[Path]) -> Iterator[Fault]:
        self._rows_tables: set[str] = set()
        used = {
            f"{segment}-{target}"
            for all_rules in structures().values()
            for one in all_rules
            for segment, targets in one.resources.items()
            for target in targets
        }
        ours: dict[str, dict[str, Any]] = {}
        for file in sorted(mapping_files.path("rows", SOURCE).glob("*.toml")):
            content, faults = read_rows(file)
            ours[file.stem] = content
            yield from faults
            yield from self._rows_file(file, content)
            if file.stem not in used:
                yield Fault("warning", str(file), 0, "no structure reads these rows")
        for file in (one for one in additions if one.suffix == ".toml"):
            content, faults = read_rows(file)
            yield from faults
            if faults:
                continue
            segment, _, target = file.stem.partition("-")
            own = segment[:1] == "Z" and target == "Patient" and not any(n.startswith(f"{segment}-") for n in used)
            if file.parent.name != SOURCE or (file.stem not in used and not own):
                yield Fault("error", str(file), 0, "no structure reads rows of this name")
                continue
            yield from self._rows_file(file, content)
            names = {"segment": segment, "resource": target}
            for problem in conflicts(ours.get(file.stem, names), content):
                yield Fault("error", str(file), _line_of(file, problem.partition(" ")[0]), problem)

    def _rows_file(self, file: Path, content: Mapping[str, Any]) -> Iterator[Fault]:
        segment, resource = content.get("segment"), content.get("resource")
        if not isinstance(segment, str) or not file.stem.startswith(f"{segment}-") or not isinstance(resource, str):
            yield Fault("error", str(file), 0, "segment and resource have to be given; the file is SEGMENT-NAME.toml")
            return
        seen: set[str] = set()
        for row in content.get("row", ()):
            line = _line_of(file, str(row.get("from", "")), str(row.get("to", "")))
            for text in self._row(row, segment, resource, frozenset(content.get("scratch", ()))):
                yield Fault("error", str(file), line, text)
            if str(row.get("from")) in seen:
                yield Fault("error", str(file), line, f"{row['from']} stands in two rows")
            seen.add(str(row.get("from")))
        for row in content.get("unmapped", ()):
            field = str(row.get("from", ""))
            line = _line_of(file, field)
            if not re.fullmatch(rf"{segment}-[1-9][0-9]*(\.[1-9][0-9]*)?", field):
                yield Fault("error", str(file), line, f"{field!r} is no field of {segment}")
            if not str(row.get("reason", "")).strip():
                yield Fault("error", str(file), line, f"{field} is left out without a reason")
            if field in seen:
                yield Fault("error", str(file), line, f"{field} is mapped and left out, or stands twice")
            seen.add(field)

    def _row(self, row: Mapping[str, Any], segment: str, resource: str, scratch: frozenset[str]) -> Iterator[str]:
        for field in (str(row.get("from", "")), *row.get("with", ())):
            if not re.fullmatch(rf"{segment}-[1-9][0-9]*", field):
                yield f"{field!r} is no field of {segment}"
        if unknown := sorted(row.keys() - _KEYS):
            yield f"unknown key {', '.join(unknown)}"
        if not str(row.get("cite", "")).strip():
            yield "a row without cite"
        if ("via" in row) == ("table" in row):
            yield "a row has one of via and table"
        if "via" in row and row["via"] not in self._converters:
            yield f"there is no converter {row['via']!r}"
        if "table" in row:
            self._rows_tables.add(str(row["table"]))
            if row["table"] not in self._known:
                yield f"there is no code table {row['table']!r}"
        path = str(row.get("to", ""))
        if not path:
            yield "a row without to"
        elif path != "." and not path.startswith("+") and path.replace("[]", "").partition(".")[0] not in scratch:
            yield from self._target(resource, path, row.get("table"))

    def _target(self, resource: str, path: str, table: object) -> Iterator[str]:
        """Whether the path leads to an element, and a table's targets are in a required binding of it."""
        context: str | None = PARTS.get(resource, resource)
        if resource not in PARTS and self._fhir.type(resource) is None:
            return
        element = None
        for step in path.replace("[]", "").split("."):
            if context is None:
                return
            element = self._fhir.child(context, step)
            if element is None:
                yield f"{step!r} is no element of {context} ({path})"
                return
            context = self._fhir.context_below(context, element)
        if element is None or element.binding is None or element.binding[0] != "required":
            return
        codes = plain_codes(self._fhir.value_set(element.binding[1].partition("|")[0]))
        wrong = sorted(self._known.get(str(table), frozenset()) - (codes or frozenset()) - {""}) if table else []
        if codes is not None and wrong:
            yield f"table {table} gives {', '.join(wrong)}, which {element.binding[1]} does not have"


# -- reading ----------------------------------------------------------------------------------------------------------


def read_sheet(file: Path) -> Sheet:
    """A table; without columns when it is no UTF-8 text."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return Sheet(file, [], [], [])
    comments = [line for line in lines if line.startswith("#")]
    numbered = [
        (number, next(csv.reader([line]), []))
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    return Sheet(file, comments, numbered[0][1] if numbered else [], numbered[1:])


def read_rows(file: Path) -> tuple[dict[str, Any], list[Fault]]:
    """A rows file as parsed TOML; empty with a finding when it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig")), []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = re.search(r"line ([0-9]+)", str(error))
        return {}, [Fault("error", str(file), int(found[1]) if found else 0, f"no TOML: {error}")]


def _overlay_files(folder: Path) -> list[tuple[Path, str]]:
    """Every file of an overlay that could be meant for us, and what is wrong with its place."""
    mapping_files.overlay_root(folder)
    found = []
    for file in sorted(one for one in folder.rglob("*") if one.is_file() and one.suffix in (".csv", ".toml")):
        fits = mapping_files.fits_overlay(file.relative_to(folder).parts)
        found.append((file, "" if fits else mapping_files.OVERLAY_LAYOUT))
    return found


_CODED_EMPTY = ("practice-setting", "department")
"""The one row whose code is not in the table: it is the department's own."""


def _affinity(sheet: Sheet) -> Iterator[Fault]:
    """One table of the affinity domain: our columns, each key once, a code with its system in every row."""
    file, ours = str(sheet.file), mapping_files.path(mapping_files.AFFINITY, sheet.file.name)
    if not ours.is_file():
        yield Fault("error", file, 0, f"the affinity domain has no table {sheet.file.stem!r}")
        return
    columns = [column for column in mapping_files.header(ours) if column not in mapping_files.OPTIONAL]
    if missing := [column for column in columns if column not in sheet.columns]:
        yield Fault("error", file, 0, f"columns are missing: {', '.join(missing)}")
        return
    first: dict[str, int] = {}
    for line, row in sheet.rows:
        if len(row) != len(sheet.columns):
            yield Fault("error", file, line, f"{len(row)} columns, the header has {len(sheet.columns)}")
            continue
        said = dict(zip(sheet.columns, row, strict=True))
        key = said[columns[0]]
        if first.setdefault(key, line) != line:
            yield Fault("error", file, line, f"{key!r} stands on line {first[key]} already")
        if "code" in said and not said["code"] and (sheet.file.stem, key) != _CODED_EMPTY:
            yield Fault("error", file, line, f"{key!r} has no code")
        if "scheme" in said and not (_OID.fullmatch(said["scheme"]) or _URI.fullmatch(said["scheme"])):
            yield Fault("error", file, line, f"the scheme of {key!r} is neither an OID nor an absolute URI")
        if "mime" in said and not _MIME.fullmatch(said["mime"]):
            yield Fault("error", file, line, f"{said['mime']!r} is no media type")


def _code_system(sheet: Sheet, line: int, row: list[str]) -> Iterator[Fault]:
    said = dict(zip(sheet.columns, row, strict=False))
    checks: dict[str, tuple[Callable[[str], Any], str]] = {
        "name": (lambda word: word.strip() == word and word != "", "a name without blanks around it"),
        "system": (mapping_files.ABSOLUTE_URI.fullmatch, "an absolute URI"),
        "pattern": (_is_pattern, "a regular expression"),
        "published": (lambda word: word in ("yes", "no"), "yes or no"),
    }
    for column, (check, words) in checks.items():
        if column in said and not check(said[column]):
            yield Fault("error", str(sheet.file), line, f"{column}: {said[column]!r} is not {words}")


def _is_pattern(word: str) -> bool:
    try:
        return word != "" and re.compile(word) is not None
    except re.error:
        return False


def _line_of(file: Path, *words: str) -> int:
    """The first line that holds all the words in quotes; 0 when none does."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    wanted = [f'"{word}"' for word in words if word]
    found = (n for n, line in enumerate(lines, start=1) if wanted and all(word in line for word in wanted))
    return next(found, _line_of(file, words[0]) if len(words) > 1 else 0)


def _words_of_the_program() -> frozenset[str]:
    """Everything in quotes in the program's own files."""
    package = Path(mapping_files.__file__).parent
    return frozenset(
        word
        for file in package.rglob("*.py")
        for word in re.findall(r'"([a-z0-9.-]+)"', file.read_text(encoding="utf-8"))
    )
