"""A Provide Document Bundle (IHE MHD 4.2, 2:3.65.4.1.2) as metadata and documents of one submission.

Pure: who the patient is, which resources and documents the server holds, and new UUIDs come in as functions (`Known`).
Everything that is wrong is collected, each with the code of ITI TF-3 table 4.2.4.1-2 and the FHIRPath of its place;
nothing is guessed, and what XDS cannot hold is refused or named in a warning.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.translate.document_list import FOLDER, LIST_TYPES, SUBMISSION
from gateway.translate.document_reference import entry_uuid
from gateway.translate.provide_documents import document
from gateway.translate.provide_lists import folder, submission_set
from gateway.translate.provide_reading import Reading
from gateway.translate.provided import METADATA, Known, Level, Problem, Provided

_PROFILE: Final = "/ITI/MHD/StructureDefinition/IHE.MHD.{}.ProvideBundle"
_LEVELS: Final[tuple[Level, ...]] = ("Minimal", "UnContained.Comprehensive", "Comprehensive")
_MAX_ENTRIES: Final = 1000


def level_of(bundle: Mapping[str, Any]) -> Level | None:
    """What the Bundle claims to be. LENIENT: the canonical URLs of MHD 4.0 begin with `http:`."""
    profiles = bundle.get("meta", {}).get("profile", ())
    for level in _LEVELS:
        wanted = f"profiles.ihe.net{_PROFILE.format(level)}"
        if any(
            str(one).partition("|")[0].removeprefix("https://").removeprefix("http://") == wanted for one in profiles
        ):
            return level
    return None


def read(bundle: Mapping[str, Any], known: Known) -> Provided:
    """The submission; to be stored only when `problems` is empty."""
    level = level_of(bundle)
    made = Provided(level or "Minimal")
    if level is None:
        names = ", ".join(_LEVELS)
        made.problems.append(
            Problem(METADATA, f"meta.profile names none of the ProvideBundle profiles ({names})", "Bundle.meta.profile")
        )
    entries = bundle.get("entry", ())
    if len(entries) > _MAX_ENTRIES:
        made.problems.append(
            Problem("XDSRepositoryOutOfResources", f"more than {_MAX_ENTRIES} entries", "Bundle.entry")
        )
        return made
    _run(Reading(made, entries, known))
    return made


def _run(reading: Reading) -> None:
    lists: dict[str, list[int]] = {SUBMISSION: [], FOLDER: []}
    references, updates = [], []
    for n, entry in enumerate(reading.entries):
        resource, where = entry.get("resource", {}), f"Bundle.entry[{n}]"
        type_, method = resource.get("resourceType", ""), entry.get("request", {}).get("method", "")
        reading.remember(n, entry, resource)
        if type_ == "List":
            kind = _list_type(resource)
            if kind not in lists:
                reading.problem("a List is of code submissionset or folder", f"{where}.resource.code")
            elif method != "POST":
                reading.problem("an update of a List is not supported; POST it", f"{where}.request.method")
            else:
                lists[kind].append(n)
        elif type_ == "DocumentReference" and method == "POST":
            references.append(n)
        elif (type_ == "DocumentReference" and method == "PUT") or (type_ == "Parameters" and method == "PATCH"):
            updates.append(n)
        elif type_ not in (
            "Binary",
            "Bundle",
            "Patient",
            "Practitioner",
            "PractitionerRole",
            "Organization",
            "RelatedPerson",
        ):
            reading.problem("a resource that has no place in a Provide Document Bundle", f"{where}.resource")
        reading.made.places.append("")
    if len(lists[SUBMISSION]) != 1:
        reading.problem(f"{len(lists[SUBMISSION])} Lists of code submissionset; there has to be one", "Bundle.entry")
        return
    for n in (*references, *lists[SUBMISSION], *lists[FOLDER]):
        reading.number(n)
    for n in references:
        document(reading, n)
    for n in lists[FOLDER]:
        folder(reading, n)
    submission_set(reading, lists[SUBMISSION][0])
    for n in updates:
        _update(reading, n)


def _update(reading: Reading, n: int) -> None:
    """UpdateDocumentRefs: says that a replaced document is superseded, which the replacement does by itself."""
    entry, where = reading.entries[n], f"Bundle.entry[{n}]"
    url = str(entry.get("request", {}).get("url", "")).removeprefix(f"{reading.known.base}/")
    target = entry_uuid(url.split("/")[1]) if url.startswith("DocumentReference/") else ""
    resource = entry["resource"]
    superseded = resource.get("status") == "superseded" or '"superseded"' in str(resource).replace("'", '"')
    if not target or not superseded or target not in reading.replaced:
        reading.problem("an update is allowed only of a document that this Bundle replaces, to superseded", where)
    reading.made.places[n] = url


def _list_type(resource: Mapping[str, Any]) -> str:
    """LENIENT: a code without its system, and the http form of it, are taken too."""
    for one in resource.get("code", {}).get("coding", ()):
        system = str(one.get("system", "")).replace("http://", "https://")
        if system in ("", LIST_TYPES) and one.get("code") in (SUBMISSION, FOLDER):
            return str(one["code"])
    return ""
