"""python -m tests.bench [--short|--long] [--only NAME ...] [--json] [--write docs/benchmarks.md]

Measures this program against floors of the same run. Exit code 1 when a target is missed.
"""

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import (
    answering,
    enforcing,
    federating,
    feeding,
    identity,
    large,
    matching,
    registry,
    report,
    scale,
    sources,
    storing,
    translating,
    trusting,
)
from tests.bench.material import LONG, SHORT, Size
from tests.bench.measure import Figure, machine

Benchmark = Callable[[Path, Size], Iterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "translate": translating.translate,
    "every-type": sources.every_type,
    "split-ratio": translating.split_ratio,
    "exchange": sources.exchange,
    "notebook": sources.notebook,
    "ingest": storing.ingest,
    "writer": storing.writer,
    "rescan": storing.rescan,
    "memory": storing.memory,
    "tree-scale": scale.tree_scale,
    "check": answering.check,
    "iti18": answering.iti18,
    "registry": registry.growth,
    "federation": federating.federation,
    "large": large.large,
    "documents": large.documents,
    "mllp": feeding.mllp,
    "identity": identity.identity,
    "matching": matching.matching,
    "trust": trusting.trusting,
    "enforced": enforcing.enforcing,
}


def measure(name: str, size: Size) -> Iterator[Figure]:
    """The figures of one benchmark, in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="musubi-bench-") as folder:
        yield from BENCHMARKS[name](Path(folder), size)
    gc.collect()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n\n")[2])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="a few minutes (the default)")
    form.add_argument("--long", action="store_true", help="memory with 100,000 files, a tree of a million, more runs")
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON object a figure and line")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, between its marks")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write takes all figures of one run; leave out --only")
    if not options.json:
        print(machine())
    figures = []
    for name in options.only or BENCHMARKS:
        for figure in measure(name, LONG if options.long else SHORT):
            figures.append(figure)
            print(json.dumps(figure.as_dict(), ensure_ascii=False) if options.json else report.line(figure), flush=True)
    if options.write:
        report.write(options.write, figures, "long" if options.long else "short")
    missed = [figure.name for figure in figures if figure.verdict == "short of target"]
    if missed and not options.json:
        print(f"short of target: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
