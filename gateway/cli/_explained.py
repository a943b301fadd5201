"""What `convert --format table` prints: one message as a table for people. Wide characters count as two columns."""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli._frame import shown
from gateway.translate.converted import Converted

WITHOUT_TERMINAL = 200
"""Columns of a line when nobody says how wide the screen is, as in a file or a pipe."""
_LONGEST = 80
_LEAST = 14
"""Columns a column needs, on average, to be read."""

_STEP = re.compile(r"([A-Za-z]+)(?:\[([0-9]*)\])?")


def console() -> Console:
    """On stdout; in colour only on a terminal."""
    if sys.stdout.isatty():
        return Console(file=sys.stdout, soft_wrap=False)
    return Console(file=sys.stdout, width=shutil.get_terminal_size((WITHOUT_TERMINAL, 50)).columns, no_color=True)


def show(to: Console, file: Path, one: Converted, document: dict[str, Any], issues: Sequence[dict[str, str]]) -> None:
    """One message: what became of every field, then what did not."""
    title = " · ".join(word for word in (shown(file), one.data_type, one.source, one.charset, one.line_ends) if word)
    to.print(_text(title), style="bold")
    resources = {
        f"{entry['resource']['resourceType']}/{entry['resource'].get('id', '')}": entry["resource"]
        for entry in document.get("entry", ())
        if "resource" in entry
    }
    names = _short(resources)
    if one.translated.lineage:
        _draw(
            to,
            ("FHIR element", "value", "source", "rule", "table row", "cite"),
            [
                (
                    _element(row.target, names),
                    _value(row.target, resources),
                    row.source,
                    f"{row.rule.partition('#')[0]} {row.via or row.table}",
                    "\n".join(f"{code.table}: {code.source} → {code.target}" for code in row.codes),
                    row.cite,
                )
                for row in one.translated.lineage
            ],
        )
    _list(to, "residue (残余)", ("source", "value"), [(r.where, r.value) for r in one.translated.residue])
    _list(to, "left out on purpose", ("source", "why"), [(u.where, u.reason) for u in one.translated.unmapped])
    words = [(i["severity"], i["code"], i["where"], i["text"]) for i in issues]
    _list(to, "issues (指摘)", ("severity", "code", "where", "text"), words)
    to.print()


def _list(to: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    block(to, f"{title}: {len(rows)}", columns, rows)


def block(to: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A title and its table; without rows the title alone."""
    to.print(_text(title), style="bold")
    if rows:
        _draw(to, columns, rows)


def _draw(to: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; where its columns would be too narrow to be read, the cells of each row below each other."""
    if to.width >= _LEAST * len(columns):
        to.print(_table(columns, rows))
        return
    for first, *rest in rows:
        to.print(_text(first))
        for column, cell in zip(columns[1:], rest, strict=True):
            if cell.strip():
                to.print(_text(f"  {column}: {cell}"))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    made = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(_text(cell) for cell in row))
    return made


def _text(words: str) -> Text:
    """Never markup (`OBX[3]` is no style), and no control character reaches the terminal."""
    return Text("".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in words))


def _short(resources: dict[str, Any]) -> dict[str, str]:
    """`Observation/<uuid>` -> `Observation#2`: the second of the message. Of one alone the number is left out."""
    counts: dict[str, list[str]] = {}
    for key in resources:
        counts.setdefault(key.partition("/")[0], []).append(key)
    return {
        key: kind if len(keys) == 1 else f"{kind}#{number}"
        for kind, keys in counts.items()
        for number, key in enumerate(keys, start=1)
    }


def _element(target: str, names: dict[str, str]) -> str:
    resource, _, path = target.partition(".")
    name = names.get(resource, resource.partition("/")[0])
    return f"{name}.{path}" if path.strip(".") else name


def _value(target: str, resources: dict[str, Any]) -> str:
    resource, _, path = target.partition(".")
    found = resources.get(resource)
    if found is None or not path.strip("."):
        return ""
    for step in path.split("."):
        name = _STEP.fullmatch(step)
        if name is None or not isinstance(found, dict) or name[1] not in found:
            return ""
        found = found[name[1]]
        if name[2] and isinstance(found, list):
            found = found[int(name[2])] if int(name[2]) < len(found) else None
    words = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
