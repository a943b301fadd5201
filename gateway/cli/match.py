"""`musubi match`: how good the matching of records is (名寄せ), and the weights of a site's own records."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli._frame import DONE, FINDINGS, JsonOption, app, need, print_json
from gateway.errors import BadInput

if TYPE_CHECKING:
    from gateway.codec.persons import PersonLine

PRECISION, RECALL = 0.999, 0.97
"""What `evaluate` asks for; below it, or with twins linked, the exit code is 1."""


@app.command()
def match(
    action: Annotated[
        str, typer.Argument(help="evaluate: measure. train: print a matching.toml.", metavar="evaluate|train")
    ],
    file: Annotated[
        Path | None, typer.Argument(help="Records as NDJSON; evaluate draws people unless given.", metavar="FILE")
    ] = None,
    persons: Annotated[int, typer.Option(help="evaluate: how many people to draw.", min=100, max=5_000_000)] = 100_000,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 1,
    weights: Annotated[Path | None, typer.Option(help="A site's matching.toml, or its folder; else ours.")] = None,
    out: Annotated[Path | None, typer.Option(help="train: the file to write; else standard output.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure the matching of records (名寄せ) on people with a known truth, or learn weights from records."""
    if action not in ("evaluate", "train"):
        raise typer.BadParameter("evaluate or train", param_hint="evaluate|train")
    if action == "train" and file is None:
        raise typer.BadParameter("train needs a file of records", param_hint="FILE")
    need([path for path in (file, weights) if path is not None])
    if action == "train":
        assert file is not None
        return _train(file, weights, seed, out)
    return _evaluate(file, weights, persons, seed, as_json)


def _evaluate(file: Path | None, weights: Path | None, persons: int, seed: int, as_json: bool) -> int:
    from gateway.model.identity import Authority
    from gateway.sandbox.people import MEDICAL_ID_OID
    from gateway.sandbox.persons import records
    from gateway.services.matching import Matching
    from gateway.services.matching.evaluation import evaluate

    matching = Matching.load(weights, [Authority(MEDICAL_ID_OID, kind="medical-id")])
    quality = evaluate(matching, _lines(file) if file is not None else records(seed, persons))
    counts = {"version": matching.version, **quality.as_dict()}
    if as_json:
        print_json(counts)
    else:
        for name, value in counts.items():
            typer.echo(f"{name.replace('_', ' '):<16} {f'{value:,}' if isinstance(value, int) else value}")
    good = quality.precision >= PRECISION and quality.recall >= RECALL and not quality.twins_linked
    return DONE if good else FINDINGS


def _train(file: Path, weights: Path | None, seed: int, out: Path | None) -> int:
    from gateway.services.matching import Matching, training
    from gateway.services.matching.weights import parsed

    matching, values = Matching.load(weights), parsed(weights)
    features = [matching.features(line.demographics, line.ids) for line in _lines(file)]
    learnt = training.train(matching, features, values, seed)
    text = training.toml(values, learnt)
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        out.write_text(text, "utf-8")
        typer.echo(
            f'{out} written; measure it: musubi match evaluate --weights {out}; use it: [matching] weights = "..."'
        )
    return DONE


def _lines(file: Path) -> Iterator["PersonLine"]:
    from gateway.codec.persons import MAX_LINE_BYTES, read

    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES + 1):
            number += 1
            if line.strip():
                try:
                    yield read(line)
                except BadInput as error:
                    raise BadInput(f"line {number}: {error}") from None
