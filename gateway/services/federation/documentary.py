"""The parameters of ITI-67 (IHE MHD 4.2, 2:3.67.4.1.2) as a condition on a DocumentReference in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gateway.errors import BadInput, InvalidParameter
from gateway.services.search.values import split
from gateway.translate.times import utc_range

Condition = Callable[[dict[str, Any]], bool]


def _codes(*path: str) -> Callable[[dict[str, Any]], Iterator[tuple[str, str]]]:
    def found(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for one in _at(resource, path):
            for coding in one.get("coding") or ([one] if "code" in one else ()):
                yield str(coding.get("system", "")), str(coding.get("code", ""))

    return found


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not path:
            yield one
        elif isinstance(one, dict) and path[0] in one:
            yield from _at(one[path[0]], path[1:])


def _identifiers(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("masterIdentifier", "identifier"):
        for one in _at(resource, (name,)):
            yield str(one.get("system", "")), str(one.get("value", ""))


_TOKENS: Final[dict[str, Callable[[dict[str, Any]], Iterable[tuple[str, str]]]]] = {
    "status": lambda resource: [("", str(resource.get("status", "")))],
    "type": _codes("type"),
    "category": _codes("category"),
    "setting": _codes("context", "practiceSetting"),
    "facility": _codes("context", "facilityType"),
    "event": _codes("context", "event"),
    "security-label": _codes("securityLabel"),
    "format": _codes("content", "format"),
    "contenttype": lambda resource: [("", str(one)) for one in _at(resource, ("content", "attachment", "contentType"))],
    "identifier": _identifiers,
}
_DATES: Final = {
    "date": ("date",),
    "creation": ("content", "attachment", "creation"),
}
IGNORED: Final = frozenset({"_format", "_pretty", "_count", "_sort", "_total", "_summary", "_include", "_revinclude"})


def condition(wanted: Any) -> Condition:
    """All parameters ANDed. Raises InvalidParameter for one that is none of ITI-67: ignoring it would widen the answer."""
    conditions: list[Condition] = []
    for name, value in wanted.parameters:
        if name in IGNORED:
            continue
        if name in _TOKENS:
            conditions.append(_token(name, value))
        elif name in _DATES or name == "period":
            conditions.append(_date(name, value))
        else:
            raise InvalidParameter("a parameter that a federated search of documents does not know")
    return lambda resource: all(one(resource) for one in conditions)


def _token(name: str, value: str) -> Condition:
    pairs = []
    for text in split(value, ","):
        system, bar, code = text.partition("|")
        pairs.append((system, code) if bar else (None, text))
    values = _TOKENS[name]

    def holds(resource: dict[str, Any]) -> bool:
        found = list(values(resource))
        return any(
            (system is None or system == given) and (not code or code == word)
            for given, word in found
            for system, code in pairs
        )

    return holds


def _date(name: str, value: str) -> Condition:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        start, end = utc_range(text)
    except BadInput:
        raise InvalidParameter(f"{name}: not a FHIR date or time") from None

    def holds(resource: dict[str, Any]) -> bool:
        return any(_compared(prefix, start, end, *span) for span in _spans(name, resource))

    return holds


def _spans(name: str, resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        if name == "period":
            for one in _at(resource, ("context", "period")):
                first = utc_range(one["start"])[0] if one.get("start") else "0001"
                yield first, utc_range(one["end"])[1] if one.get("end") else "9999"
            return
        for text in list(_at(resource, _DATES[name])) or _at(resource, _DATES["creation"]):
            yield utc_range(text)
    except (BadInput, TypeError, AttributeError):
        return


def date_of(resource: dict[str, Any]) -> str:
    """Its date; where the registry knows the day alone, which is no instant, that of the document. "" without both."""
    found = list(_at(resource, _DATES["date"])) or list(_at(resource, _DATES["creation"]))
    return found[0] if found and isinstance(found[0], str) else ""


def _compared(prefix: str, start: str, end: str, first: str, last: str) -> bool:
    match prefix:
        case "eq":
            return start <= first and last <= end
        case "ge":
            return last > start
        case "gt" | "sa":
            return last > end
        case "le":
            return first < end
        case "lt" | "eb":
            return first < start
    raise InvalidParameter("a date takes eq, ge, gt, sa, le, lt or eb")
