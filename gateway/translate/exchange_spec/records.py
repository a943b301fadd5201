"""One record against its item table (3.1-3.5, 8): every cell is checked, a record with one error is refused alone."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from gateway.codec import fhir
from gateway.model.outcome import Issue
from gateway.translate.exchange_spec.envelope import RawRecord, real_time
from gateway.translate.exchange_spec.exact import MAX_DIGITS, Exponent
from gateway.translate.exchange_spec.findings import finding, pointer
from gateway.translate.exchange_spec.items import Item, RecordType, aliases
from gateway.translate.exchange_spec.registers import Registers

Value = str | int | Decimal

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_FUTURE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that keeps the rules. Names are canonical; numbers are as printed (int, or Decimal with its digits)."""

    type: RecordType
    where: str
    values: dict[str, Value]
    unknown: dict[str, Any]
    """Keys the convention does not know, as they came."""
    names: dict[str, str]
    """Item -> the name it came under, where that is another."""

    @property
    def source(self) -> tuple[str, ...]:
        """Device, or laboratory: what ends the business key. An item that is absent is empty."""
        return tuple(str(self.values.get(name, "")) for name in self.type.source)

    def place(self, item: str) -> str:
        """Pointer of an item, under the name it came with."""
        return self.where + pointer(self.names.get(item, item))

    @property
    def observation_time(self) -> str:
        return str(self.values["observation_time"])

    @property
    def update_time(self) -> str:
        """17 digits."""
        return str(self.values["update_time"])

    @property
    def content(self) -> tuple[dict[str, Value], dict[str, Any]]:
        """All but the update time: what has to be equal for two records to say the same."""
        return {name: value for name, value in self.values.items() if name != "update_time"}, self.unknown


def check(raw: RawRecord, registers: Registers, send_time: str, issues: list[Issue]) -> Record | None:
    """The record, or None when it is refused; what was found goes to `issues`."""
    before = len(issues)
    given, unknown, names = _named(raw, issues)
    values: dict[str, Value] = {}
    for name, item in raw.type.items.items():
        if name in given:
            value = _cell(item, given[name], f"{raw.where}/{names.get(name, name)}", registers, issues)
            if value is not None:
                values[name] = value
        elif item.must:
            issues.append(finding("E-REQUIRED", f"{raw.where}/{name}", name))
    record = Record(raw.type, raw.where, values, unknown, names)
    _between(record, registers, issues)
    if any(issue.severity != "warning" for issue in issues[before:]):
        return None
    _outside(record, send_time, issues)
    return record


