"""One resource -> what storage needs to find it again. Pure; the paths are compiled to closures when this is imported.

Where a value goes (storage/search.py reads it the same way):
* `patient` and parameters on the same element: Rendered.patient, the bare logical id.
* `status`: Rendered.status.
* the main date of the type: Rendered.date_start and date_end, UTC, end exclusive. Condition's is onset (発症日);
  recordedDate is a parameter of its own. A period that is open counts to the end of the calendar.
* other dates: Rendered.strings, parameter `@name`, text `start/end`.
* token, code: Rendered.tokens. An element of type code has no system of its own: "" is stored.
* a reference that carries only an identifier (logical reference): a token `name:identifier`.
* string: Rendered.strings, folded (text.py), and the text as written under `name:exact`. Of a longer text the first
  256 characters are searchable, and it has no exact form.
* uri: Rendered.strings, `name:exact` only.
* meta.security: its confidentiality codes as tokens of `_security`, on every type; who may see it hangs on them.
"""

from collections.abc import Callable
from typing import Any

from gateway.codec import fhir
from gateway.model.resource import Rendered, Token
from gateway.services.search.parameters import PARAMETERS, Parameter, Step
from gateway.services.search.text import fold
from gateway.translate.times import utc_range

FIRST = "0001-01-01T00:00:00.000Z"
"""Start of a period that has none."""
LAST = "9999-12-31T23:59:59.999Z"
"""End of a period that has none."""

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
MAX_TEXT = 256
"""Characters of one text that are indexed."""

