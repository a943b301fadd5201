"""JAMI usage codes (標準用法コード, 16 characters; 補足用法コード, 8 characters), as read from attested codes.

The tables of the JAMI standard itself are not at hand, so a digit counts as known only when a published code shows
its meaning (the citation stands on each line of mappings/tables/jami-usage-*.csv). One unknown digit and the code
stays a code: nothing is derived from it. JAHIS prescription (処方), section 6; URIs in mappings/tables/code-systems.csv.

    1 0 1 3 0 4 4 4 0 0000000        position 1-2 method, 3 timing kind, 4 times per day,
    | method 10 経口                  5-9 bedtime, evening, noon, morning, getting up (kinds 1 and 6)
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from gateway import mapping_files

_CACHED = 4_096
_SHAPE = re.compile(r"[0-9A-Z]{16}", re.ASCII)
_UNREAD = "positions 10-16 are not decoded"
_COUNT = "the number of marked times of day is not the times per day"

MEALS, INTERVALS, EVENT, TIMES_OF_DAY, TIMES_ONLY, HOURS = "1", "2", "5", "6", "7", "8"
"""Position 3. 食事, 等間隔, 頓用 (イベント), 食事に関係ない時刻, 回数のみ, n 時間毎."""


class Usage(NamedTuple):
    """A decoded usage code."""

    code: str
    method: str
    """Two characters, system MedicationMethodDetailUsage."""
    basic: str
    """One character, system MedicationMethodBasicUsage."""
    kind: str
    """Position 3, one of the constants above."""
    times_per_day: int | None
    slots: tuple[tuple[str, str], ...]
    """(slot, digit) of the marked times of day, in the order of the day; slots as in jami-usage-slots.csv."""
    interval_hours: tuple[int, int] | None
    """(least, most) hours between doses, for kinds 2 and 8."""
    event: str
    """Positions 5-6 of kind 5 (jami-usage-events.csv), else ""."""
    as_needed: bool
    words: str
    """Our own gloss of the parts, for people who compare; never sent in place of the words received."""
    problems: tuple[str, ...]
    tail: str = "0000000"
    """Positions 10-16 as sent."""


class Supplement(NamedTuple):
    """A decoded supplement code: an uneven dose, every other day, or days of the week."""

    code: str
    kind: str
    """"uneven" (不均等), "interval" (隔日) or "weekdays" (曜日)."""
    dose: int | None
    """Which dose of the day, from 1 (uneven)."""
    amount: Decimal | None
    """Units of that dose, digits as written (uneven)."""
    period_days: int | None
    """2 for every other day (interval)."""
    days_of_week: tuple[str, ...]
    """FHIR days-of-week codes, Sunday first as in the code (weekdays)."""
    words: str


class _Slot(NamedTuple):
    position: int
    when: str
    offset: str
    words: str


def _table(name: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("tables", name)))


_METHODS = {row["code"]: row for row in _table("jami-usage-methods.csv")}
_SLOTS = {
    (row["slot"], row["digit"]): _Slot(int(row["position"]), row["when"], row["offset"], row["words"])
    for row in _table("jami-usage-slots.csv")
}
_EVENTS = {row["code"]: row for row in _table("jami-usage-events.csv")}
_HEARD = {code: tuple(row["heard"].split("|")) for code, row in _EVENTS.items()}
_METHODS_HEARD = {code: tuple(row["heard"].split("|")) for code, row in _METHODS.items() if row["heard"]}
_POSITIONS = {slot: row.position for (slot, _), row in _SLOTS.items()}
"""slot -> position (from 1), in the order of the day."""


# ------------------------------------------------------------------------------------------------------- usage code


@lru_cache(maxsize=_CACHED)
def decode(code: str) -> Usage | None:
    """The parts of a usage code; None when it has not 16 characters or a digit whose meaning is not attested.

    `problems` names what keeps the timing from being sure although every digit read is known.
    """
    if not _SHAPE.fullmatch(code) or code[:2] not in _METHODS:
        return None
    kind, tail = code[2], code[9:]
    problems = (_UNREAD,) if tail.strip("0") else ()
    blank = Usage(code, code[:2], code[0], kind, None, (), None, "", False, "", problems, tail)
    read = _KINDS.get(kind)
    usage = None if read is None else read(code, blank)
    return None if usage is None else usage._replace(words=_gloss(usage))


def encode(usage: Usage) -> str:
    """The 16 characters of a usage, made of its parts and not of `usage.code`: decode(encode(x)) is x again.

    Raises ValueError when the parts make no code that `decode` can read.
    """
    times = str(usage.times_per_day or 0)
    match usage.kind:
        case "1" | "6":
            digits = {_POSITIONS[slot]: digit for slot, digit in usage.slots if slot in _POSITIONS}
            middle = times + "".join(digits.get(position, "0") for position in range(5, 10))
        case "5":
            middle = f"0{usage.event}000"
        case "8":
            middle = "{}{}0000".format(*usage.interval_hours or (0, 0))
        case _:
            middle = f"{times}00000"
    code = f"{usage.method}{usage.kind}{middle}{usage.tail}"
    if decode(code) is None:
        raise ValueError("these parts make no usage code that can be read again")
    return code


def _times(code: str) -> int | None:
    return int(code[3]) if "1" <= code[3] <= "9" else None


def _read_slots(code: str, usage: Usage) -> Usage | None:
    """Kinds 1 and 6: the marked times of day must be as many as the times per day."""
    times = _times(code)
    slots = tuple((slot, code[at - 1]) for slot, at in _POSITIONS.items() if code[at - 1] != "0")
    if times is None or any(slot not in _SLOTS for slot in slots):
        return None
    problems = usage.problems if len(slots) == times else (*usage.problems, _COUNT)
    return usage._replace(times_per_day=times, slots=slots, problems=problems)


def _read_times(code: str, usage: Usage) -> Usage | None:
    """Kinds 2 and 7: times per day only; equal intervals are so many hours when the day divides evenly."""
    times = _times(code)
    if times is None or code[4:9] != "00000":
        return None
    hours = (24 // times, 24 // times) if usage.kind == INTERVALS and 24 % times == 0 else None
    return usage._replace(times_per_day=times, interval_hours=hours)


def _read_event(code: str, usage: Usage) -> Usage | None:
    """Kind 5. That it is as needed is known even where the event has no row; the event then stays a code."""
    if code[3] != "0" or code[6:9] != "000":
        return None
    event = code[4:6]
    problems = usage.problems if event in _EVENTS else (*usage.problems, "positions 5-6 name an event without a row")
    return usage._replace(event=event, as_needed=True, problems=problems)


def _read_hours(code: str, usage: Usage) -> Usage | None:
    """Kind 8: `46` is every 4 to 6 hours. Other ways to fill the two digits are not attested."""
    low, high = code[3], code[4]
    if not ("1" <= low <= high <= "9") or code[5:9] != "0000":
        return None
    return usage._replace(interval_hours=(int(low), int(high)))


_KINDS = {
    MEALS: _read_slots,
    TIMES_OF_DAY: _read_slots,
    INTERVALS: _read_times,
    TIMES_ONLY: _read_times,
    EVENT: _read_event,
    HOURS: _read_hours,
}


def _gloss(usage: Usage) -> str:
    method = _METHODS[usage.method]
    parts = [method["basic"], method["words"]]
    if usage.times_per_day is not None:
        parts.append(f"1日{usage.times_per_day}回")
    parts += [_SLOTS[slot].words for slot in usage.slots]
    if usage.interval_hours is not None:
        low, high = usage.interval_hours
        parts.append(f"{low}時間毎" if low == high else f"{low}～{high}時間毎")
    if usage.as_needed:
        parts += ["頓用", *([_EVENTS[usage.event]["words"]] if usage.event in _EVENTS else [])]
    return "・".join(parts)


def timing_repeat(usage: Usage, supplements: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """FHIR Timing.repeat of a usage (elements in the order of the specification); None when nothing is sure.

    As needed has no repeat (dosage.asNeededBoolean says it). Just before and just after a meal share the FHIR code of
    before and after: the words keep the difference. `supplements` are all 8-character codes sent with the usage:
    every other day and weekdays change the repeat, and a code that we cannot read may, so then there is none.
    """
    repeat = _daily_repeat(usage)
    for code in supplements:
        found = decode_supplement(code)
        if repeat is None or found is None:
            return None
        if found.kind == "uneven":
            continue
        if repeat["periodUnit"] != "d" or repeat["period"] != 1 or "dayOfWeek" in repeat:
            return None
        if found.period_days is not None:
            repeat["period"] = found.period_days
        else:
            late = {key: repeat.pop(key) for key in ("when", "offset") if key in repeat}
            repeat |= {"dayOfWeek": list(found.days_of_week)} | late
    return repeat


def _daily_repeat(usage: Usage) -> dict[str, Any] | None:
    if usage.as_needed or _COUNT in usage.problems:
        return None
    if usage.kind == HOURS:
        if usage.interval_hours is None:
            return None
        low, high = usage.interval_hours
        return {"frequency": 1, "period": low} | ({"periodMax": high} if high > low else {}) | {"periodUnit": "h"}
    if usage.times_per_day is None:
        return None
    repeat: dict[str, Any] = {"frequency": usage.times_per_day, "period": 1, "periodUnit": "d"}
    rows = [_SLOTS[slot] for slot in usage.slots]
    offsets = {row.offset for row in rows}
    if rows and len(offsets) == 1:  # one repeat has one offset for all its events
        repeat["when"] = [row.when for row in rows]
        if offset := offsets.pop():
            repeat["offset"] = int(offset)
    return repeat


# -------------------------------------------------------------------------------------------------- code and words

_WIDTH = str.maketrans({0xFF01 + n: 0x21 + n for n in range(94)} | {0x3000: " ", ord("〜"): "~", ord("‐"): "-"})
_KANJI_DIGITS = str.maketrans("一二三四五六七八九", "123456789")
_TIMES_HEARD = re.compile(
    r"1日\s*([1-9一二三四五六七八九])\s*回|一日([1-9一二三四五六七八九])回|(?<![0-9])分\s*([1-9])(?![0-9])"
)
_RELATION = r"(食?直前|食?直後|食?事?(?:後2時間|2時間後)|食間|食?前|食?後)?"
_MEALS_HEARD = re.compile(r"(毎食|(?:朝|昼|夕)食?(?:[・、,とや\s]*(?:朝|昼|夕)食?)*)" + _RELATION)
_ANY_MEAL_HEARD = re.compile(r"食事?(?:後2時間|2時間後|直前|直後|前|後|間)")
_HOURS_HEARD = re.compile(r"([0-9]{1,2})(?:\s*[-~から]+\s*([0-9]{1,2}))?\s*時間\s*(?:毎|ごと|おき|間隔)")
_BEDTIME = ("就寝", "寝る前", "眠前")
_VAGUE = ("夜", "晩")
_SLOT_OF = {"朝": "morning", "昼": "noon", "夕": "evening"}
_MEALS = frozenset(_SLOT_OF.values())


def _relation_digit(words: str) -> str:
    """The digit of the code that a relation to a meal stands for, "" when none is said."""
    if "2時間" in words or words == "食間":
        return "5"
    for part, digit in (("直前", "2"), ("直後", "3"), ("前", "1"), ("後", "4")):
        if part in words:
            return digit
    return ""


class _Heard(NamedTuple):
    times: frozenset[int]
    slots: frozenset[str]
    relations: tuple[tuple[str, str], ...]  # (slot, digit)
    any_meal: frozenset[str]  # digits of relations to meals that are not named
    hours: tuple[int, int] | None
    as_needed: bool
    events: frozenset[str]
    vague: bool  # evening or bedtime, the words do not say which
    methods: frozenset[str]  # codes of the methods that the words may mean
    external: bool  # 外用


@lru_cache(maxsize=_CACHED)
def _hear(words: str) -> _Heard:
    """What usage words say about times of day and frequency; parts we do not understand are passed over."""
    text = words[:200].translate(_WIDTH)
    times = frozenset(
        int(next(group for group in found if group).translate(_KANJI_DIGITS)) for found in _TIMES_HEARD.findall(text)
    )
    slots: set[str] = set()
    relations: list[tuple[str, str]] = []
    for group, relation in _MEALS_HEARD.findall(text):
        named = list(_SLOT_OF.values()) if group == "毎食" else [_SLOT_OF[char] for char in group if char in _SLOT_OF]
        slots.update(named)
        if digit := _relation_digit(relation):
            relations += [(slot, digit) for slot in named]
    if any(part in text for part in _BEDTIME):
        slots.add("bedtime")
    if "起床" in text:
        slots.add("getting-up")
    found = _HOURS_HEARD.search(text)
    hours = (int(found.group(1)), int(found.group(2) or found.group(1))) if found else None
    events = frozenset(code for code, heard in _HEARD.items() if any(part in text for part in heard))
    vague = "bedtime" not in slots and any(part in text for part in _VAGUE)
    any_meal = frozenset(map(_relation_digit, () if slots & _MEALS else _ANY_MEAL_HEARD.findall(text)))
    methods = frozenset(code for code, heard in _METHODS_HEARD.items() if any(part in text for part in heard))
    said, needed, external = tuple(relations), "頓" in text, "外用" in text
    return _Heard(times, frozenset(slots), said, any_meal, hours, needed, events, vague, methods, external)


@lru_cache(maxsize=_CACHED)
def agrees(usage: Usage, words: str) -> bool | None:
    """Whether the words sent say the same method, times of day, times per day or hours as the code.

    False: at least one of them contradicts, so code and words must both be kept and no `when` be given. None: the
    words say nothing that can be compared.
    """
    heard = _hear(words)
    if (heard.methods and usage.method not in heard.methods) or (heard.external and usage.basic == "1"):
        return False
    if usage.as_needed:
        return _agrees_as_needed(usage, heard)
    verdicts: list[bool] = []
    if heard.as_needed:
        verdicts.append(False)
    if usage.times_per_day is not None and heard.times:
        verdicts.append(heard.times == {usage.times_per_day})
    if usage.interval_hours is not None and heard.hours is not None:
        verdicts.append(heard.hours == usage.interval_hours)
    digits = dict(usage.slots)
    if heard.any_meal:  # 食後: of every meal that is marked
        meals = {digits.pop(slot) for slot in _MEALS & digits.keys()}
        if meals:
            verdicts.append(meals <= heard.any_meal)
    if heard.slots and not heard.vague:
        if usage.slots:
            verdicts.append(heard.slots == digits.keys())
            verdicts += [digits.get(slot) == digit for slot, digit in heard.relations]
        elif usage.times_per_day is not None:
            verdicts.append(len(heard.slots) == usage.times_per_day)
    return all(verdicts) if verdicts else None


def _agrees_as_needed(usage: Usage, heard: _Heard) -> bool | None:
    if heard.events and usage.event in _EVENTS:
        return usage.event in heard.events
    if heard.as_needed:
        return True
    return False if heard.slots or heard.times or heard.hours else None


# -------------------------------------------------------------------------------------------------- supplement code

_UNEVEN = re.compile(r"V([1-9])((?:0|[1-9][0-9]*)(?:\.[0-9]+)?)N*", re.ASCII)
_WEEKDAYS = re.compile(r"W[01]{7}", re.ASCII)
_DAYS = (("sun", "日"), ("mon", "月"), ("tue", "火"), ("wed", "水"), ("thu", "木"), ("fri", "金"), ("sat", "土"))


@lru_cache(maxsize=_CACHED)
def decode_supplement(code: str) -> Supplement | None:
    """A supplement code by its own characters; the words published beside these codes are partly wrong.

    `V14NNNNN` dose 1 is 4 units, `I1100000` every other day (隔日), `W0100100` Monday and Thursday (flags from Sunday).
    None for any other form.
    """
    if len(code) != 8:
        return None
    if found := _UNEVEN.fullmatch(code):
        dose, amount = found.groups()
        number = Decimal(amount)
        return Supplement(code, "uneven", int(dose), number, None, (), f"{dose}回目 {number:f}")
    if code == "I1100000":
        return Supplement(code, "interval", None, None, 2, (), "隔日")
    if _WEEKDAYS.fullmatch(code) and "1" in code:
        days = [day for flag, day in zip(code[1:], _DAYS, strict=True) if flag == "1"]
        return Supplement(
            code,
            "weekdays",
            None,
            None,
            None,
            tuple(day for day, _ in days),
            "・".join(word for _, word in days) + "曜日",
        )
    return None


def encode_supplement(supplement: Supplement) -> str:
    """The 8 characters of a supplement, made of its parts: `V` dose, amount and filler, `I1100000`, `W` and its flags.

    Raises ValueError for an amount that does not fit into the six characters left for it.
    """
    match supplement.kind:
        case "uneven":
            code = f"V{supplement.dose}{supplement.amount}".ljust(8, "N")
        case "interval":
            code = "I1100000"
        case _:
            code = "W" + "".join("1" if day in supplement.days_of_week else "0" for day, _ in _DAYS)
    if decode_supplement(code) is None:
        raise ValueError("these parts make no supplement code")
    return code
