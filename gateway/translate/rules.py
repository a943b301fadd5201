"""Field rows: `mappings/rows/<source>/<segment>-<Resource>.toml` compiled to closures at start-up.

A row says where from, where to, through which converter or code table, and cites its source. There is no `if` in a
row: what needs one is a named function in this package, and the row names it. Every field of a segment ends in
exactly one of three ways: a row takes it, the file lists it as deliberately unmapped with a reason, or it is residue
(kept with its place and value, and counted).

    segment = "RXE"
    resource = "MedicationRequest"
    [[row]]
    from = "RXE-10"              # the field whose presence triggers the row
    with = ["RXE-11"]            # fields the converter also reads; they are residue when `from` is empty
    to   = "dispenseRequest.quantity"   # a path; `name[]` appends, `.` merges a whole fragment
    via  = "quantity_with_unit"  # converter, or table = "<code table>"
    cite = "JP_MedicationRequest.dispenseRequest.quantity"
    [[unmapped]]
    from = "RXE-1"
    reason = "..."
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment
from gateway.model.outcome import Lineage, Residue, Unmapped
from gateway.translate.context import Context

NULL = '""'
"""HL7 v2.5 2.5.3: an explicit null. A whole-message snapshot simply has no such element."""


class Converter(NamedTuple):
    """A named function that rows may use. `call(raw, fields, segment, context)` returns a FHIR fragment or None."""

    call: Callable[[str, list[str], Segment, Context], Any]
    components: frozenset[int] | None
    """Components of the field it reads; None: all of them. Any other valued component is residue."""
    repeats: bool
    """Reads all repetitions; otherwise it is given the first one and the others are residue."""


_CONVERTERS: dict[str, Converter] = {}


def converter(
    *components: int, repeats: bool = False, name: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function under its name. Without numbers it reads every component of its field."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        key = name or function.__name__
        if key in _CONVERTERS:
            raise RuntimeError(f"converter {key!r} is already there")
        _CONVERTERS[key] = Converter(function, frozenset(components) if components else None, repeats)
        return function

    return register


@cache
def table(name: str) -> dict[str, str]:
    """One code table of mappings/tables, source -> target. A duplicate source is an error, not a last-one-wins."""
    rows: dict[str, str] = {}
    for row in mapping_files.read_csv(mapping_files.path("tables", f"{name}.csv")):
        if rows.setdefault(row["source"], row["target"]) != row["target"]:
            raise ValueError(f"table {name}: {row['source']!r} is mapped twice")
    return rows


Step = Callable[[str, Segment, Mapping[str, Any], Context], None]


class SegmentRules:
    """All rows of one segment in one message structure. `apply` fills the target resources."""

    def __init__(self, source: str, segment: str, *resources: str) -> None:
        self.segment = segment
        self._steps: dict[int, list[Step]] = {}
        self._quick: dict[int, tuple[Step, ...]] = {}
        """The same without what only `--explain` wants to know."""
        self.rows: list[dict[str, Any]] = []
        """The compiled rows as data, for `--explain` and the documentation."""
        self.unmapped_reasons: dict[int, str] = {}
        taken: dict[int, Converter] = {}
        companions: dict[int, list[int]] = {}
        for resource in resources:
            self._load(source, resource, taken, companions)
        for number, triggers in companions.items():
            if number not in taken:
                self._steps[number] = [_companion(number, tuple(triggers))]
        for number, reader in taken.items():
            if reader.components is not None or not reader.repeats:
                self._steps[number].append(_leftover(number, reader.components, reader.repeats))
        self._steps[0] = []  # the segment's own name
        self._quick = {
            number: () if number in self.unmapped_reasons and number not in taken else tuple(steps)
            for number, steps in self._steps.items()
        }

    def _load(
        self, source: str, resource: str, taken: dict[int, Converter], companions: dict[int, list[int]]
    ) -> None:
        name = f"{source}/{self.segment}-{resource}"
        file = mapping_files.path("rows", source, f"{self.segment}-{resource}.toml")
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        for row in content.get("row", ()):
            self._compile(name, content["resource"], row, taken, companions)
        for row in content.get("unmapped", ()):
            number = _field(row["from"], self.segment)
            self.unmapped_reasons[number] = row["reason"]
            if number not in taken:
                self._steps[number] = [_unmapped(number, row["reason"])]

    def _compile(
        self,
        name: str,
        resource: str,
        row: dict[str, Any],
        taken: dict[int, Converter],
        companions: dict[int, list[int]],
    ) -> None:
        unknown = row.keys() - {"from", "with", "to", "via", "table", "cite"}
        if unknown or "cite" not in row or ("via" in row) == ("table" in row):
            raise ValueError(f"{name}: a row needs from, to, cite and one of via/table ({sorted(unknown)})")
        number = _field(row["from"], self.segment)
        reader = _CONVERTERS[row["via"]] if "via" in row else Converter(_coded(row["table"]), frozenset({1}), False)
        if number not in taken:
            self._steps[number] = []
        taken[number] = _both(taken.get(number), reader)
        self._steps[number].append(_row(name, resource, row, number, reader))
        self.rows.append({**row, "file": name, "resource": resource})
        for companion in row.get("with", ()):
            other = _field(companion, self.segment)
            companions.setdefault(other, []).append(number)

    def apply(self, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        """Runs the rows over one segment. `targets` maps a resource name of the rows to the dict to fill."""
        steps = self._quick if context.lineage is None else self._steps
        for number, raw in enumerate(segment.fields):
            if raw and raw != NULL:
                found = steps.get(number)
                if found is None:
                    _residue(raw, number, segment, context)
                else:
                    for step in found:
                        step(raw, segment, targets, context)


def residue_of(segment: Segment, context: Context) -> None:
    """A whole segment no rule reads: every valued field is residue. A line that is no segment has its text in field 0
    too, and its place must not repeat that text, which may be about the patient."""
    if segment.foreign:
        context.residue.append(Residue(f"segment {segment.line + 1}", "|".join(segment.fields)))
        return
    for number, raw in enumerate(segment.fields):
        if raw and number:
            _residue(raw, number, segment, context)


def place(segment: Segment, field: int, component: int = 0) -> str:
    """`OBX[3]-5` or `OBX[3]-5.1`."""
    return f"{segment.name}[{segment.ordinal}]-{field}" + (f".{component}" if component else "")


def _residue(raw: str, number: int, segment: Segment, context: Context) -> None:
    if raw != NULL and raw.strip("^~& "):
        context.residue.append(Residue(place(segment, number), raw))


def _field(name: str, segment: str) -> int:
    prefix, _, number = name.partition("-")
    if prefix != segment or not number.isdigit():
        raise ValueError(f"{name!r} is not a field of {segment}")
    return int(number)


def _coded(name: str) -> Callable[[str, list[str], Segment, Context], Any]:
    codes = table(name)

    def call(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
        code = raw.split("^", 1)[0]
        if (target := codes.get(code)) is None:
            number = fields.index(raw)
            text = f"the code is not in the table {name}"
            context.issue("warning", "code-unknown", place(segment, number), text)
            context.residue.append(Residue(place(segment, number), raw))
        return target or None

    return call


def _both(one: Converter | None, other: Converter) -> Converter:
    """What two readers of one field read together."""
    if one is None:
        return other
    everything = one.components is None or other.components is None
    components = None if everything else (one.components or frozenset()) | (other.components or frozenset())
    return Converter(other.call, components, one.repeats or other.repeats)


def _row(name: str, resource: str, row: dict[str, Any], number: int, reader: Converter) -> Step:
    call, repeats = reader.call, reader.repeats
    put = _setter(row["to"])
    rule, used, cite = f"{name}#{row['to']}", row.get("table", ""), row["cite"]

    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        if not repeats and "~" in raw:
            raw = raw.split("~", 1)[0]
        value = call(raw, segment.fields, segment, context)
        if value is None:
            return
        out = targets[resource]
        put(out, value)
        if context.lineage is not None:
            where = f"{out.get('resourceType', resource)}/{out.get('id', '')}.{row['to']}"
            for source in (number, *(_field(w, segment.name) for w in row.get("with", ()) if segment[_number(w)])):
                context.lineage.append(Lineage(where, place(segment, source), rule, used, cite))

    return step


def _number(name: str) -> int:
    return int(name.partition("-")[2])


def _setter(path: str) -> Callable[[dict[str, Any], Any], None]:
    """How a value gets to its place: `.` merges, `a.b` nests, `a[]` appends one or several."""
    if path == ".":
        return merge
    *parents, leaf = path.split(".")
    if leaf.endswith("[]"):
        return _appender(tuple(parents), leaf.removesuffix("[]"))
    if not parents:
        return lambda out, value: out.__setitem__(leaf, value)

    def put(out: dict[str, Any], value: Any) -> None:
        for key in parents:
            out = out.setdefault(key, {})
        out[leaf] = value

    return put


def _appender(parents: tuple[str, ...], leaf: str) -> Callable[[dict[str, Any], Any], None]:
    def put(out: dict[str, Any], value: Any) -> None:
        for key in parents:
            out = out.setdefault(key, {})
        if not isinstance(value, list):
            value = [value]
        if leaf in out:
            out[leaf] += value
        elif value:
            out[leaf] = list(value)

    return put


def merge(out: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    """Adds a fragment: lists are joined, objects merged, a scalar is set."""
    for key, value in fragment.items():
        here = out.get(key)
        if isinstance(value, list) and isinstance(here, list):
            here.extend(value)
        elif isinstance(value, dict) and isinstance(here, dict):
            merge(here, value)
        else:
            out[key] = value


def _unmapped(number: int, reason: str) -> Step:
    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        context.unmapped.append(Unmapped(place(segment, number), reason))

    return step


def _companion(number: int, triggers: tuple[int, ...]) -> Step:
    """A field that converters read together with another one; alone, nobody reads it."""

    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        if not any(segment[trigger] for trigger in triggers):
            _residue(raw, number, segment, context)

    return step


@lru_cache(maxsize=65536)
def _extra(raw: str, read: frozenset[int] | None, repeats: bool) -> tuple[tuple[int, str], ...]:
    """What the converters of a field do not read: (component, value) of single components, (0, value) of a whole
    repetition."""
    first, *others = raw.split("~")
    found = [] if repeats else [(0, other) for other in others if other.strip("^& ")]
    for repetition in (first, *others) if repeats else (first,):
        for index, value in enumerate(repetition.split("^"), start=1):
            if read is not None and index not in read and value and value != NULL:
                found.append((index, value))
    return tuple(found)


def _leftover(number: int, read: frozenset[int] | None, repeats: bool) -> Step:
    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        if "^" in raw or "~" in raw:
            for component, value in _extra(raw, read, repeats):
                context.residue.append(Residue(place(segment, number, component), value))

    return step


def check_names(names: Sequence[str]) -> list[str]:
    """Converter names that rows use and nobody registered (used by the start-up test)."""
    return [name for name in names if name not in _CONVERTERS]
