"""OMD^O03 (OMD, 食事オーダ): MSH PID [PV1] [{AL1}] { ORC [{TQ1}] [{ODS}] [{NTE}] [{ODT}] } -> one NutritionOrder an ORC.

SS-MIX2 1.2; HL7 v2.5 4.7.1, 4.8. JP Core has no profile of NutritionOrder, so it is that of FHIR R4.
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate.allergy import add_allergy
from gateway.translate.common import HEAD, Rules, leave, settle_period
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, bad_field, component, concept_of, cwe_rest, plain
from gateway.translate.leavings import NULL, all_but, place
from gateway.translate.people import resource
from gateway.translate.rules import aim, converter, mark, table

RULES = Rules(
    **HEAD,
    PV1=("None",),
    AL1=("AllergyIntolerance",),
    ORC=("NutritionOrder",),
    TQ1=("NutritionOrder",),
    ODS=("NutritionOrder",),
    ODT=("NutritionOrder",),
    NTE=("NutritionOrder",),
)
KINDS = frozenset({"D", "S", "P"})
"""Table 0159: diet (食種), supplement (補食), preference (嗜好)."""


@dataclass(slots=True)
class Order:
    orc: Segment | None
    timings: list[Segment] = field(default_factory=list)
    meals: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    """NTE and ODT."""


@dataclass(slots=True)
class _Meals:
    """What the ODS of one order ask for."""

    diet: Fragment = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    periods: list[Fragment] = field(default_factory=list)
    supplements: list[Fragment] = field(default_factory=list)
    preferences: list[Fragment] = field(default_factory=list)
    notes: list[Fragment] = field(default_factory=list)


def translate(message: Message, context: Context) -> None:
    allergies = [add_allergy(segment, context, RULES["AL1"]) for segment in message.all("AL1")]
    orders, rest = _grouped(message)
    for order in orders:
        made = _nutrition_order(order, context)
        if allergies:
            # R4: allergies "which should be included in the nutrition order": those at the head of the message.
            made["allergyIntolerance"] = [{"reference": f"AllergyIntolerance/{one['id']}"} for one in allergies]
        context.add(made)
    leave(rest, RULES, context)


def _grouped(message: Message) -> tuple[list[Order], list[Segment]]:
    """Segments -> orders, and the segments that belong to none. An ODS without ORC is an order all the same."""
    orders: list[Order] = []
    rest: list[Segment] = []
    for segment in message.segments:
        match segment.name:
            case "MSH" | "PID" | "AL1":
                continue
            case "ORC":
                orders.append(Order(segment))
            case "ODS":
                if not orders:
                    orders.append(Order(None))
                orders[-1].meals.append(segment)
            case "TQ1" if orders:
                orders[-1].timings.append(segment)
            case "NTE" | "ODT" if orders:
                orders[-1].notes.append(segment)
            case _:
                rest.append(segment)
    return orders, rest


def _nutrition_order(order: Order, context: Context) -> Fragment:
    number = component(order.orc[2], 1) if order.orc is not None else ""
    made = resource("NutritionOrder", context.id("NutritionOrder", *context.key, number, context.nth("ORC", number)))
    body: Fragment = {}
    since = mark(context)
    if order.orc is not None:
        RULES["ORC"].apply(order.orc, {"NutritionOrder": body}, context)
    timings = [timing for segment in order.timings if (timing := _timing(segment, body, context))]
    meals = _Meals()
    for segment in order.meals:
        _meal(segment, timings, meals, context)
    for segment in order.notes:
        RULES[segment.name].apply(segment, {"NutritionOrder": body}, context)
    _aim(context, since, made["id"])
    if "status" not in body:
        where = place(order.orc, 1) if order.orc is not None else "ORC"
        context.issue("warning", "no-status", where, "the source does not say whether the order is in force")
    made |= {"identifier": body.pop("identifier")} if "identifier" in body else {}
    made["status"] = body.pop("status", "unknown")
    made["intent"] = "order"
    made["patient"] = context.subject()
    made |= {"dateTime": body.pop("dateTime")} if "dateTime" in body else {"_dateTime": absent()}
    made |= {"orderer": body.pop("orderer")} if "orderer" in body else {}
    if meals.preferences:
        made["foodPreferenceModifier"] = meals.preferences
    _diet(made, meals, timings, bool(order.meals))
    if meals.supplements:
        made["supplement"] = meals.supplements
    if notes := [*body.pop("note", []), *meals.notes]:
        made["note"] = notes
    return made


def _aim(context: Context, since: int, id_: str) -> None:
    whole = f"NutritionOrder/{id_}."
    for name, element in (
        ("Meal/.kind", "oralDiet"),
        ("Meal/.period[]", "oralDiet.schedule.code"),
        ("Meal/.code[]", "oralDiet.type"),
        ("Meal/.text[]", "oralDiet.instruction"),
        ("Timing/.note[]", "note"),
        ("Timing/.", "oralDiet.schedule."),
        ("NutritionOrder/.", ""),
    ):
        aim(context, since, name, whole + element)


def _timing(tq1: Segment, body: Fragment, context: Context) -> Fragment:
    """One Timing a TQ1; its words go to the notes of the order."""
    timing: Fragment = {}
    RULES["TQ1"].apply(tq1, {"Timing": timing}, context)
    if notes := timing.pop("note", None):
        body["note"] = [*body.get("note", ()), *notes]
    bounds = timing.get("repeat", {})
    if "boundsPeriod" in bounds:
        settle_period({"period": bounds["boundsPeriod"]}, tq1, 8, context)
    return {key: timing[key] for key in ("repeat", "code") if key in timing}


def _meal(ods: Segment, timings: list[Fragment], meals: _Meals, context: Context) -> None:
    told: Fragment = {}
    RULES["ODS"].apply(ods, {"Meal": told}, context)
    codes, texts, periods = told.get("code", []), told.get("text", []), told.get("period", [])
    match told.get("kind", ""):
        case "S":
            schedule = [*timings, *({"code": period} for period in periods)]
            # One supplement has one type; the words of ODS-4 hold for all of them.
            for code in codes or [None]:
                supplement: Fragment = {"type": code} if code else {}
                if schedule:
                    supplement["schedule"] = schedule
                if texts:
                    supplement["instruction"] = "\n".join(texts)
                if supplement:
                    meals.supplements.append(supplement)
        case "P":
            meals.preferences += [*codes, *periods]
            meals.notes += [{"text": text} for text in texts]
        case _:
            # A diet; also what has no known kind is food that was ordered, and its words must reach the kitchen.
            meals.diet["type"] = [*meals.diet.get("type", ()), *codes]
            meals.texts += texts
            meals.periods += [period for period in periods if period not in meals.periods]


def _diet(made: Fragment, meals: _Meals, timings: list[Fragment], asked: bool) -> None:
    """NutritionOrder.oralDiet. When only supplements are ordered, the times stand with them."""
    diet: Fragment = {"type": meals.diet["type"]} if meals.diet.get("type") else {}
    schedule = [{"code": period} for period in meals.periods]
    if timings and (meals.diet or not (asked and meals.supplements)):
        schedule = [*timings, *schedule]
    if schedule:
        diet["schedule"] = schedule
    if meals.texts:
        diet["instruction"] = "\n".join(meals.texts)
    if diet:
        made["oralDiet"] = diet


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def meal_order_state(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-5, table 0038: how far the order is. What ORC-1 takes back stays taken back."""
    status = table("nutrition-order-state").get(component(raw, 1))
    control = table("nutrition-order-status").get(component(segment[1], 1), "")
    if status is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table nutrition-order-state")
        return None
    if control not in ("", "active") and control != status:
        context.keep(place(segment, 5), raw)
        return None
    return {"status": status}


