"""Two results in one value (複合検査結果値): `0.05(-)`, `(2+)60%`, `0.13(0)` -> two Observations, for tests known to send them.

Only a table of tests decides (mappings/tables/split-results.csv): `2.3(±)` of any other test stays one text. Each half
keeps the whole value as it was sent. JAHIS laboratory, section 3.
"""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment
from gateway.translate import lab_values
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment
from gateway.translate.numeric_text import FOLD, LONGEST
from gateway.translate.observation import JLAC10, ORIGINAL_TEXT

_SIGN = r"[0-9]?\+{1,5}|-|±|\+/?-"
_NUMBER = r"(?:[<>≦≧]=?|=[<>])? ?\.?[0-9][0-9.]*"
_FORMS = {
    "number(sign)": re.compile(rf"(?P<a>{_NUMBER}) ?(?:\((?P<b>{_SIGN})\)|(?P<c>{_SIGN}))(?P<tail>以上|以下|未満|超)?"),
    "(sign)number": re.compile(rf"\((?P<a>{_SIGN})\) ?(?P<b>{_NUMBER}[<>≦≧]?)(?P<tail>%?)"),
    "number(class)": re.compile(rf"(?P<a>{_NUMBER}) ?(?:\((?P<b>[0-9])\)|:(?P<c>[0-9]))"),
    "sign(sign)": re.compile(rf"\((?P<a>{_SIGN})\) ?\((?P<b>{_SIGN})\)"),
}


class _Split(NamedTuple):
    pattern: re.Pattern[str]
    form: str
    first: str
    second: str


@cache
def _splits() -> dict[str, tuple[_Split, ...]]:
    """By the first three characters of the code."""
    found: dict[str, list[_Split]] = {}
    for row in mapping_files.read_csv(mapping_files.path("tables", "split-results.csv")):
        if len(row["pattern"]) != 17 or row["form"] not in _FORMS:
            raise ValueError(f"split-results.csv: {row['pattern']!r}")
        pattern = re.compile(row["pattern"].replace("?", "[0-9A-Z]"))
        found.setdefault(row["pattern"][:3], []).append(_Split(pattern, row["form"], row["first"], row["second"]))
    return {head: tuple(rows) for head, rows in found.items()}


@lru_cache(maxsize=4096)
def _split(code: str) -> _Split | None:
    """The row of a test, its codes filled in."""
    for row in _splits().get(code[:3], ()):
        if row.pattern.fullmatch(code):
            return row._replace(first=_filled(row.first, code), second=_filled(row.second, code))
    return None


def _filled(template: str, code: str) -> str:
    if template == "+1":
        return f"{code[:15]}{int(code[15:]) + 1:02}" if code[15:].isdigit() else ""
    return "".join(sent if shown == "?" else shown for shown, sent in zip(template, code, strict=True))


def parts_of(made: Fragment, obx: Segment, context: Context) -> list[Fragment]:
    """The Observations of one OBX: nearly always itself."""
    words = made.get("valueString")
    if words is None or len(words) > LONGEST:
        return [made]
    code = next((c["code"] for c in made["code"].get("coding", ()) if c.get("system") == JLAC10), "")
    split = _split(code) if code else None
    found = _FORMS[split.form].fullmatch(words.translate(FOLD).strip(" ")) if split else None
    if split is None or found is None or not split.second:
        return [made]
    texts = found.groupdict("")
    first, second = texts["a"], texts["b"] or texts.get("c", "")
    number_first = split.form.startswith("number")
    if number_first:
        first += texts.get("tail", "")
    unit = lab_values.unit(obx[6]) if obx[6] else None
    if not number_first and texts.get("tail") == "%" and unit is None:
        unit = lab_values.unit("%")
    values = [
        _value(first, unit if number_first else None, words),
        _value(second, None if number_first else unit, words),
    ]
    rest = {key: value for key, value in made.items() if key not in ("valueString", "_valueString", "referenceRange")}
    parts = [
        {**rest, "code": _coded(made["code"], sent, code), **value}
        for sent, value in zip((split.first, split.second), values, strict=True)
    ]
    if "referenceRange" in made:
        parts[0 if number_first or split.form == "sign(sign)" else 1]["referenceRange"] = made["referenceRange"]
    parts[1]["id"] = context.id("Observation", made["id"], split.second)
    return parts


def _coded(code: Fragment, wanted: str, sent: str) -> Fragment:
    """The test's code with the result identity of one half; words and the laboratory's own code are those of both."""
    if wanted == sent:
        return code
    others = [c for c in code["coding"] if c.get("system") != JLAC10]
    return {**code, "coding": [{"system": JLAC10, "code": wanted}, *others]}


def _value(text: str, unit: lab_values.Unit | None, words: str) -> Fragment:
    original = {"extension": [{"url": ORIGINAL_TEXT, "valueString": words}]}
    found = lab_values.quantity(text, unit)
    if found.element == "valueQuantity":
        return {"valueQuantity": {**original, **found.fhir}}
    return {"valueString": text, "_valueString": original}
