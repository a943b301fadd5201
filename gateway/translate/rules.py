"""Field rows: `mappings/rows/<source>/<segment>-<Resource>.toml` compiled to closures at start-up.

A row says where from, where to, through which converter or code table, and cites its source. There is no `if` in a
row: what needs one is a named function in this package, and the row names it. Every field of a segment ends in
exactly one of three ways: a row takes it, the file lists it as deliberately unmapped with a reason, or it is residue
(kept with its place and value, and counted).

    segment = "RXE"
    resource = "MedicationRequest"
    varying = ["RXE-10"]         # optional: equal segments are translated once but for these fields; only where the
                                 # converters read nothing but the segment and its facility
    scratch = ["form"]           # optional: first steps of paths that are no elements; code takes them out again
    [[row]]
    from = "RXE-10"              # the field whose presence triggers the row
    with = ["RXE-11"]            # fields the converter also reads; they are residue when `from` is empty
    to   = "dispenseRequest.quantity"   # a path; `name[]` appends, `.` merges a fragment, `+name`: code puts it there
    via  = "quantity_with_unit"  # converter, or table = "<code table>"
    cite = "JP_MedicationRequest.dispenseRequest.quantity"
    [[unmapped]]
    from = "RXE-1"               # or one component, "AL1-2.2", of a field that a row takes
    reason = "..."

A site may have a file of the same name in its overlay (mapping_files.configure), which takes what is residue with us.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment
from gateway.errors import ConfigurationError
from gateway.model.outcome import Issue, Lineage, Residue, Unmapped
from gateway.translate.additions import check_addition
from gateway.translate.assembling import merge, setter
from gateway.translate.context import Context
from gateway.translate.leavings import NULL, REASONS, Rest, all_but, extra, leave_field, left, place
from gateway.translate.lookups import codes_used, tables_of


class Converter(NamedTuple):
    """A named function that rows may use. `call(raw, fields, segment, context)` returns a FHIR fragment or None."""

    call: Callable[[str, list[str], Segment, Context], Any]
    rest: Rest | None
    """What it leaves unread, which is residue; None: it reads everything, or accounts for the rest itself."""
    repeats: bool
    """Reads all repetitions; otherwise it is given the first one and the others are residue."""


_CONVERTERS: dict[str, Converter] = {}


def converter(
    *components: int, repeats: bool = False, rest: Rest | None = None, name: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function under its name. It reads the numbered components; where reading depends on what stands
    in them, `rest` says what is left. With neither it reads every component of its field."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        key = name or function.__name__
        if key in _CONVERTERS:
            raise RuntimeError(f"converter {key!r} is already there")
        unread = rest or (all_but(*components) if components else None)
        _CONVERTERS[key] = Converter(function, unread, repeats)
        return function

    return register


table = mapping_files.table
"""One code table of mappings/tables, source -> target."""


@cache
def _load_reasons(source: str) -> None:
    """REASONS of all rows files. All at once: a component's meaning must not depend on which files were read before."""
    for name in mapping_files.rules_names(source):
        for content in mapping_files.rules(source, name):
            for row in (content or {}).get("unmapped", ()):
                _learn_reason(name, row)


def _learn_reason(name: str, row: Mapping[str, Any]) -> None:
    field, _, component = row["from"].partition(".")
    if component:
        segment = field.partition("-")[0]
        key = (segment, _field(field, segment), int(component))
        if REASONS.setdefault(key, row["reason"]) != row["reason"]:
            raise ValueError(f"{name}: {row['from']} is left out for two different reasons")


Step = Callable[[str, Segment, Mapping[str, Any], Context], Any]
"""(raw, segment, targets, context); what it returns only `_traced` reads."""


