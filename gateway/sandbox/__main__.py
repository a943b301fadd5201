"""Writes synthetic SS-MIX2 storages.

python -m gateway.sandbox --out DIR --seed 1 --patients N [--files N]     one storage
python -m gateway.sandbox --out DIR --demo                                the three of the demonstration
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gateway.sandbox import demo
from gateway.sandbox.facilities import FACILITIES
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import Deviations


def main(arguments: list[str] | None = None) -> int:
    """0 done, 2 wrong usage; the manifest goes to stdout as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="new folder; the storage root")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int)
    parser.add_argument("--demo", action="store_true", help="the committed demonstration storages instead")
    parser.add_argument("--files", type=int, help="exactly so many files in all")
    parser.add_argument("--facility", choices=sorted(FACILITIES), default="tokyo")
    for name in ("lf", "crlf", "utf8", "shift-jis"):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE", help="share of files, 0 to 1")
    options = parser.parse_args(arguments)
    if not options.demo and options.patients is None:
        parser.error("--patients N or --demo is needed")
    try:
        result = _demo(options.out) if options.demo else _storage(options)
    except (ValueError, FileExistsError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    json.dump(result, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _demo(folder: Path) -> dict[str, Any]:
    return {name: manifest.as_dict() for name, manifest in demo.write(folder).items()}


def _storage(options: argparse.Namespace) -> dict[str, Any]:
    return generate(
        options.out,
        seed=options.seed,
        patients=options.patients,
        files=options.files,
        facility=FACILITIES[options.facility],
        deviations=Deviations(options.lf, options.crlf, options.utf8, options.shift_jis),
    ).as_dict()


if __name__ == "__main__":
    sys.exit(main())
