"""PPR^ZD1 (PPR-01, 病名): MSH PID [PV1] { PRB [ZPR] [{ZPD}] [{ZI1}] [ORC] } -> one Condition a PRB.

The name of a Japanese disease is prefix + base + suffix (「急性」+「胃炎」+「の疑い」); PRB-3 gives the whole or the base,
ZPR the parts. The words sent are always kept. JAHIS disease names; JP Core 1.2.0 JP_Condition.
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.model.outcome import Unmapped
from gateway.translate.common import HEAD, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    Fragment,
    as_code,
    bad_field,
    clean,
    coded,
    component,
    concept_of,
    cwe_rest,
    plain,
    triplet_rest,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.people import EXTENSION, resource
from gateway.translate.rules import converter, table

RULES = Rules(**HEAD, PV1=("None",), PRB=("Condition",), ZPR=("Condition",), ZPD=("Condition",), ORC=("Condition",))

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
EX_CODE = "http://medis.or.jp/CodeSystem/master-disease-exCode"
MOD_KEY = "http://medis.or.jp/CodeSystem/master-disease-modKeyNumber"
MOD_EX = "http://medis.or.jp/CodeSystem/master-disease-modExCode"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10_2013, OLD_EDITION = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full", "2003"
"""A code that its sender says is of the edition of 2003 is not labelled as one of 2013."""
UNCODED = "20084317"
"""Management number of a disease that has none (未コード化傷病名)."""
SUSPECTED = "8002"
"""Modifier 「の疑い」 of the MEDIS master: suspicion, also when PRB-13 says nothing."""


@dataclass(slots=True)
class Problem:
    prb: Segment
    zpr: Segment | None = None
    orc: Segment | None = None
    teeth: list[Segment] = field(default_factory=list)


def translate(message: Message, context: Context) -> None:
    problems: list[Problem] = []
    rest = []
    for segment in message.segments:
        match segment.name:
            case "MSH" | "PID":
                continue
            case "PRB":
                problems.append(Problem(segment))
            case "ZPR" if problems and problems[-1].zpr is None:
                problems[-1].zpr = segment
            case "ORC" if problems and problems[-1].orc is None:
                problems[-1].orc = segment
            case "ZPD" if problems:
                problems[-1].teeth.append(segment)
            case _:
                rest.append(segment)
    for problem in problems:
        context.add(_condition(problem, context))
    leave(rest, RULES, context)


def _condition(problem: Problem, context: Context) -> Fragment:
    prb = problem.prb
    # PRB-4 alone may repeat between files of a sender that counts from 1, so the file's key belongs to the id.
    key = (component(prb[4], 1) or prb[3],)
    condition = resource("Condition", context.id("Condition", *context.key, *key, context.nth("PRB", *key)))
    condition["meta"] = {"profile": ["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Condition"]}
    RULES["PRB"].apply(prb, {"Condition": condition}, context)
    if problem.zpr is not None:
        RULES["ZPR"].apply(problem.zpr, {"Condition": condition}, context)
        _name(condition, problem.zpr, prb, context)
        _once_each(condition, problem.zpr, context)
    for segment in problem.teeth:
        RULES["ZPD"].apply(segment, {"Condition": condition}, context)
    if problem.orc is not None:
        RULES["ORC"].apply(problem.orc, {"Condition": condition}, context)
        if "asserter" in condition:
            # CC0 table Segment_PPR_01_PRB_to_Condition: who ordered (ORC-12) recorded it, unless ORC-10 names another.
            condition.setdefault("recorder", condition["asserter"])
    condition["subject"] = context.subject()
    if not condition.get("code"):
        context.issue("warning", "unnamed", place(prb, 3), "neither PRB-3 nor ZPR names the disease")
    if table("problem-action").get(component(prb[1], 1)):
        if component(prb[13], 1) == "1":
            keep(prb, 13, context)  # that it was suspected counts no longer
        condition["verificationStatus"] = _status(VERIFICATION, table("problem-action")[component(prb[1], 1)])
        condition.pop("clinicalStatus", None)  # con-5
        if condition.pop("abatementDateTime", None):  # con-4: without a clinicalStatus there is none
            keep(prb, 9, context)
    elif "abatementDateTime" in condition:
        condition["clinicalStatus"] = _status(CLINICAL, "resolved")  # con-4
    return condition


def _name(condition: Fragment, zpr: Segment, prb: Segment, context: Context) -> None:
    """code.text is the whole name: that of PRB-3, or prefix, base and suffix of ZPR where PRB-3 has none, has only the
    base of them, or only says that the disease has no number. Suspicion also comes from the suffix."""
    parts = [[component(part, 2) for part in zpr[n].split("~")] for n in (1, 2, 3)]
    prefix, base, suffix = ("".join(words) for words in parts)
    said, whole = component(prb[3], 2), prefix + base + suffix
    code = condition.setdefault("code", {})
    if not said and whole:
        code["text"] = whole
    elif component(prb[3], 1) == UNCODED and base and base != said:
        # The words of the master for "no number" stand as display of that number.
        code["text"] = whole
    elif said and said == base and whole != said:
        code["text"] = whole
    suffixes = {part.split("^", 1)[0] for part in zpr[3].split("~")}
    if SUSPECTED in suffixes and "verificationStatus" not in condition:
        condition["verificationStatus"] = _status(VERIFICATION, "provisional")
    if not code:
        del condition["code"]


def _once_each(condition: Fragment, zpr: Segment, context: Context) -> None:
    """PRB-3 and ZPR-2 usually say the same code: one coding of a system and code is enough. Where they give it
    different words, those of ZPR-2 are residue."""
    once: dict[tuple[str, str], Fragment] = {}
    for coding in condition.get("code", {}).get("coding", ()):
        key = (coding.get("system", ""), coding["code"])
        words = coding.get("display", "")
        first = once.setdefault(key, coding)
        if words and first is not coding and words not in (first.get("display"), condition["code"].get("text")):
            if "display" in first:
                context.keep(place(zpr, 2, 2), words)
            else:
                once[key] = coding
    if once:
        condition["code"]["coding"] = list(once.values())


def _status(system: str, code: str) -> Fragment:
    return {"coding": [{"system": system, "code": code}]}


@converter(rest=cwe_rest)
def disease(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-3: management number (病名管理番号) and words."""
    concept = concept_of(raw, segment, context)
    return {"code": _copy(concept)} if concept else None


