"""docs/mapping.md: every field of every segment, mapped or left out on purpose, made from the rows files.

`python -m gateway.translate.describe > docs/mapping.md`
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

from gateway import mapping_files
from gateway.translate.common import SOURCE, Rules
from gateway.translate.structures import STRUCTURES

_HEAD = """# Mapping of SS-MIX2 messages to JP Core (項目対応表)

Made from `mappings/rows/` by `python -m gateway.translate.describe > docs/mapping.md`; change the rows, not this page.

A field stands in one of three lists. *Mapped*: a row takes it, through a code table of `mappings/tables/` or a named
function of `gateway/translate/`. *Left out*: on purpose, with the reason. Everything else that a message holds
(another field, a component or repetition that a function does not read, a segment not named here) is *residue*:
kept with its place and value, shown by `musubi convert --explain`, and counted.

`.` as element: the function sets several elements. A leading `+`: code of the structure puts the value there.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD, _overview()]
    parts += [_section(file, content) for file, content in _files()]
    return "\n".join(parts)


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


def _files() -> list[tuple[str, dict[str, Any]]]:
    folder: Path = mapping_files.path("rows", SOURCE)
    return [(file.stem, tomllib.loads(file.read_text(encoding="utf-8"))) for file in sorted(folder.glob("*.toml"))]


def _used_by(segment: str, target: str) -> str:
    names = [
        name
        for name, all_rules in structures().items()
        if any(target in rules.resources.get(segment, ()) for rules in all_rules)
    ]
    return ", ".join(names)


def _section(file: str, content: dict[str, Any]) -> str:
    segment, target = file.split("-", 1)
    lines = [f"## {segment} {target}", "", f"In {_used_by(segment, target)}.", ""]
    if rows := content.get("row"):
        lines += ["| field | element | through | cite |", "|---|---|---|---|"]
        lines += [_row(row) for row in rows]
        lines.append("")
    if left := content.get("unmapped"):
        lines += ["| left out | why |", "|---|---|"]
        lines += [f"| {row['from']} | {_cell(row['reason'])} |" for row in sorted(left, key=_place)]
        lines.append("")
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    field = " with ".join((row["from"], *((", ".join(row["with"]),) if "with" in row else ())))
    through = f"table `{row['table']}`" if "table" in row else f"`{row['via']}`"
    return f"| {field} | `{row['to']}` | {through} | {_cell(row['cite'])} |"


def _place(row: dict[str, Any]) -> tuple[float, ...]:
    return tuple(map(int, row["from"].partition("-")[2].split(".")))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown())