class SegmentRules:
    """All rows of one segment in one message structure. `apply` fills the target resources."""

    def __init__(self, source: str, segment: str, *resources: str) -> None:
        self.segment = segment
        self._steps: dict[int, list[Step]] = {}
        self._quick: dict[int, tuple[Step, ...]] = {}
        """The same without what only `--explain` wants to know."""
        self._untraced: dict[Step, Step] = {}
        self.rows: list[dict[str, Any]] = []
        """The compiled rows as data, for `--explain` and the documentation."""
        self.unmapped_reasons: dict[int, str] = {}
        self._varying: tuple[int, ...] | None = None
        self._vary: list[tuple[int, tuple[Step, ...]]] = []
        """The steps of the varying fields, as in `_quick`."""
        _load_reasons(source)
        taken: dict[int, Converter] = {}
        companions: dict[int, list[int]] = {}
        for resource in resources:
            self._load(source, resource, taken, companions)
        for number, triggers in companions.items():
            if number not in taken:
                reason = self.unmapped_reasons.get(number, "")
                self._steps[number] = [_companion(number, tuple(triggers), reason)]
        for number, reader in taken.items():
            if reader.rest is not None or not reader.repeats:
                self._steps[number].append(_leftover(number, reader.rest, reader.repeats))
        self._steps[0] = []  # the segment's own name
        self._quick = {
            number: ()
            if number in self.unmapped_reasons and number not in taken
            else tuple(self._untraced.get(step, step) for step in steps)
            for number, steps in self._steps.items()
        }
        varying: tuple[int, ...] = self._varying or ()
        steps_of = [(number, self._quick.get(number, (_unread(number),))) for number in varying]
        self._vary = [(number, steps) for number, steps in steps_of if steps]

    def _load(self, source: str, resource: str, taken: dict[int, Converter], companions: dict[int, list[int]]) -> None:
        name = f"{source}/{self.segment}-{resource}"
        content, site = mapping_files.rules(source, f"{self.segment}-{resource}")
        if "varying" in content:
            self._varying = tuple(sorted(_field(field, self.segment) for field in content["varying"]))
        self._add(name, content, taken, companions)
        if site is not None:
            check_addition(f"{name} (overlay)", content, site)
            self._add(f"{name} (overlay)", site, taken, companions)

    def _add(
        self, name: str, content: Mapping[str, Any], taken: dict[int, Converter], companions: dict[int, list[int]]
    ) -> None:
        for row in content.get("row", ()):
            self._compile(name, content["resource"], row, taken, companions)
        for row in content.get("unmapped", ()):
            _learn_reason(name, row)
            if "." in row["from"]:
                continue
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
        if "via" in row and row["via"] not in _CONVERTERS:
            raise ConfigurationError(f"{name}: there is no converter {row['via']!r}")
        reader = _CONVERTERS[row["via"]] if "via" in row else Converter(_coded(row["table"]), all_but(1), False)
        if number not in taken:
            self._steps[number] = []
        taken[number] = _both(taken.get(number), reader)
        step = _row(resource, row["to"], number, reader)
        traced = _traced(step, name, resource, row, number, reader)
        self._untraced[traced] = step
        self._steps[number].append(traced)
        self.rows.append({**row, "file": name, "resource": resource})
        for companion in row.get("with", ()):
            other = _field(companion, self.segment)
            companions.setdefault(other, []).append(number)

    def apply(self, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        """Runs the rows over one segment. `targets` maps a resource name of the rows to the dict to fill.

        Fields that vary from message to message run last, whether the others come out of memory or not: the order
        of a resource's elements must not depend on what was seen before.
        """
        varying = self._varying
        if varying is None:
            self._run(enumerate(segment.fields), segment, targets, context)
            return
        fields = segment.fields
        if context.lineage is not None or not self._recall(segment, targets, context):
            self._run(self._fixed(segment), segment, targets, context)
        size = len(fields)
        if context.lineage is not None:
            self._run([(number, fields[number]) for number in varying if number < size], segment, targets, context)
            return
        for number, steps in self._vary:
            if number < size and (raw := fields[number]) and raw != NULL:
                for step in steps:
                    step(raw, segment, targets, context)

    def _fixed(self, segment: Segment) -> list[tuple[int, str]]:
        varying = self._varying or ()
        return [(number, raw) for number, raw in enumerate(segment.fields) if number not in varying]

    def _run(
        self, fields: Iterable[tuple[int, str]], segment: Segment, targets: Mapping[str, Any], context: Context
    ) -> None:
        steps = self._quick if context.lineage is None else self._steps
        for number, raw in fields:
            if raw and raw != NULL:
                found = steps.get(number)
                if found is None:
                    leave_field(raw, number, segment, context)
                else:
                    for step in found:
                        step(raw, segment, targets, context)

    def _recall(self, segment: Segment, targets: Mapping[str, Any], context: Context) -> bool:
        """Fills the targets with what equal segments gave before; False when that cannot be remembered."""
        key = segment.fields.copy()
        size = len(key)
        for number in self._varying or ():
            # Whether a varying field is there at all may matter to its neighbours (a unit without a value).
            if number < size and key[number] and key[number] != NULL:
                key[number] = "1"
        page = context.memory.get(self)
        if page is None:
            page = context.memory[self] = {}
        known = page.get(remembered := tuple(key), _UNSEEN)
        if known is _UNSEEN:
            if len(page) >= REMEMBERED:
                page.clear()
            known = page[remembered] = self._learn(segment, targets, context)
        if known is None:
            return False
        for name, fragment, containers in known.fragments:
            if containers.isdisjoint(target := targets[name]):
                target.update(fragment)
            else:
                merge(target, fragment)
        if known.issues or known.residue:
            where = f"{segment.name}[{segment.ordinal}]"
            context.issues += [issue._replace(where=where + issue.where) for issue in known.issues]
            context.residue += [kept._replace(where=where + kept.where) for kept in known.residue]
        return True

    def _learn(self, segment: Segment, targets: Mapping[str, Any], context: Context) -> "_Learnt | None":
        """Runs the fixed fields on the side. What adds resources of its own depends on the message around it and is
        not remembered; what the rows find is kept without the segment's number."""
        aside = Context(context.facility, context.facilities, context.data_type, zone=context.zone)
        fragments: dict[str, dict[str, Any]] = {name: {} for name in targets}
        self._run(self._fixed(segment), segment, fragments, aside)
        where = f"{segment.name}[{segment.ordinal}]"
        places = [issue.where for issue in aside.issues] + [kept.where for kept in aside.residue]
        if aside.resources or not all(found.startswith(where) for found in places):
            return None
        cut = len(where)
        return _Learnt(
            tuple((name, fragment, _containers(fragment)) for name, fragment in fragments.items() if fragment),
            tuple(issue._replace(where=issue.where[cut:]) for issue in aside.issues),
            tuple(kept._replace(where=kept.where[cut:]) for kept in aside.residue),
        )


class _Learnt(NamedTuple):
    """What the fixed fields of a segment become; shared by all equal segments, so never changed."""

    fragments: tuple[tuple[str, dict[str, Any], frozenset[str]], ...]
    """Resource name, what it gets, and the elements of that which join with what the resource has."""
    issues: tuple[Issue, ...]
    residue: tuple[Residue, ...]


def _containers(fragment: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key for key, value in fragment.items() if isinstance(value, list | dict))


_UNSEEN: Any = object()
REMEMBERED: Final = 2_000
"""Different segments of one kind and facility kept in memory; then it starts again."""


def _segment(row: Mapping[str, Any]) -> str:
    return str(row["from"]).partition("-")[0]


def _field(name: str, segment: str) -> int:
    prefix, _, number = name.partition("-")
    if prefix != segment or not number.isdigit():
        raise ValueError(f"{name!r} is not a field of {segment}")
    return int(number)


def _coded(name: str) -> Callable[[str, list[str], Segment, Context], Any]:
    codes = table(name)

    def call(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
        code = raw.split("^", 1)[0].strip(" ")  # LENIENT: fields filled up with blanks, at segment ends above all
        if (target := codes.get(code)) is None and code:
            where = place(segment, context.at)
            context.issue("warning", "code-unknown", where, f"the code is not in the table {name}")
            context.residue.append(Residue(where, raw))
        return target or None

    return call


def _both(one: Converter | None, other: Converter) -> Converter:
    """What two readers of one field read together."""
    if one is None:
        return other
    first, second = one.rest, other.rest
    if first is None or second is None:
        return Converter(other.call, None, one.repeats or other.repeats)

    def rest(repetition: str) -> tuple[tuple[int, str], ...]:
        left = second(repetition)
        return tuple(pair for pair in first(repetition) if pair in left)

    return Converter(other.call, rest, one.repeats or other.repeats)


def _row(resource: str, to: str, number: int, reader: Converter) -> Step:
    call, repeats = reader.call, reader.repeats
    put = setter(to)

    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> Any:
        if not repeats and "~" in raw:
            raw = raw.split("~", 1)[0]
        context.at = number
        value = call(raw, segment.fields, segment, context)
        if value is not None:
            put(targets[resource], value)
        return value

    return step


def _traced(step: Step, name: str, resource: str, row: dict[str, Any], number: int, reader: Converter) -> Step:
    """The step of a row with what `--explain` says of it."""
    companions = [_field(name, _segment(row)) for name in row.get("with", ())]
    rule, cite, used, via = f"{name}#{row['to']}", row["cite"], row.get("table", ""), row.get("via", "")
    by_code = row["to"].startswith("+")

    def traced(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        value = step(raw, segment, targets, context)
        if value is None or context.lineage is None:
            return
        if isinstance(value, dict) and "resourceType" in value:
            where = f"{value['resourceType']}/{value['id']}"
        else:
            out = targets[resource]
            where = f"{out.get('resourceType', resource)}/{out.get('id', '')}.{row['to'].lstrip('+')}"
        tables = (used,) if used else tables_of(reader.call)
        for source in (number, *companions):
            if (sent := segment[source]) not in ("", NULL):
                codes = codes_used(tables, sent, True if by_code else value)
                context.lineage.append(Lineage(where, place(segment, source), rule, used, cite, via, codes))

    return traced


def _unread(number: int) -> Step:
    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        leave_field(raw, number, segment, context)

    return step


def _unmapped(number: int, reason: str) -> Step:
    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        context.unmapped.append(Unmapped(place(segment, number), reason))

    return step


def _companion(number: int, triggers: tuple[int, ...], reason: str) -> Step:
    """A field that converters read together with another one; alone, nobody reads it."""

    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        for trigger in triggers:
            if segment[trigger] not in ("", NULL):
                return
        if not reason:
            leave_field(raw, number, segment, context)
        elif context.lineage is not None:
            context.unmapped.append(Unmapped(place(segment, number), reason))

    return step


def _leftover(number: int, rest: Rest | None, repeats: bool) -> Step:
    def step(raw: str, segment: Segment, targets: Mapping[str, Any], context: Context) -> None:
        if "^" in raw or "~" in raw or "&" in raw:
            for component, value in extra(raw, rest, repeats):
                left(value, number, component, segment, context)

    return step


def aim(context: Context, since: int, old: str, new: str) -> None:
    """Lineage entries from `since` on whose target starts with `old` get `new` instead: a resource's id may only be
    known after its rows ran, and a contact or an ingredient is a part of another resource."""
    if context.lineage is not None:
        context.lineage[since:] = [
            entry._replace(target=new + entry.target.removeprefix(old)) if entry.target.startswith(old) else entry
            for entry in context.lineage[since:]
        ]


def mark(context: Context) -> int:
    """Where lineage stands now, for `aim`."""
    return len(context.lineage or ())


def check_names(names: Sequence[str]) -> list[str]:
    """Converter names that rows use and nobody registered (used by the start-up test)."""
    return [name for name in names if name not in _CONVERTERS]


def converters() -> dict[str, Converter]:
    """All named functions that rows may use."""
    return dict(_CONVERTERS)
