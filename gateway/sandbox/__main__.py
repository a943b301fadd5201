"""Writes synthetic SS-MIX2 storages.

python -m gateway.sandbox --out DIR --seed 1 --patients N [--files N]     one storage
python -m gateway.sandbox --out DIR --demo                                the three of the demonstration
python -m gateway.sandbox --out FILE --seed 1 --persons N [--adt TIME]    records of people with a known truth
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gateway.codec.persons import render
from gateway.sandbox import demo
from gateway.sandbox.facilities import FACILITIES
from gateway.sandbox.persons import records
from gateway.sandbox.persons_adt import messages
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import Deviations


def main(arguments: list[str] | None = None) -> int:
    """0 done, 2 wrong usage; the manifest goes to stdout as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="new folder (the storage root), or new file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int)
    parser.add_argument("--demo", action="store_true", help="the committed demonstration storages instead")
    parser.add_argument("--persons", type=int, help="one record of each, and of one in ten a second one; NDJSON")
    parser.add_argument("--adt", metavar="YYYYMMDDHHMMSS", help="the records as ADT^A28 messages of this time instead")
    parser.add_argument("--files", type=int, help="exactly so many files in all")
    parser.add_argument("--facility", choices=sorted(FACILITIES), default="tokyo")
    parser.add_argument("--transactions", type=Path, help="also a file of the transaction storage: TR_....DAT")
    for name in ("lf", "crlf", "utf8", "shift-jis"):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE", help="share of files, 0 to 1")
    options = parser.parse_args(arguments)
    if not options.demo and options.patients is None and options.persons is None:
        parser.error("--patients N, --persons N or --demo is needed")
    try:
        if options.persons is not None:
            result = _persons(options.out, options.seed, options.persons, options.adt)
        else:
            result = _demo(options.out) if options.demo else _storage(options)
    except (ValueError, FileExistsError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    json.dump(result, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _demo(folder: Path) -> dict[str, Any]:
    return {name: manifest.as_dict() for name, manifest in demo.write(folder).items()}


def _persons(file: Path, seed: int, persons: int, adt: str | None) -> dict[str, Any]:
    """An old file is not written over. Messages follow one another, as a file over MLLP would be cut into them."""
    written = 0
    with file.open("xb") as out:
        lines = records(seed, persons)
        for data in (text.encode() for text in messages(lines, adt)) if adt else (render(one) + b"\n" for one in lines):
            out.write(data)
            written += 1
    return {"seed": seed, "persons": persons, "records": written}


def _storage(options: argparse.Namespace) -> dict[str, Any]:
    return generate(
        options.out,
        seed=options.seed,
        patients=options.patients,
        files=options.files,
        facility=FACILITIES[options.facility],
        deviations=Deviations(options.lf, options.crlf, options.utf8, options.shift_jis),
        transactions=options.transactions,
    ).as_dict()


if __name__ == "__main__":
    sys.exit(main())
