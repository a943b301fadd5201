"""The report: lines for the terminal, a table for docs/benchmarks.md."""

from collections.abc import Iterable
from pathlib import Path

from tests.bench.measure import Figure, machine

BEGIN = "<!-- figures: written by python -m tests.bench --write -->"
END = "<!-- end of figures -->"


def line(figure: Figure) -> str:
    target = f"{figure.target:>9}  {figure.verdict}" if figure.target else f"{'':>9}  information"
    return f"{figure.name:<28} {figure.shown:>22}  {target:<26}  {figure.note}"


def table(figures: Iterable[Figure], form: str) -> str:
    """Markdown; the first line says on what machine and in which form it was measured."""
    rows = [
        f"{machine()}; {form} form.",
        "",
        "| figure | measured | target | | how |",
        "|---|---:|---:|---|---|",
    ]
    rows += [f"| {f.name} | {f.shown} | {f.target} | {f.verdict} | {f.note.replace('|', ' ')} |" for f in figures]
    return "\n".join(rows)


def write(page: Path, figures: Iterable[Figure], form: str) -> None:
    """Puts the table between the two marks of the page. Raises ValueError when the page does not have them in order."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name}: no place for figures (a line {BEGIN} and a line {END})")
    page.write_text(f"{before}{BEGIN}\n{table(figures, form)}\n{END}{after}", encoding="utf-8")
