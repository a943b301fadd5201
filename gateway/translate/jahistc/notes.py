"""What stands beside the dispensing: patient notes (2), drugs bought (3, 31), memos (4, 601), what institutions tell
(401, 411, 421, 501), the family pharmacist (701)."""

from gateway.codec.jahistc import Record, day
from gateway.translate.datatypes import absent
from gateway.translate.jahistc.making import JAN_SYSTEM, RECORD_SYSTEM, Making, Resource, codes, record_concept
from gateway.translate.jahistc.people import CATEGORY, institution, practitioner, reference
from gateway.translate.people import resource

CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ADVERSE = "副作用"
INFORMATION_SYSTEM = "https://musubi.invalid/CodeSystem/jahistc-information"
INGREDIENT_SYSTEM = "https://musubi.invalid/CodeSystem/OTC-ingredient"
TITLES = {
    "4": "手帳メモ",
    "401": "服用注意",
    "411": "医療機関等提供情報",
    "421": "残薬確認",
    "501": "備考",
    "601": "患者等記入",
}
"""Records that become a Communication, and what they are called."""


def note(record: Record, making: Making) -> Resource:
    """Record 2 (患者特記). What its kind does not say (a certainty, a category) is not said here either."""
    kind = codes("note").get(record.item("kind"), ("", ""))[0]
    text = record.item("text")
    if kind == "AllergyIntolerance":
        one = resource(kind, making.id(kind, record.item("kind"), text), "JP_AllergyIntolerance")
        one["clinicalStatus"] = {"coding": [{"system": CLINICAL, "code": "active"}]}
        if record.item("kind") == "2":
            one["type"] = "intolerance"
        one["code"] = {"text": text} if text else absent()
        one["patient"] = making.subject()
        if record.item("kind") == "2":
            one["note"] = [{"text": ADVERSE}]
        target = f"{kind}/{one['id']}.code"
    elif kind == "Condition":
        one = resource(kind, making.id(kind, text), "JP_Condition")
        one["code"] = {"text": text} if text else absent()
        one["subject"] = making.subject()
        target = f"{kind}/{one['id']}.code"
    else:
        if not kind:
            making.warn("code-unknown", record, "kind", "the kind of note is not in the standard")
        one = _observation(record, making, "2", "患者特記", "")
        target = f"Observation/{one['id']}.valueString"
    making.from_(target, record, "kind", "text")
    return making.add(one)


def _observation(record: Record, making: Making, number: str, words: str, date: str) -> Resource:
    text = record.item("text")
    one = resource("Observation", making.id("Observation", number, date, text), "JP_Observation_Common")
    one["status"] = "unknown"
    one["category"] = [{"coding": [{"system": CATEGORY, "code": "survey"}]}]
    one["code"] = {**record_concept(number, words), "text": words}
    one["subject"] = making.subject()
    one |= {"effectiveDateTime": date} if date else {"_effectiveDateTime": absent()}
    one |= {"valueString": text} if text else {"dataAbsentReason": _unknown()}
    return one


def _unknown() -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    return {"coding": [{"system": system, "code": "unknown"}]}


