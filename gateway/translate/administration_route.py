"""RXR (投与経路): the route, site, device, method and line by which a drug is given, as converters.

They return fragments under the key `dosage`, like those of dosage.py. FHIR has room for one route, site and method: what
further RXR or repetitions say stands in JP Core's comments and in the words. HL7 v2.5 4.14.2; JP Core 1.2.0
JP_MedicationDosage, JP_MedicationDosage_Injection.
"""

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, concept_of, cwe_rest, reference_named, triplet_rest, words_of
from gateway.translate.leavings import keep
from gateway.translate.people import EXTENSION
from gateway.translate.rules import converter
from gateway.translate.usage import dosage_of, jami_concept


@converter(rest=cwe_rest)
def route(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of(raw, segment, context)
    return dosage_of(route=concept) if concept else None


@converter(repeats=True, rest=cwe_rest)
def site(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXR-2. LENIENT: v2.5 has one site; both feet are sent as two repetitions."""
    concepts = [concept for part in raw.split("~") if (concept := jami_concept(part, segment, context))]
    return dosage_of(site=beside(concepts, "Site")) if concepts else None


def beside(concepts: list[Fragment], of: str) -> Fragment:
    """Concepts of an element that takes one: the first is it, those that follow are comments of JP Core (`of`: Route,
    Site or Method), and the words are those of all."""
    first, *others = (one for at, one in enumerate(concepts) if one not in concepts[:at])
    if not others:
        return first
    url = f"{EXTENSION}JP_MedicationDosage_{of}Comment"
    comments = [{"url": url, "valueCodeableConcept": other} for other in others]
    words = "、".join(said for one in (first, *others) if (said := words_of(one)))
    return {"extension": [*first.get("extension", ()), *comments], **_bare(first)} | ({"text": words} if words else {})


def _bare(concept: Fragment) -> Fragment:
    return {key: value for key, value in concept.items() if key != "extension"}


def with_way(dosage: Fragment, way: Fragment, segment: Segment, context: Context) -> Fragment:
    """A further RXR of one order (left foot and right foot): what it says joins what the first one said. Neither of the
    two is changed: what equal segments gave is shared between messages."""
    dosage, way = dict(dosage), dict(way)
    if side := way.pop("siteModifier", None):
        if "site" in way:  # the words say which side; its code has no place beside a second site
            words = " ".join(filter(None, (words_of(way["site"]), words_of(side))))
            way["site"] = {**way["site"], **({"text": words} if words else {})}
        keep(segment, 6, context)
    for of in ("Route", "Site", "Method"):
        if said := [one[of.lower()] for one in (dosage, way) if of.lower() in one]:
            dosage[of.lower()] = beside(said, of)
    known = dosage.get("extension", [])
    if more := [one for one in way.get("extension", ()) if one not in known]:
        dosage["extension"] = [*known, *more]
    return dosage


@converter(rest=cwe_rest)
def site_modifier(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXR-6 (HL70495): the side of the site, for the BodyStructure that `settle_site` makes."""
    concept = concept_of(raw, segment, context)
    return dosage_of(siteModifier=concept) if concept else None


@converter(rest=triplet_rest)
def administration_device(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    reference = reference_named(raw, segment, context)
    if reference is None:
        return None
    return dosage_of(extension=[{"url": EXTENSION + "JP_MedicationDosage_Device", "valueReference": reference}])


@converter(rest=cwe_rest)
def administration_method(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = jami_concept(raw, segment, context)
    return dosage_of(method=concept) if concept else None


@converter(repeats=True, rest=cwe_rest)
def line(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXR-5 of an injection: 主管, 側管."""
    concepts = (concept_of(part, segment, context) for part in raw.split("~"))
    url = EXTENSION + "JP_MedicationDosage_Line"
    lines = [{"url": url, "valueCodeableConcept": concept} for concept in concepts if concept]
    return dosage_of(extension=lines) if lines else None


def settle_site(dosage: Fragment, owner: Fragment, patient: Fragment) -> None:
    """The side of a site: a contained BodyStructure behind the extension bodySite, as in the injection examples of
    JP Core. The site in words has the side too."""
    side = dosage.pop("siteModifier", None)
    if side is None:
        return
    site_ = dosage.get("site", {})
    location = {key: site_[key] for key in ("coding", "text") if key in site_}
    structure: Fragment = {"resourceType": "BodyStructure", "id": "site"}
    structure |= {"location": location} if location else {}
    structure |= {"locationQualifier": [side], "patient": patient}
    if structure not in owner.setdefault("contained", []):
        owner["contained"].append(structure)
    url = "http://hl7.org/fhir/StructureDefinition/bodySite"
    words = [words for concept in (site_, side) if (words := words_of(concept))]
    structured = {"url": url, "valueReference": {"reference": "#site"}}
    dosage["site"] = {"extension": [structured, *site_.get("extension", ())], **_bare(site_)}
    if words:
        dosage["site"]["text"] = " ".join(words)
