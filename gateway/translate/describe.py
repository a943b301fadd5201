"""docs/mapping.md: every field of every segment, mapped or left out on purpose, made from the rows files.

`musubi mapping docs > docs/mapping.md`; with an overlay, the site's rows stand in it too.
"""

import sys
from pathlib import Path
from typing import Any

from gateway import mapping_files
from gateway.translate import concept_maps
from gateway.translate.common import SOURCE, Rules
from gateway.translate.lookups import tables_of
from gateway.translate.rules import converters
from gateway.translate.structures import STRUCTURES

_HEAD = """# Mapping of SS-MIX2 messages to JP Core (項目対応表)

Made from `mappings/rows/` by `musubi mapping docs > docs/mapping.md`; change the rows, not this page.

A field stands in one of three lists. *Mapped*: a row takes it, through a code table of `mappings/tables/` or a named
function of `gateway/translate/`. *Left out*: on purpose, with the reason. Everything else that a message holds
(another field, a component or repetition that a function does not read, a segment not named here) is *residue*:
kept with its place and value, shown by `musubi convert --explain`, and counted.

A function's code tables stand behind it. `.` as element: the function sets several elements. A leading `+`: code of the structure puts the value there.
"""


OTHER_SOURCES = ("exchange-spec", "jahistc", "ssmix2")
"""Folders of mappings/ that hold the tables of other sources."""


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD, _overview()]
    parts += [_section(file, content, site) for file, content, site in _files()]
    return "\n".join([*parts, _tables(), *(_sheet(file) for file in _sheets())])


def structures() -> dict[str, tuple[Rules, ...]]:
    """SS-MIX2 data type -> the rules that read its messages."""
    return {name: (one.rules, *one.more) for name, one in sorted(STRUCTURES.items())}


def _overview() -> str:
    lines = ["| data type | segments with rules |", "|---|---|"]
    for name, all_rules in structures().items():
        files = [
            f"[{segment}](#{segment.lower()}-{target.lower()})"
            for rules in all_rules
            for segment, targets in rules.resources.items()
            for target in targets
        ]
        lines.append(f"| {name} | {' '.join(files)} |")
    return "\n".join([*lines, ""])


def _files() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, our rows, the site's) of every rows file."""
    found = []
    for name in mapping_files.rules_names(SOURCE):
        ours, site = mapping_files.rules(SOURCE, name)
        found.append((name, ours, site or {}))
    return found


def _tables() -> str:
    lines = ["## Code tables", "", "| table | rows | what | read by |", "|---|---|---|---|"]
    named: dict[str, set[str]] = {}
    for name, *contents in _files():
        for row in (row for content in contents for row in content.get("row", ())):
            for table in _tables_of(row):
                named.setdefault(table, set()).add(name)
    for name in concept_maps.code_tables():
        what = _cell(" ".join(concept_maps.comments(name)))
        readers = ", ".join(sorted(named.get(name, ()))) or "code"
        lines.append(f"| `{name}` | {len(mapping_files.table(name))} | {what} | {readers} |")
    return "\n".join([*lines, ""])


def _sheets() -> list[Path]:
    """Tables of the sources that are no HL7 messages: a folder each, beside `tables`."""
    folders = (mapping_files.path(name) for name in OTHER_SOURCES)
    return [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.csv"))]


def _sheet(file: Path) -> str:
    """One such table as it stands: its items say by themselves what they become."""
    about = [line.lstrip("# ").strip() for line in file.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    columns = mapping_files.header(file)
    lines = [f"## {file.parent.name} {file.stem}", "", " ".join(about), "", f"| {' | '.join(columns)} |"]
    lines.append("|---" * len(columns) + "|")
    lines += [f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in mapping_files.read_csv(file)]
    return "\n".join([*lines, ""])


def _tables_of(row: dict[str, Any]) -> tuple[str, ...]:
    if "table" in row:
        return (row["table"],)
    return tables_of(converters()[row["via"]].call)


def _used_by(segment: str, target: str) -> str:
    names = [
        name
        for name, all_rules in structures().items()
        if any(target in rules.resources.get(segment, ()) for rules in all_rules)
    ]
    return ", ".join(names)


def _section(file: str, content: dict[str, Any], site: dict[str, Any]) -> str:
    segment, target = file.split("-", 1)
    lines = [f"## {segment} {target}", "", f"In {_used_by(segment, target)}.", ""]
    if rows := [*content.get("row", ()), *site.get("row", ())]:
        lines += ["| field | element | through | cite |", "|---|---|---|---|"]
        lines += [_row(row) for row in rows]
        lines.append("")
    if left := [*content.get("unmapped", ()), *site.get("unmapped", ())]:
        lines += ["| left out | why |", "|---|---|"]
        lines += [f"| {row['from']} | {_cell(row['reason'])} |" for row in sorted(left, key=_place)]
        lines.append("")
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    field = " with ".join((row["from"], *((", ".join(row["with"]),) if "with" in row else ())))
    through = f"table `{row['table']}`" if "table" in row else f"`{row['via']}`"
    if "via" in row and (tables := [f"`{name}`" for name in _tables_of(row) if name in concept_maps.code_tables()]):
        through += f" ({', '.join(tables)})"
    return f"| {field} | `{row['to']}` | {through} | {_cell(row['cite'])} |"


def _place(row: dict[str, Any]) -> tuple[float, ...]:
    return tuple(map(int, row["from"].partition("-")[2].split(".")))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown())
