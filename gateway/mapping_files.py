"""Where the data files of `mappings/` are, in the checkout or packed inside the wheel, and what a site adds to them.

An overlay (施設追加表) is a folder of the same layout: `tables/<name>.csv` adds rows to a code table of ours,
`rows/<source>/<segment>-<Resource>.toml` reads fields that are residue with us. It only adds: a source code that we map
to something else is an error, and so is a field that we read. The one exception is `affinity-domain/<name>.csv`: which
codes documents get is agreed in a region, so its rows take the place of ours. `configure` names the overlay once a
process, before anything is translated; docs/overlay.md, docs/adr/0014.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gateway.errors import ConfigurationError

AFFINITY = "affinity-domain"
"""Folder of the codes that documents get (ITI TF-3: 4.2.3)."""

_PACKAGE = Path(__file__).resolve().parent
_PACKED = _PACKAGE / "_mappings"

ROOT = _PACKED if _PACKED.is_dir() else _PACKAGE.parent / "mappings"

Row = dict[str, str]

ABSOLUTE_URI = re.compile(r"(https?://|urn:)[!-~]+")
_FIELD = re.compile(r"[A-Z][A-Z0-9]{2}-[0-9]+(\.[0-9]+)?")


class Table(dict[str, str]):
    """One code table, source -> target. Rows of an overlay are put into the same object, so it may be kept."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _State:
    """What this process works with."""

    site: Path | None = None
    used: bool = False
    """Something that cannot be extended any more was made of the files."""


_TABLES: dict[str, Table] = {}


def path(*parts: str) -> Path:
    """The path of one mapping file, e.g. path("tables", "observation-status.csv")."""
    return ROOT.joinpath(*parts)


def read_csv(file: Path) -> Iterator[Row]:
    """Rows of a table as strings; lines that start with `#` hold the source and are passed over."""
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


# -- the overlay ------------------------------------------------------------------------------------------------------


def configure(overlay: Path | None) -> None:
    """The overlay of this process; the same one again is nothing new.

    Raises ConfigurationError for a folder that is none, for an addition that contradicts us, and for another overlay
    than the one that is already at work.
    """
    wanted = overlay.resolve() if overlay else None
    if wanted == _State.site:
        return
    if _State.used or _State.site is not None:
        raise ConfigurationError("the mapping is at work already; another overlay needs a new process")
    assert wanted is not None
    tables = overlay_files(wanted, "csv")
    for file in (one for one in tables if one.parent.name == AFFINITY):
        _agreed(file)
    additions = {file: _additions(file) for file in tables if file.parent.name != AFFINITY}
    for file in overlay_files(wanted, "toml"):
        _check_rows(file, _parsed(file))
    larger = {file: _larger(file, rows) for file, rows in additions.items() if file.stem != "code-systems"}
    for file, rows in additions.items():
        if file.stem == "code-systems":
            _joined(file, rows)
            _check_systems(file, rows)
    _State.site = wanted
    for file, entries in larger.items():
        table(file.stem).update(entries)


