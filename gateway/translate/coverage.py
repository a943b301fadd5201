"""IN1 -> Coverage (保険): insurer, symbol, number, branch (保険者番号, 記号, 番号, 枝番)."""

import unicodedata

from gateway.codec.er7 import Segment
from gateway.translate.common import settle_period
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, component, plain
from gateway.translate.leavings import place
from gateway.translate.people import EXTENSION, insurer_organization, resource
from gateway.translate.rules import SegmentRules, converter

_INSURED = ("JP_Coverage_InsuredPersonSymbol", "JP_Coverage_InsuredPersonNumber", "JP_Coverage_InsuredPersonSubNumber")


def add_coverage(segment: Segment, context: Context, rules: SegmentRules) -> list[str]:
    """Adds the Coverage and returns the insured-person id of the card, when it is complete."""
    key = (context.key[0], segment[2].split("^")[0], segment[3], segment[10])
    coverage = resource("Coverage", context.id("Coverage", *key, context.nth("IN1", *key)), "JP_Coverage")
    # Coverage.status is mandatory and IN1 has no such field: a card listed in the current patient basics is in
    # force, or the sender would have taken it out; whether its period is over is for the reader of the period.
    coverage["status"] = "active"
    rules.apply(segment, {"Coverage": coverage}, context)
    settle_period(coverage, segment, 13, context)
    coverage["beneficiary"] = context.subject()
    coverage.setdefault("payor", [absent()])
    context.add(coverage)
    return insured_person_id(segment)


@converter(1)
def payor(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    return insurer_organization(number, component(segment[4], 1), context) if number else None


@converter(1)
def payor_name(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IN1-4 names the insurer; alone it is all we know of the payor."""
    name = component(raw, 1)
    return insurer_organization("", name, context) if name and not component(segment[3], 1) else None


@converter(repeats=True)
def insured_person(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """IN1-10 `symbol~number~branch` -> the three JP Core extensions, as printed on the card."""
    parts = [plain(p) for p in raw.split("~")]
    if any(parts[3:]):
        context.keep(place(segment, 10), "~".join(raw.split("~")[3:]))
    pairs = zip(_INSURED, parts, strict=False)
    return [{"url": EXTENSION + name, "valueString": value} for name, value in pairs if value]


def insured_person_id(segment: Segment) -> list[str]:
    """被保険者個人識別子 `insurer:symbol:number:branch` for the exact cross-reference: NFKC folded and upper-cased,
    because the same card is typed half-width here and full-width there. Only a card with its branch number names one
    person; without it a whole family shares the id."""
    insurer = component(segment[3], 1)
    parts = [*(plain(p) for p in segment[10].split("~")), "", "", ""]
    symbol, number, branch = (unicodedata.normalize("NFKC", p).upper().replace(" ", "") for p in parts[:3])
    if not (insurer.isdigit() and len(insurer) <= 8 and number and len(branch) == 2 and branch.isdigit()):
        return []
    return [f"{insurer:0>8}:{symbol}:{number}:{branch}"]