@converter(repeats=True)
def meal_pattern(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-3, RPT: the repeat pattern is a code of its own in the first component (`TID&１日３回&HL70335`)."""
    first, *others = raw.split("~")
    pattern, _, more = first.partition("^")
    for other in (more, *others):
        if plain(other.replace("^", " ")):
            context.keep(place(segment, 3), other)
    return concept_of(pattern.replace("&", "^"), segment, context) if pattern and pattern != NULL else None


@converter(rest=all_but(1))
def meal_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    code = component(raw, 1)
    if code not in KINDS:
        bad_field(raw, segment, context, "code-unknown", "table 0159 knows D, S and P")
        return None
    return code


@converter(repeats=True, rest=cwe_rest)
def meal_codes(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """ODS-3: codes of the hospital's kitchen with their words."""
    return [concept for part in raw.split("~") if (concept := concept_of(part, segment, context))]


@converter(repeats=True, rest=cwe_rest)
def meal_periods(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """ODS-2: the meals of a day (朝 昼 夕) as the hospital names them."""
    return [concept for part in raw.split("~") if (concept := concept_of(part, segment, context))]


@converter(repeats=True)
def meal_texts(raw: str, fields: list[str], segment: Segment, context: Context) -> list[str]:
    return [words for part in raw.split("~") if (words := plain(part))]