def otc(record: Record, ingredients: list[Record], making: Making) -> Resource:
    """Record 3 (一般用医薬品) with its ingredients (31) -> MedicationStatement. Whether it is still taken is not known."""
    name, jan = record.item("name"), record.item("jan")
    key = (name, jan, record.item("start"))
    # JP_MedicationStatement knows no reference to a Medication, and only a Medication has ingredients.
    profile = "" if ingredients else "JP_MedicationStatement"
    one = resource("MedicationStatement", making.id("MedicationStatement", *key), profile)
    concept: Resource = {"coding": [{"system": JAN_SYSTEM, "code": jan}]} if jan else {}
    if name:
        concept["text"] = name
    if ingredients:
        parts = [{"itemCodeableConcept": _ingredient(one_, making)} for one_ in ingredients]
        drug = {"resourceType": "Medication", "id": "otc", "code": concept or absent(), "ingredient": parts}
        one["contained"] = [drug]
    one["status"] = "unknown"
    if ingredients:
        one["medicationReference"] = {"reference": "#otc"}
    else:
        one["medicationCodeableConcept"] = concept or absent()
    one["subject"] = making.subject()
    start, end = day(record.item("start")), day(record.item("end"))
    if start and end and end.iso < start.iso:
        making.warn("period-reversed", record, "end", "the end lies before the beginning; it is kept as it was sent")
        end = None
    period = {key_: found.iso for key_, found in (("start", start), ("end", end)) if found}
    if period:
        one["effectivePeriod"] = period
    if record.item("creator") == "2":
        one["informationSource"] = making.subject()
    target = f"MedicationStatement/{one['id']}"
    making.from_(f"{target}.{'contained' if ingredients else 'medicationCodeableConcept'}", record, "name", "jan")
    for part in ingredients:
        making.from_(f"{target}.contained", part, "sequence", "name", "kind", "code")
    making.from_(f"{target}.effectivePeriod", record, "start", "end")
    return making.add(one)


def _ingredient(record: Record, making: Making) -> Resource:
    concept: Resource = {}
    if record.item("code"):
        concept["coding"] = [{"system": INGREDIENT_SYSTEM, "code": record.item("code")}]
    if record.item("name"):
        concept["text"] = record.item("name")
    return concept or absent()


def communication(record: Record, making: Making, date: str = "", about: tuple[Resource, ...] = ()) -> Resource:
    """A note in words. `date`: of the block it stands in; its own day comes first."""
    found = day(record.item("date"))
    date = found.iso if found else date
    text, number = record.item("text"), record.number
    one = resource("Communication", making.id("Communication", number, date, text))
    one["status"] = "completed"
    one["category"] = [record_concept(number, TITLES[number])]
    one["subject"] = making.subject()
    if about:
        one["about"] = [reference(other) for other in about]
    if date:
        one["sent"] = date
    if number == "601" or record.item("creator") == "2":
        one["sender"] = making.subject()
    if kind := record.item("kind"):
        words = codes("information").get(kind, ("", ""))[1]
        if not words:
            making.warn("code-unknown", record, "kind", "the kind of information is not in the standard")
        coding = {"system": INFORMATION_SYSTEM, "code": kind, "display": words}
        one["reasonCode"] = [{"coding": [{key: value for key, value in coding.items() if value}]}]
    one["payload"] = [{"contentString": text} if text else {"_contentString": absent()}]
    making.from_(f"Communication/{one['id']}.payload", record, "text")
    making.from_(f"Communication/{one['id']}.sent", record, "date")
    making.from_(f"Communication/{one['id']}.reasonCode", record, "kind")
    if number == "421":
        making.add(_observation(record, making, "421", "残薬", date))
    return making.add(one)


def family_pharmacist(record: Record, making: Making) -> Resource:
    """Record 701 (かかりつけ薬剤師) -> CareTeam with one participant."""
    pharmacy = institution(Record("11", (record.item("pharmacy"),), record.line), making)
    person = practitioner(Record("15", (record.item("name"), record.item("contact")), record.line), pharmacy, making)
    one = resource("CareTeam", making.id("CareTeam", person["id"], record.item("start")))
    one["category"] = [record_concept("701", "かかりつけ薬剤師")]
    one["subject"] = making.subject()
    participant: Resource = {
        "role": [{"coding": [{"system": RECORD_SYSTEM, "code": "701"}], "text": "かかりつけ薬剤師"}],
        "member": reference(person),
        "onBehalfOf": reference(pharmacy),
    }
    start, end = day(record.item("start")), day(record.item("end"))
    if start and end and end.iso < start.iso:
        making.warn("period-reversed", record, "end", "the end lies before the beginning; it is kept as it was sent")
        end = None
    period = {key: found.iso for key, found in (("start", start), ("end", end)) if found}
    if period:
        participant["period"] = period
    one["participant"] = [participant]
    making.from_(f"CareTeam/{one['id']}.participant", record, "name", "pharmacy", "contact", "start", "end")
    return making.add(one)