def _check_rows(file: Path, content: dict[str, Any]) -> None:
    """What a row has to say, before anything is compiled of it: a fault of the site is none of the program."""
    if not path("rows", file.parent.name).is_dir():
        raise ConfigurationError(f"{file}: there are no rows of a source {file.parent.name!r}")
    for kind, wanted in (("row", {"from", "to", "cite"}), ("unmapped", {"from", "reason"})):
        rows = content.get(kind, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ConfigurationError(f"{file}: {kind} is a list of tables")
        for row in rows:
            if missing := sorted(wanted - row.keys()):
                raise ConfigurationError(f"{file}: a row of {kind!r} without {', '.join(missing)}")
            if not all(isinstance(row[name], str) for name in wanted):
                raise ConfigurationError(f"{file}: {', '.join(sorted(wanted))} of a row are text")
            if kind == "row" and ("via" in row) == ("table" in row):
                raise ConfigurationError(f"{file}: the row from {row['from']} needs one of via and table")
            if not _FIELD.fullmatch(row["from"]):
                raise ConfigurationError(f"{file}: from is a field such as PID-16")


def _check_systems(file: Path, rows: Iterable[Row]) -> None:
    for row in rows:
        if not ABSOLUTE_URI.fullmatch(row["system"]):
            raise ConfigurationError(f"{file}: the system of {row['name']!r} is not an absolute URI")
        try:
            re.compile(row["pattern"])
        except re.error:
            raise ConfigurationError(f"{file}: the pattern of {row['name']!r} is not a regular expression") from None


def overlay() -> Path | None:
    """The folder that `configure` named."""
    return _State.site


def overlay_files(folder: Path, kind: str) -> list[Path]:
    """The tables ("csv") or rows ("toml") of an overlay, in order. Raises ConfigurationError for a file that stands
    where nobody would read it: additions that silently do nothing are worse than none."""
    overlay_root(folder)
    found: list[Path] = []
    for file in sorted(one for one in folder.rglob("*") if one.is_file() and one.suffix in (".csv", ".toml")):
        parts = file.relative_to(folder).parts
        if not fits_overlay(parts):
            raise ConfigurationError(f"{file}: {OVERLAY_LAYOUT}")
        if file.suffix == f".{kind}":
            found.append(file)
    return found


OVERLAY_LAYOUT = "an overlay has tables/NAME.csv, affinity-domain/NAME.csv and rows/SOURCE/SEGMENT-RESOURCE.toml"


def fits_overlay(parts: tuple[str, ...]) -> bool:
    """Whether a file of an overlay stands where it is read."""
    kind = parts[-1].rpartition(".")[2]
    return (parts[0], len(parts), kind) in (("tables", 2, "csv"), (AFFINITY, 2, "csv"), ("rows", 3, "toml"))


def overlay_root(folder: Path) -> None:
    """Raises ConfigurationError for a folder that cannot be an overlay: a wrong name in the settings must be heard."""
    if not folder.is_dir():
        raise ConfigurationError(f"mapping overlay {folder}: no such folder")
    if not any((folder / name).is_dir() for name in ("tables", "rows", AFFINITY)):
        raise ConfigurationError(f"mapping overlay {folder}: holds none of tables/, rows/ and {AFFINITY}/")


def _site_file(name: str) -> Path:
    return (_State.site or Path()).joinpath("tables", f"{name}.csv")


def header(file: Path) -> tuple[str, ...]:
    """The column names of a table."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(line for line in lines if not line.startswith("#"))
        return tuple(next(reader, ()))


def takes_additions(name: str) -> bool:
    """Whether an overlay may add to this table of ours: code tables, and the names of code systems."""
    file = path("tables", f"{name}.csv")
    return file.is_file() and (header(file)[:2] == ("source", "target") or name == "code-systems")


def _additions(file: Path) -> list[Row]:
    """Rows of one overlay table of codes."""
    if not takes_additions(file.stem):
        raise ConfigurationError(f"{file}: there is no table {file.stem!r} that takes additions")
    return _read_addition(file, header(path("tables", f"{file.stem}.csv")))


def _read_addition(file: Path, columns: tuple[str, ...]) -> list[Row]:
    """Rows of a site's table, with our columns. LENIENT: the byte-order mark that spreadsheets write."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
            rows = list(reader)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text (byte {error.start}); save it as CSV UTF-8") from None
    wanted = {name for name in columns if name not in OPTIONAL}
    if not wanted <= set(reader.fieldnames or ()):
        raise ConfigurationError(f"{file}: the columns are {', '.join(columns)}")
    if any(None in row or None in row.values() for row in rows):
        raise ConfigurationError(f"{file}: a row has another number of columns than the header")
    return [{name: row.get(name, OPTIONAL.get(name, "")) for name in columns} for row in rows]


OPTIONAL = {"cite": "", "display": "", "oid": "", "pattern": ".+", "published": "no"}
"""Columns that an addition may leave out, and what they say then."""


# -- what the files say -----------------------------------------------------------------------------------------------


def table(name: str) -> Table:
    """One code table of mappings/tables, with the site's rows. A duplicate source is an error, not a last-one-wins."""
    known = _TABLES.get(name)
    if known is None:
        made = Table(name)
        for row in read_csv(path("tables", f"{name}.csv")):
            if made.setdefault(row["source"], row["target"]) != row["target"]:
                raise ValueError(f"table {name}: {row['source']!r} is mapped twice")
        known = _TABLES[name] = made
        if _State.site is not None and (more := _site_file(name)).is_file():
            known.update(_larger(more, _additions(more)))
    return known


def _larger(file: Path, rows: Iterable[Row]) -> dict[str, str]:
    """Our table of this name with the rows of an overlay's file."""
    found = dict(table(file.stem))
    for row in rows:
        if found.setdefault(row["source"], row["target"]) != row["target"]:
            raise ConfigurationError(f"{file}: {row['source']!r} is mapped already, and an overlay only adds")
    return found


def records(name: str) -> list[Row]:
    """All rows of a table with all their columns, the site's after ours."""
    _State.used = True
    if _State.site is not None and (more := _site_file(name)).is_file():
        return _joined(more, _additions(more))
    return list(read_csv(path("tables", f"{name}.csv")))


def affinity(name: str) -> list[Row]:
    """Rows of one table of the affinity domain; a row of the site takes the place of ours with the same key, which is the
    first column."""
    _State.used = True
    found = {next(iter(row.values())): row for row in read_csv(path(AFFINITY, f"{name}.csv"))}
    site = (_State.site or Path()).joinpath(AFFINITY, f"{name}.csv")
    if _State.site is not None and site.is_file():
        found |= {next(iter(row.values())): row for row in _agreed(site)}
    return list(found.values())


def _agreed(file: Path) -> list[Row]:
    """The rows of an overlay's table of the affinity domain."""
    ours = path(AFFINITY, file.name)
    if not ours.is_file():
        raise ConfigurationError(f"{file}: the affinity domain has no table {file.stem!r}")
    return _read_addition(file, header(ours))


def _joined(file: Path, rows: Iterable[Row]) -> list[Row]:
    """All columns of our table of this name, and the rows of an overlay's file after them."""
    found = list(read_csv(path("tables", file.name)))
    key = next(iter(found[0]))
    ours = {row[key]: row for row in found}
    for row in rows:
        if ours.setdefault(row[key], row) is row:
            found.append(row)
        elif any(row[column] not in ("", ours[row[key]][column]) for column in row if column != "cite"):
            raise ConfigurationError(f"{file}: {row[key]!r} is there already, and an overlay only adds")
    return found


def rules(source: str, name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The rows file `<segment>-<Resource>` of a source, as parsed TOML, and the site's file of the same name. Of a
    segment that only the site knows, ours has the two names and no rows."""
    _State.used = True
    site = (_State.site or Path()).joinpath("rows", source, f"{name}.toml")
    more = _parsed(site) if _State.site is not None and site.is_file() else None
    ours = path("rows", source, f"{name}.toml")
    if more is not None and not ours.is_file():
        return {key: more[key] for key in ("segment", "resource") if key in more}, more
    return _parsed(ours), more


def rules_names(source: str) -> list[str]:
    """All rows files of a source, the site's included."""
    folder = path("rows", source)
    ours = {file.stem for file in folder.glob("*.toml")} if folder.is_dir() else set()
    return sorted(ours | set(site_rules_names(source)))


def site_rules_names(source: str) -> list[str]:
    """The rows files of a source in the overlay."""
    folder = _State.site / "rows" / source if _State.site is not None else None
    return sorted(file.stem for file in folder.glob("*.toml")) if folder is not None and folder.is_dir() else []


def _parsed(file: Path) -> dict[str, Any]:
    stat = file.stat()
    return _toml(file, stat.st_mtime_ns, stat.st_size)


@cache
def _toml(file: Path, mtime_ns: int, size: int) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