@converter(1)
def problem_instance(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    return {"system": local_system(context.facility.oid, "problem"), "value": number} if number else None


def _classification_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `disease_classification` leaves: words, system and edition of an ICD code that is not there."""
    parts = repetition.split("^")
    spared = () if component(repetition, 1) else (2, 3, 7)
    left = tuple((n, parts[n - 1]) for n in spared if n <= len(parts) and plain(parts[n - 1]))
    if not component(repetition, 4) and component(repetition, 6):
        left += ((6, parts[5]),)
    return left + _BEYOND_CLASSIFICATION(repetition)


_BEYOND_CLASSIFICATION = all_but(1, 2, 3, 4, 5, 6, 7)


@converter(rest=_classification_rest)
def disease_classification(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-10: ICD-10 in the first triplet, kind of diagnosis (外来時, 最終 ...) in the second, edition in component 7."""
    parts = (raw.split("~", 1)[0].split("^") + [""] * 7)[:7]
    fragment: Fragment = {}
    code = coded("^".join(parts[:3]), context.facility.oid)
    if code.concept and "coding" in code.concept:
        coding = dict(code.concept["coding"][0])
        if parts[6]:
            coding["version"] = clean(parts[6])
            if coding["version"] == OLD_EDITION and coding.get("system") == ICD10_2013:
                coding["system"] = ICD10
        fragment["code"] = {"coding": [coding]}
    for problem in code.problems:
        context.issue("warning", problem, place(segment, 10), "the code does not have the form of its system")
    if kind := coded("^".join(parts[3:6]), context.facility.oid).concept:
        fragment["category"] = [kind]
    return fragment or None


@converter(1)
def problem_action(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-1: DE takes the problem back (`_condition` says so last); the other actions need no element."""
    if component(raw, 1) not in table("problem-action"):
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table problem-action")
        return None
    return {}


@converter(1)
def problem_confidentiality(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-25, table 0177: who may see the problem, as a security label."""
    code = table("confidentiality").get(component(raw, 1))
    if code is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table confidentiality")
        return None
    return {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}


@converter(rest=cwe_rest)
def problem_rank(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-18, JHSD0007: the main diagnosis (主診断) or another one. A bare number is no code of a table."""
    if not component(raw, 3):
        context.keep(place(segment, 18), raw)
        return None
    return concept_of(raw, segment, context)


@converter(rest=cwe_rest)
def dental_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ZPD-1 counts the segments; a sender that writes the tooth there is understood."""
    if segment[2] in ("", NULL):
        return concept_of(raw, segment, context)
    if component(raw, 1).isdigit():
        context.unmapped.append(Unmapped(place(segment, 1), "position of the segment in the message"))
    else:
        context.keep(place(segment, 1), component(raw, 1))
    for number in (2, 4, 5, 9):
        if words := component(raw, number):
            context.keep(place(segment, 1, number), words)
    return None


@converter(repeats=True, rest=cwe_rest)
def dental_positions(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """ZPD-2 (歯式): the teeth a disease is of, one a repetition."""
    return [concept for part in raw.split("~") if (concept := concept_of(part, segment, context))]


@converter(rest=all_but(1, 2, words=((3, frozenset({"JHSD0005"})),)))
def certainty(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-13, JHSD0005: 1 is a suspected disease."""
    if component(raw, 1) != "1":
        bad_field(raw, segment, context, "code-unknown", "JHSD0005 knows only 1 (suspected)")
        return None
    words = component(raw, 2)
    return {"verificationStatus": _status(VERIFICATION, "provisional") | ({"text": words} if words else {})}


@converter(rest=cwe_rest)
def outcome(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PRB-14 (転帰): the code as extension; clinicalStatus only for outcomes that say it."""
    concept = concept_of(raw, segment, context)
    if concept is None:
        return None
    found: Fragment = {
        "extension": [{"url": EXTENSION + "JP_Condition_DiseaseOutcome", "valueCodeableConcept": concept}]
    }
    if status := table("condition-outcome-status").get(component(raw, 1)):
        found["clinicalStatus"] = _status(CLINICAL, status)
    return found


_MODIFIER_REST = all_but(1, 2, words=((3, frozenset({"MDCDX2"})),))


@converter(repeats=True, rest=_MODIFIER_REST)
def prefix_modifiers(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return _modifiers(raw, 4, "JP_Condition_DiseasePrefixModifier", segment, context)


@converter(repeats=True, rest=_MODIFIER_REST)
def postfix_modifiers(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return _modifiers(raw, 6, "JP_Condition_DiseasePostfixModifier", segment, context)


def _modifiers(numbers: str, beside: int, extension: str, segment: Segment, context: Context) -> Fragment | None:
    """Modifiers by management number, with their exchange codes (ZPR-4, 6) in the same order beside them."""
    made = []
    codes = segment[beside].split("~")
    for index, part in enumerate(numbers.split("~")):
        code, words = component(part, 1), component(part, 2)
        other = codes[index] if index < len(codes) else ""
        if not code and not words:
            _keep_exchange(other, beside, segment, context)
            continue
        _keep_words(other, words, beside, segment, context)
        pairs = [(MOD_KEY, code), (MOD_EX, component(other, 1))]
        codings = [{"system": system, "code": known} for system, sent in pairs if (known := as_code(sent))]
        concept: Fragment = {"coding": codings} if codings else {}
        # What cannot be a code stands in the words, so that it is not lost.
        if text := " ".join((words, *(sent for _, sent in pairs if not as_code(sent)))).strip():
            concept["text"] = text
        made.append({"url": EXTENSION + extension, "valueCodeableConcept": concept})
    for other in codes[len(numbers.split("~")) :]:
        _keep_exchange(other, beside, segment, context)
    return {"code": {"extension": made}} if made else None


def _keep_exchange(code: str, number: int, segment: Segment, context: Context) -> None:
    """An exchange code without the modifier it belongs to."""
    if plain(code.replace("^", " ")):
        context.keep(place(segment, number), code)


def _keep_words(exchange: str, said: str, number: int, segment: Segment, context: Context) -> None:
    """What the field of an exchange code holds beside the code: other words, and the name of another table."""
    for at, value in _MODIFIER_REST(exchange):
        context.keep(place(segment, number, at), value)
    if (words := component(exchange, 2)) and words != said:
        context.keep(place(segment, number, 2), words)


def _base_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `base_disease` leaves: words without a code, as only codings are taken from here."""
    words = component(repetition, 2)
    return triplet_rest(repetition) + (((2, words),) if words and not component(repetition, 1) else ())


@converter(rest=_base_rest)
def base_disease(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ZPR-2 says the base again; its exchange code (病名交換用コード, ZPR-5) is one more coding."""
    concept = concept_of("^".join(raw.split("^")[:3]), segment, context) or {}
    codings = list(concept.get("coding", ()))
    code, words = component(segment[5], 1), component(segment[5], 2)
    if code := as_code(code):
        coding = {"system": EX_CODE, "code": code}
        codings.append(coding | {"display": words} if words else coding)
        spare(segment, 5, _MODIFIER_REST, context)
    else:
        keep(segment, 5, context)
    return {"code": {"coding": codings}} if codings else None


def _copy(concept: Fragment) -> Fragment:
    """The rows add codings to this one, and the converted field is shared."""
    return {**concept, "coding": list(concept["coding"])} if "coding" in concept else dict(concept)