_JP_EXTENSION = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/"
_EXTENSIONS = {"mothersMaidenName": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"}
"""Extensions of FHIR itself that a path may name; any other word is one of JP Core."""
_STRING_PARTS = {
    "name": ("text", "family", "given", "prefix", "suffix"),
    "address": ("text", "line", "city", "district", "state", "country", "postalCode"),
}
_CHOICES = {
    "date": ("DateTime", "Period", "Instant", "Date"),
    "token": ("CodeableConcept", "Coding"),
    "string": ("String", "CodeableConcept"),
    "reference": ("Reference",),
}


class _Sink:
    """What is collected from one resource."""

    __slots__ = ("end", "patient", "references", "start", "status", "strings", "tokens")

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.strings: list[tuple[str, str]] = []
        self.references: list[tuple[str, str]] = []
        self.start = self.end = self.patient = self.status = ""


_Emit = Callable[[Any, _Sink], None]


def index(resource: dict[str, Any], *, rank: int, patient: str = "") -> Rendered:
    """Renders `resource` and collects its index values.

    `patient` (logical id) is used when the resource names no patient itself, e.g. a Provenance. Raises BadInput when
    a date is none.
    """
    sink = _Sink()
    emitters = _COMPILED.get(resource["resourceType"], _NOTHING)
    for key, value in resource.items():
        for emit in emitters.get(key, ()):
            emit(value, sink)
    type_, id_ = resource["resourceType"], resource["id"]
    return Rendered(
        type=type_,
        id=id_,
        body=fhir.render(resource),
        patient=id_ if type_ == "Patient" else sink.patient or patient,
        rank=rank,
        status=sink.status,
        date_start=sink.start,
        date_end=sink.end,
        tokens=tuple(dict.fromkeys(sink.tokens)),
        strings=tuple(dict.fromkeys(sink.strings)),
        references=tuple(dict.fromkeys(sink.references)),
    )


def _token(name: str) -> _Emit:
    """CodeableConcept, Coding, Identifier, ContactPoint or a plain code."""

    def emit(value: Any, sink: _Sink) -> None:
        if isinstance(value, dict):
            coding = value.get("coding")
            if coding is not None:
                for code in coding:
                    if code.get("code"):
                        sink.tokens.append(Token(name, code.get("system", ""), code["code"]))
                return
            code = value.get("value") or value.get("code")
            if code:
                sink.tokens.append(Token(name, value.get("system", ""), code))
        elif isinstance(value, bool):
            sink.tokens.append(Token(name, "", "true" if value else "false"))
        elif value:
            sink.tokens.append(Token(name, "", value))

    return emit


def _phone(name: str) -> _Emit:
    """A telephone number is compared by its digits: 03-1234-5678 and 0312345678 are one."""

    def emit(value: Any, sink: _Sink) -> None:
        if digits := phone_digits(value.get("value", "")):
            sink.tokens.append(Token(name, "", digits))

    return emit


def phone_digits(text: str) -> str:
    return "".join(letter for letter in fold(text) if letter in "0123456789+")


def _labels(value: Any, sink: _Sink) -> None:
    for coding in value.get("security", ()):
        if coding.get("system") == CONFIDENTIALITY and coding.get("code"):
            sink.tokens.append(Token("_security", CONFIDENTIALITY, coding["code"]))


def _status(value: Any, sink: _Sink) -> None:
    sink.status = value


def _string(name: str, leaf: str) -> _Emit:
    parts = _STRING_PARTS.get(leaf, ("text",))
    exact = name + ":exact"

    def add(text: str, sink: _Sink) -> None:
        if len(text) > MAX_TEXT:
            sink.strings.append((name, fold(text[:MAX_TEXT])))
        else:
            sink.strings.append((name, fold(text)))
            sink.strings.append((exact, text))

    def emit(value: Any, sink: _Sink) -> None:
        if isinstance(value, str):
            add(value, sink)
            return
        for part in parts:
            found = value.get(part)
            if isinstance(found, str):
                add(found, sink)
            elif found:
                for text in found:
                    if text:
                        add(text, sink)

    return emit


def _uri(name: str) -> _Emit:
    def emit(value: Any, sink: _Sink) -> None:
        sink.strings.append((name + ":exact", value))

    return emit


def _reference(name: str) -> _Emit:
    def emit(value: Any, sink: _Sink) -> None:
        target = value.get("reference", "")
        if target and target[0] != "#":
            sink.references.append((name, target))
        elif (identifier := value.get("identifier")) and identifier.get("value"):
            sink.tokens.append(Token(name + ":identifier", identifier.get("system", ""), identifier["value"]))

    return emit


def _patient(value: Any, sink: _Sink) -> None:
    target = value.get("reference", "")
    if target.startswith("Patient/"):
        sink.patient = target[8:]


def span(value: Any) -> tuple[str, str]:
    """(start, end exclusive) of a FHIR date, dateTime, instant or Period in UTC."""
    if isinstance(value, str):
        return utc_range(value)
    start, end = value.get("start"), value.get("end")
    return utc_range(start)[0] if start else FIRST, utc_range(end)[1] if end else LAST


def _main_date(value: Any, sink: _Sink) -> None:
    start, end = span(value)
    sink.start = min(sink.start or start, start)
    sink.end = max(sink.end, end)


def _date(name: str) -> _Emit:
    name = "@" + name

    def emit(value: Any, sink: _Sink) -> None:
        sink.strings.append((name, "/".join(span(value))))

    return emit


def _emitter(parameter: Parameter) -> _Emit | None:
    """What to do with a value of this parameter; None when another parameter already keeps it."""
    if parameter.is_patient:
        return _patient if parameter.name == "patient" else None
    leaf = parameter.path[-1]
    if parameter.kind == "date":
        return _main_date if parameter.main_date else _date(parameter.name)
    if parameter.name == "status" and parameter.kind == "code":
        return _status
    if leaf.filter == "phone":
        return _phone(parameter.name)
    if parameter.kind == "string":
        return _string(parameter.name, leaf.name)
    by_kind = {"token": _token, "code": _token, "reference": _reference, "uri": _uri}
    return by_kind[parameter.kind](parameter.name)


def _walk(steps: tuple[Step, ...], kind: str, then: _Emit) -> _Emit:
    """A closure that follows the steps after the first, over lists on the way, and hands each value to `then`."""
    if not steps:
        return _each(then)
    keys = _keys(steps[0], kind)
    inner = _filtered(steps[0], _walk(steps[1:], kind, then))

    def follow(value: Any, sink: _Sink) -> None:
        for key in keys:
            if key in value:
                inner(value[key], sink)

    return _each(follow)


def _each(then: _Emit) -> _Emit:
    def over(value: Any, sink: _Sink) -> None:
        if isinstance(value, list):
            for item in value:
                if item is not None:
                    then(item, sink)
        else:
            then(value, sink)

    return over


def _filtered(step: Step, then: _Emit) -> _Emit:
    if not step.filter:
        return then
    extension = _EXTENSIONS.get(step.filter, _JP_EXTENSION + step.filter)
    key, wanted = ("url", extension) if step.name == "extension" else ("system", step.filter)

    def keep(value: Any, sink: _Sink) -> None:
        if value.get(key) == wanted:
            then(value, sink)

    return _each(keep)


def _keys(step: Step, kind: str) -> tuple[str, ...]:
    return tuple(step.name + suffix for suffix in _CHOICES[kind]) if step.choice else (step.name,)


def _compile(parameters: dict[str, Parameter]) -> dict[str, tuple[_Emit, ...]]:
    """First key of the path -> what to do with its value, so that an element nobody searches costs one look-up."""
    table: dict[str, list[_Emit]] = {}
    for parameter in parameters.values():
        emit = _emitter(parameter)
        if emit is None:
            continue
        first, *rest = parameter.path
        walk = _filtered(first, _walk(tuple(rest), parameter.kind, emit))
        for key in _keys(first, parameter.kind):
            table.setdefault(key, []).append(walk)
    table.setdefault("meta", []).append(_labels)
    return {key: tuple(emits) for key, emits in table.items()}


_COMPILED = {type_: _compile(parameters) for type_, parameters in PARAMETERS.items()}
_NOTHING: dict[str, tuple[_Emit, ...]] = {"meta": (_labels,)}