def _named(raw: RawRecord, issues: list[Issue]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """(items by canonical name, unknown keys, names that were read for another one). Empty items are absent."""
    given: dict[str, Any] = {}
    names: dict[str, str] = {}
    unknown: dict[str, Any] = {}
    items = raw.type.items
    for key, value in raw.value.items():
        name = key
        if key not in items:
            alias = aliases().get(key)
            if alias is None or alias.name not in items:
                unknown[key] = value
                issues.append(finding("W-UNKNOWN-KEY", raw.where + pointer(key)))
                continue
            name = alias.name
            if alias.warn:
                issues.append(finding("W-ALIAS", f"{raw.where}/{key}", name))
        if value is None or value == "":
            issues.append(finding("W-EMPTY", f"{raw.where}/{key}", name))
        elif name in given and given[name] != value:
            issues.append(finding("E-CONFLICT", f"{raw.where}/{key}"))
        else:
            if key == name:
                names.pop(name, None)
            elif name not in given:
                names[name] = key
            given[name] = value
    return given, unknown, names


# -- cells ------------------------------------------------------------------------------------------------------------


def _cell(item: Item, value: Any, where: str, registers: Registers, issues: list[Issue]) -> Value | None:
    """One value, or None with the finding that refuses it."""
    if item.kind in ("integer", "number"):
        return _number(item, value, where, registers, issues)
    # bool is no str; an Exponent is a number that only travels as text.
    if not isinstance(value, str) or isinstance(value, Exponent):
        issues.append(finding("E-TYPE", where, item.name))
        return None
    if len(value) > item.digits:
        issues.append(finding("E-DIGITS", where, item.name))
    elif item.kind == "date":
        return _date(item, value, where, issues)
    elif item.codes and value not in item.codes:
        issues.append(finding("E-CODE", where, item.name))
    elif not _sayable(value):
        issues.append(finding("E-TYPE", where, item.name))
    else:
        return value
    return None


def _sayable(value: str) -> bool:
    """Words that FHIR can carry: not blank alone, no control characters."""
    return bool(value.strip()) and fhir.text(value) == value


def _date(item: Item, value: str, where: str, issues: list[Issue]) -> str | None:
    if item.digits == 17 and len(value) == 14 and real_time(value):
        issues.append(finding("W-UPDATE14", where, item.name))
        return value + "000"
    if len(value) == item.digits and real_time(value):
        return value
    issues.append(finding("E-DATE", where, item.name))
    return None


def _number(item: Item, value: Any, where: str, registers: Registers, issues: list[Issue]) -> Value | None:
    number: int | Decimal
    if type(value) is int or type(value) is Decimal:
        number = value
    elif type(value) is str and _NUMBER.fullmatch(value) and len(value) <= MAX_DIGITS:
        issues.append(finding("W-NUMERIC-STRING", where, item.name))
        number = Decimal(value) if "." in value or value == "-0" else int(value)
    else:
        issues.append(finding("E-UNIT" if _jds(value) else "E-TYPE", where, item.name))
        return None
    code = _fault(item, number, registers)
    if code:
        issues.append(finding(code, where, item.name))
        return None
    return number


def _fault(item: Item, number: int | Decimal, registers: Registers) -> str:
    """Which rule of the cell a number breaks; empty for none. Digits are those of the number as printed."""
    printed = str(number) if type(number) is int else format(number, "f")
    decimals = printed.partition(".")[2]
    if item.kind == "integer" and decimals.strip("0"):
        return "E-TYPE"
    if len(printed) > item.digits or (item.decimals is not None and len(decimals) > item.decimals):
        return "E-DIGITS"
    low, high = registers.ranges.get(item.name, (item.low, item.high))
    if (low is not None and number < low) or (high is not None and number > high):
        return "E-RANGE"
    return ""


def _jds(value: object) -> bool:
    return isinstance(value, str) and "JDS" in value.upper()


# -- between cells ----------------------------------------------------------------------------------------------------


def _between(record: Record, registers: Registers, issues: list[Issue]) -> None:
    values, where = record.values, record.where
    systolic, diastolic = values.get("systolic"), values.get("diastolic")
    if isinstance(systolic, int | Decimal) and isinstance(diastolic, int | Decimal) and systolic <= diastolic:
        issues.append(finding("E-RANGE", f"{where}/diastolic", "diastolic"))
    window = values.get("total_active_duration")
    for name in ("walk_time", "moderate_intensity_activity"):
        spent = values.get(name)
        if isinstance(spent, int | Decimal) and isinstance(window, int | Decimal) and spent > window:
            issues.append(finding("E-RANGE", f"{where}/{name}", name))
    if "hba1c_value" in values:
        method = str(values.get("measurement_method_code", ""))
        if registers.says_jds(method) or any(_jds(value) for value in record.unknown.values()):
            issues.append(finding("E-UNIT", f"{where}/hba1c_value", "hba1c_value"))


def _outside(record: Record, send_time: str, issues: list[Issue]) -> None:
    if record.observation_time > _latest(send_time[:14]):
        issues.append(finding("W-FUTURE", record.place("observation_time"), "observation_time"))


@lru_cache(maxsize=64)
def _latest(sent: str) -> str:
    """24 hours after a time of 14 digits."""
    try:
        return f"{datetime.strptime(sent, '%Y%m%d%H%M%S') + _FUTURE:%Y%m%d%H%M%S}".zfill(14)  # noqa: DTZ007 - one wall clock
    except OverflowError:
        return sent


def registered(record: Record, consortium: str, person: str, registers: Registers, issues: list[Issue]) -> bool:
    """Checks against the lists of laboratories and participants. False: the record is refused."""
    participant = registers.row("participants", consortium, person) or {}
    day = record.observation_time[:8]
    start, end = participant.get("start", ""), participant.get("end", "")
    if (start and day < start) or (end and day > end):
        issues.append(finding("W-OUTSIDE-PERIOD", record.place("observation_time"), "observation_time"))
    lab = str(record.values.get("test_lab_id", ""))
    if lab and registers.has("labs") and registers.row("labs", consortium, lab) is None:
        issues.append(finding("E-CODE", f"{record.where}/test_lab_id", "test_lab_id"))
        return False
    return True
