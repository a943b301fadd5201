"""A Provide Document Bundle (IHE MHD 4.2, 2:3.65.4.1.2) as metadata and documents of one submission.

Pure: who the patient is, which resources and documents the server holds, and new UUIDs come in as functions (`Known`).
Everything that is wrong is collected, each with the code of ITI TF-3 table 4.2.4.1-2 and the FHIRPath of its place;
nothing is guessed, and what XDS cannot hold is refused or named in a warning.
"""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from gateway.codec.ebxml_parts import MAX_VALUE
from gateway.errors import BadInput
from gateway.model.code import Code
from gateway.model.document import (
    APND,
    HAS_MEMBER,
    ORIGINAL_MEMBER,
    REFERENCE,
    RPLC,
    SIGNS,
    SUBMISSION_SET_STATUS,
    XFRM,
    Association,
    Author,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from gateway.model.identity import PatientId
from gateway.translate import code_system, times, xds_people
from gateway.translate.document_list import (
    AUTHOR_ORGANIZATION,
    DESIGNATION,
    FOLDER,
    LIST_TYPES,
    RECIPIENT,
    SOURCE_ID,
    SUBMISSION,
)
from gateway.translate.document_reference import ENCOUNTER, OID, UUID, Json, entry_uuid, unique_id_of

Level = Literal["Minimal", "UnContained.Comprehensive", "Comprehensive"]
METADATA: Final = "XDSRepositoryMetadataError"
ASSOCIATIONS: Final = {"replaces": RPLC, "transforms": XFRM, "appends": APND, "signs": SIGNS}
"""relatesTo.code -> associationType (ConceptMap AssociationTypeVsRelatesTo)."""
_PROFILE: Final = "/ITI/MHD/StructureDefinition/IHE.MHD.{}.ProvideBundle"
_LEVELS: Final[tuple[Level, ...]] = ("Minimal", "UnContained.Comprehensive", "Comprehensive")
NOBODY: Final = Code("", "")
_MAX_ENTRIES: Final = 1000


class Problem(NamedTuple):
    code: str
    """ITI TF-3 table 4.2.4.1-2"""
    text: str
    where: str
    """FHIRPath"""


class Person(NamedTuple):
    """Who a subject is: CX of the affinity domain, and the CX by which the source names the person."""

    patientId: str
    sourcePatientId: str
    reference: str
    """`Patient/id`, or empty."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the server knows."""

    base: str
    person: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Person | None]
    """(Reference of a subject, the Patient in the Bundle it leads to) -> who; None when nobody is known by it."""
    resource: Callable[[str], Mapping[str, Any] | None]
    """`Type/id` -> the resource of this server."""
    document: Callable[[str], str]
    """uniqueId -> entryUUID of a registered document, or ""."""
    new_uuid: Callable[[], str]
    """`urn:uuid:...`"""
    render_xml: Callable[[dict[str, Any]], bytes]
    render_json: Callable[[dict[str, Any]], bytes]


@dataclass(slots=True)
class Provided:
    """One submission."""

    level: Level
    submission: SubmissionSet | None = None
    entries: list[DocumentEntry] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    """entryUUID -> bytes"""
    places: list[str] = field(default_factory=list)
    """One a Bundle.entry: `Type/id` of what became of it; "" where nothing new did."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    person: Person | None = None


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
    _Reader(made, entries, known).run()
    return made


class _Reader:
    """One Bundle."""

    def __init__(self, made: Provided, entries: Sequence[Mapping[str, Any]], known: Known) -> None:
        self.made, self.entries, self.known = made, entries, known
        self.by_url: dict[str, int] = {}
        self.uuids: dict[int, str] = {}
        """Entry number -> entryUUID of a DocumentReference or List."""
        self.replaced: set[str] = set()

    def problem(self, text: str, where: str, code: str = METADATA) -> None:
        self.made.problems.append(Problem(code, text, where))

    def run(self) -> None:
        lists: dict[str, list[int]] = {SUBMISSION: [], FOLDER: []}
        references, updates = [], []
        for n, entry in enumerate(self.entries):
            resource, where = entry.get("resource", {}), f"Bundle.entry[{n}]"
            type_, method = resource.get("resourceType", ""), entry.get("request", {}).get("method", "")
            self._remember(n, entry, resource)
            if type_ == "List":
                kind = _list_type(resource)
                if kind not in lists:
                    self.problem("a List is of code submissionset or folder", f"{where}.resource.code")
                elif method != "POST":
                    self.problem("an update of a List is not supported; POST it", f"{where}.request.method")
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
                self.problem("a resource that has no place in a Provide Document Bundle", f"{where}.resource")
            self.made.places.append("")
        if len(lists[SUBMISSION]) != 1:
            self.problem(f"{len(lists[SUBMISSION])} Lists of code submissionset; there has to be one", "Bundle.entry")
            return
        for n in (*references, *lists[SUBMISSION], *lists[FOLDER]):
            self._number(n)
        for n in references:
            self._document(n)
        for n in lists[FOLDER]:
            self._folder(n)
        self._submission(lists[SUBMISSION][0])
        for n in updates:
            self._update(n)

    def _remember(self, n: int, entry: Mapping[str, Any], resource: Mapping[str, Any]) -> None:
        """The names by which other entries may refer to this one (R4 2.36.4.1)."""
        url, id_ = str(entry.get("fullUrl", "")), str(resource.get("id", ""))
        if url:
            self.by_url.setdefault(url, n)
            if "://" in url:
                self.by_url.setdefault("/".join(url.split("/")[-2:]), n)
        if id_:
            self.by_url.setdefault(f"{resource.get('resourceType')}/{id_}", n)

    def _number(self, n: int) -> None:
        """entryUUID: the one its sender gave, else a new one."""
        resource = self.entries[n]["resource"]
        given = [
            one.get("value", "") for one in resource.get("identifier", ()) if str(one.get("value", "")).startswith(UUID)
        ]
        valid = [found for one in given if (found := entry_uuid(one.removeprefix(UUID)))]
        if given and not valid:
            self.problem("an identifier urn:uuid: is no UUID", f"Bundle.entry[{n}].resource.identifier")
        uuid = valid[0] if valid else self.known.new_uuid()
        if uuid in self.uuids.values():
            self.problem("two entries have one entryUUID", f"Bundle.entry[{n}].resource.identifier")
        self.uuids[n] = uuid
        self.made.places[n] = f"{resource['resourceType']}/{uuid.removeprefix(UUID)}"

    # -- references

    def _at(self, reference: str) -> int | None:
        """Number of the entry a reference leads to."""
        return self.by_url.get(reference, self.by_url.get(reference.removeprefix(f"{self.known.base}/")))

    def _target(self, reference: Mapping[str, Any]) -> str:
        """entryUUID of the registry object a reference names, here or on the server; "" for none."""
        text = str(reference.get("reference", ""))
        if (n := self._at(text)) is not None and n in self.uuids:
            return self.uuids[n]
        local = text.removeprefix(f"{self.known.base}/")
        if local.startswith(("DocumentReference/", "List/")) and (found := entry_uuid(local.split("/")[1])):
            return found
        if text.startswith(UUID):
            return entry_uuid(text.removeprefix(UUID))
        identifier = reference.get("identifier", {})
        if str(identifier.get("value", "")).startswith(UUID):
            return entry_uuid(identifier["value"].removeprefix(UUID))
        unique_id = unique_id_of(identifier)
        return self.known.document(unique_id) if unique_id else ""

    def _resolved(
        self, reference: Mapping[str, Any], owner: Mapping[str, Any], where: str, contained: bool
    ) -> Mapping[str, Any] | None:
        """The resource a reference leads to. With `contained` it has to stand inside its owner (Comprehensive)."""
        text = str(reference.get("reference", ""))
        if text.startswith("#"):
            found = next((one for one in owner.get("contained", ()) if f"#{one.get('id')}" == text), None)
        elif contained and self.made.level == "Comprehensive":
            self.problem("the comprehensive profile wants this resource contained", where)
            return None
        elif (n := self._at(text)) is not None:
            found = self.entries[n]["resource"]
        else:
            found = self.known.resource(text.removeprefix(f"{self.known.base}/")) if text else None
            if found is None and reference.get("display"):
                found = {"resourceType": "Practitioner", "name": [{"text": reference["display"]}]}
        if found is None:
            self.problem("a reference that leads nowhere", where)
        return found

    def _person(self, resource: Mapping[str, Any], where: str) -> Person | None:
        subject = resource.get("subject")
        if not subject:
            self.problem("subject is missing", f"{where}.subject")
            return None
        text = str(subject.get("reference", ""))
        n = self._at(text) if text else None
        inside: Mapping[str, Any] | None = self.entries[n]["resource"] if n is not None else None
        if text.startswith("#"):
            inside = next((one for one in resource.get("contained", ()) if f"#{one.get('id')}" == text), None)
        person = self.known.person(subject, inside)
        if person is None:
            self.problem("nobody is known here by this subject", f"{where}.subject", "XDSUnknownPatientId")
            return None
        if n is not None:
            self.made.places[n] = person.reference
        if self.made.person is None:
            self.made.person = person
        elif self.made.person.patientId != person.patientId:
            self.problem("the subjects are not one person", f"{where}.subject", "XDSPatientIdDoesNotMatch")
        return person

    def _author(self, reference: Mapping[str, Any], owner: Mapping[str, Any], where: str) -> Author | None:
        found = self._resolved(reference, owner, where, contained=True)
        if found is None:
            return None
        others = {f"#{one.get('id')}": one for one in owner.get("contained", ())}
        for url, n in self.by_url.items():
            others.setdefault(url, self.entries[n].get("resource", {}))
        author = xds_people.author_of(found, others)
        if author is None:
            self.problem("nothing of this author can be registered (no name and no id)", where)
        return author

    # -- parts

    def _unique_id(self, resource: Mapping[str, Any], where: str) -> str:
        """uniqueId of a List: LENIENT: published examples give the OID as `official` and a local number as `usual`."""
        identifiers = sorted(resource.get("identifier", ()), key=lambda one: one.get("use") != "usual")
        found = [
            unique
            for one in identifiers
            if not str(one.get("value", "")).startswith(UUID) and (unique := unique_id_of(one))
        ]
        if not found:
            # The one identifier may be a UUID: then it names the object and its content alike.
            found = [unique for one in identifiers if one.get("use") == "usual" and (unique := unique_id_of(one))]
        if not found:
            self.problem("an identifier with the uniqueId (urn:oid:) is missing", f"{where}.identifier")
        return found[0] if found else ""

    def _time(self, value: Any, where: str) -> str:
        try:
            return times.dtm_utc(str(value))
        except BadInput:
            self.problem("no date or time", where)
            return ""

    def _code(self, concept: Any, where: str, required: bool) -> Code:
        codes = code_system.codes_of(concept) if isinstance(concept, Mapping) else ()
        if not codes and required:
            self.problem("a code with its system is required", where)
        return codes[0] if codes else NOBODY

    def _members(self, owner: str, resource: Mapping[str, Any], where: str, only_documents: bool) -> None:
        """HasMember of a List's entries, each once."""
        inside = set(self.uuids.values())
        for k, entry in enumerate(resource.get("entry", ())):
            reference = entry.get("item", {})
            target = self._target(reference)
            at = f"{where}.entry[{k}].item"
            if not target:
                self.problem(
                    "an item that is no document or folder of this Bundle or server", at, "UnresolvedReferenceException"
                )
                continue
            if only_documents and target in {one.entryUUID for one in self.made.folders}:
                self.problem("a folder holds documents only", at)
            if any((one.sourceObject, one.targetObject) == (owner, target) for one in self.made.associations):
                continue
            slots = () if only_documents else ORIGINAL_MEMBER
            if not only_documents and target not in inside:
                slots = ((SUBMISSION_SET_STATUS, (REFERENCE,)),)
            self.made.associations.append(Association(self.known.new_uuid(), HAS_MEMBER, owner, target, slots=slots))

    def _submission(self, n: int) -> None:
        resource, where = self.entries[n]["resource"], f"Bundle.entry[{n}].resource"
        whole = self.made.level != "Minimal"
        person = self._person(resource, where)
        source = _extension(resource, SOURCE_ID).get("valueIdentifier", {})
        source_id = str(source.get("value", "")).removeprefix(OID)
        if not code_system.is_oid(source_id):
            self.problem("extension ihe-sourceId with an OID is missing", f"{where}.extension")
        if resource.get("status") != "current":
            self.problem("status is current", f"{where}.status")
        if resource.get("mode") != "working":
            self.problem("mode is working", f"{where}.mode")
        if "date" not in resource:
            self.problem("date, the submission time, is missing", f"{where}.date")
        designation = _extension(resource, DESIGNATION).get("valueCodeableConcept")
        made = SubmissionSet(
            entryUUID=self.uuids[n],
            uniqueId=self._unique_id(resource, where),
            patientId=person.patientId if person else "",
            sourceId=source_id,
            submissionTime=self._time(resource["date"], f"{where}.date") if "date" in resource else "",
            contentTypeCode=self._code(designation, f"{where}.extension", whole),
            author=self._list_authors(resource, where),
            title=str(resource.get("title", "")),
            comments=" ".join(str(one.get("text", "")) for one in resource.get("note", ())),
            intendedRecipient=self._recipients(resource, where),
            limitedMetadata=not whole,
        )
        self.made.submission = made
        listed = [self._target(one.get("item", {})) for one in resource.get("entry", ())]
        self._members(made.entryUUID, resource, where, only_documents=False)
        for uuid in self.uuids.values():
            if uuid != made.entryUUID and uuid not in listed:
                self.problem(
                    "a document or folder of the Bundle that the SubmissionSet does not list", f"{where}.entry"
                )

    def _list_authors(self, resource: Mapping[str, Any], where: str) -> tuple[Author, ...]:
        source = resource.get("source")
        if not source:
            return ()
        organization = _extension(source, AUTHOR_ORGANIZATION).get("valueReference")
        found = [
            self._author(one, resource, f"{where}.source")
            for one in ([source] if source.get("reference") or source.get("display") else [])
        ]
        if organization:
            institution = self._author(organization, resource, f"{where}.source")
            first = found[0] if found else None
            if institution and first:
                found = [replace(first, institution=first.institution or institution.institution)]
            else:
                found = [institution]
        return tuple(one for one in found if one is not None)

    def _recipients(self, resource: Mapping[str, Any], where: str) -> tuple[str, ...]:
        found = []
        for one in resource.get("extension", ()):
            if _same(one.get("url"), RECIPIENT):
                author = self._author(one.get("valueReference", {}), resource, f"{where}.extension")
                contact = self._resolved(one.get("valueReference", {}), resource, f"{where}.extension", contained=False)
                if author is not None:
                    xon = author.institution[0] if author.institution else ""
                    found.append("|".join((xon, author.person, *author.telecommunication[:1])).rstrip("|"))
                elif contact is not None and contact.get("telecom"):
                    self.made.problems.pop()  # an address alone is a recipient
                    found.append(f"||{xds_people.xtn_of(contact['telecom'][0])}")
        return tuple(found)

    def _folder(self, n: int) -> None:
        resource, where = self.entries[n]["resource"], f"Bundle.entry[{n}].resource"
        person = self._person(resource, where)
        whole = self.made.level != "Minimal"
        codes = [
            self._code(one.get("valueCodeableConcept"), f"{where}.extension", True)
            for one in resource.get("extension", ())
            if _same(one.get("url"), DESIGNATION)
        ]
        if whole and not codes:
            self.problem("extension ihe-designationType is missing", f"{where}.extension")
        if whole and not resource.get("title"):
            self.problem("title is missing", f"{where}.title")
        made = Folder(
            entryUUID=self.uuids[n],
            uniqueId=self._unique_id(resource, where),
            patientId=person.patientId if person else "",
            codeList=tuple(codes),
            title=str(resource.get("title", "")),
            comments=" ".join(str(one.get("text", "")) for one in resource.get("note", ())),
            limitedMetadata=not whole,
        )
        self._members(made.entryUUID, resource, where, only_documents=True)
        self.made.folders.append(made)

    def _update(self, n: int) -> None:
        """UpdateDocumentRefs: says that a replaced document is superseded, which the replacement does by itself."""
        entry, where = self.entries[n], f"Bundle.entry[{n}]"
        url = str(entry.get("request", {}).get("url", "")).removeprefix(f"{self.known.base}/")
        target = entry_uuid(url.split("/")[1]) if url.startswith("DocumentReference/") else ""
        resource = entry["resource"]
        superseded = resource.get("status") == "superseded" or '"superseded"' in str(resource).replace("'", '"')
        if not target or not superseded or target not in self.replaced:
            self.problem("an update is allowed only of a document that this Bundle replaces, to superseded", where)
        self.made.places[n] = url

    # -- documents

    def _document(self, n: int) -> None:
        resource, where = self.entries[n]["resource"], f"Bundle.entry[{n}].resource"
        uuid = self.uuids[n]
        person = self._person(resource, where)
        contents = resource.get("content", ())
        if len(contents) != 1:
            self.problem("a DocumentReference has one content", f"{where}.content")
            return
        attachment, at = contents[0].get("attachment", {}), f"{where}.content[0].attachment"
        document = self._bytes(attachment, at)
        if document is not None:
            self.made.documents[uuid] = document
        self._checked(attachment, document, at)
        whole = self.made.level != "Minimal"
        entry = self._entry(resource, contents[0], where, whole)
        source = self._source_patient(resource, where, person)
        made = replace(
            entry,
            entryUUID=uuid,
            patientId=person.patientId if person else "",
            sourcePatientId=source[0],
            sourcePatientInfo=source[1],
            hash=hashlib.sha1(document or b"", usedforsecurity=False).hexdigest(),
            size=len(document or b""),
        )
        if any(one.uniqueId == made.uniqueId for one in self.made.entries) and made.uniqueId:
            self.problem(
                "two documents have one uniqueId",
                f"{where}.masterIdentifier",
                "XDSRepositoryDuplicateUniqueIdInMessage",
            )
        self.made.entries.append(made)
        self._relations(resource, uuid, where)

    def _entry(self, resource: Mapping[str, Any], content: Mapping[str, Any], where: str, whole: bool) -> DocumentEntry:
        """All that stands in the DocumentReference itself."""
        attachment, context = content.get("attachment", {}), resource.get("context", {})
        unique_id = unique_id_of(resource.get("masterIdentifier", {}))
        if not unique_id:
            self.problem(
                "masterIdentifier (an OID, a UUID, or OID and extension) is missing", f"{where}.masterIdentifier"
            )
        if resource.get("status") != "current":
            self.problem("a new DocumentReference has the status current", f"{where}.status")
        for name in ("docStatus", "modifierExtension"):
            if name in resource:
                self.problem(f"{name} has no place in the metadata of documents", f"{where}.{name}")
        if len(resource.get("category", ())) > 1:
            self.problem("one category", f"{where}.category")
        language, creation = attachment.get("language", ""), attachment.get("creation", "")
        for name, value in (("language", language), ("creation", creation)):
            if whole and not value:
                self.problem(f"{name} is missing", f"{where}.content[0].attachment")
        labels = resource.get("securityLabel", ())
        if whole and not labels:
            self.problem("securityLabel is missing", f"{where}.securityLabel")
        format_ = code_system.code_of(content["format"]) if "format" in content else None
        if format_ is None and (whole or "format" in content):
            self.problem("format, a code with its system, is missing", f"{where}.content[0].format")
        period = context.get("period", {})
        return DocumentEntry(
            entryUUID="",
            uniqueId=unique_id,
            patientId="",
            sourcePatientId="",
            mimeType=str(attachment.get("contentType", "")),
            classCode=self._code(next(iter(resource.get("category", ())), None), f"{where}.category", whole),
            typeCode=self._code(resource.get("type"), f"{where}.type", whole),
            formatCode=format_ or NOBODY,
            healthcareFacilityTypeCode=self._code(context.get("facilityType"), f"{where}.context.facilityType", whole),
            practiceSettingCode=self._code(context.get("practiceSetting"), f"{where}.context.practiceSetting", whole),
            confidentialityCode=tuple(self._code(one, f"{where}.securityLabel", True) for one in labels),
            creationTime=self._time(creation, f"{where}.content[0].attachment.creation") if creation else "",
            languageCode=str(language),
            repositoryUniqueId="",
            hash="",
            size=0,
            blob="",
            title=str(attachment.get("title", "")),
            serviceStartTime=self._time(period["start"], f"{where}.context.period") if "start" in period else "",
            serviceStopTime=self._time(period["end"], f"{where}.context.period") if "end" in period else "",
            author=tuple(
                found for k, one in enumerate(resource.get("author", ()))
                if (found := self._author(one, resource, f"{where}.author[{k}]"))
            ),
            eventCodeList=tuple(self._code(one, f"{where}.context.event", True) for one in context.get("event", ())),
            comments=str(resource.get("description", "")),
            legalAuthenticator=self._authenticator(resource, where),
            referenceIdList=self._references(context, resource, where),
            limitedMetadata=not whole,
        )  # fmt: skip

    def _authenticator(self, resource: Mapping[str, Any], where: str) -> str:
        if "authenticator" not in resource:
            return ""
        author = self._author(resource["authenticator"], resource, f"{where}.authenticator")
        return author.person if author is not None else ""

    def _references(self, context: Mapping[str, Any], resource: Mapping[str, Any], where: str) -> tuple[str, ...]:
        """referenceIdList (CXi) of context.encounter and context.related: the business identifiers of what they name."""
        found: list[str] = []
        for name in ("encounter", "related"):
            for k, one in enumerate(context.get(name, ())):
                identifier = one.get("identifier") or {}
                if not identifier and (n := self._at(str(one.get("reference", "")))) is not None:
                    identifier = next(iter(self.entries[n]["resource"].get("identifier", ())), {})
                cxi = _cxi(identifier, ENCOUNTER if name == "encounter" else "")
                if cxi:
                    found.append(cxi)
                else:
                    text = "a reference without an identifier that XDS could hold was left out"
                    self.made.warnings.append(Problem("XDSExtraMetadataNotSaved", text, f"{where}.context.{name}[{k}]"))
        return tuple(dict.fromkeys(found))

    def _source_patient(
        self, resource: Mapping[str, Any], where: str, person: Person | None
    ) -> tuple[str, tuple[str, ...]]:
        """(sourcePatientId, sourcePatientInfo). Where the Patient the source sends has no number under an OID, the id is
        the one its subject was known by."""
        reference = resource.get("context", {}).get("sourcePatientInfo")
        known = person.sourcePatientId if person else ""
        if not reference:
            if self.made.level == "Comprehensive":
                self.problem("context.sourcePatientInfo is missing", f"{where}.context.sourcePatientInfo")
            return known, ()
        patient = self._resolved(reference, resource, f"{where}.context.sourcePatientInfo", contained=True)
        if patient is None:
            return known, ()
        own = xds_people.source_cx({"identifier": [reference["identifier"]]} if "identifier" in reference else patient)
        try:
            id_ = own or PatientId.parse(known)
        except ValueError:
            return known, xds_people.source_patient_info(None, patient)
        return str(id_), xds_people.source_patient_info(id_, patient)

    def _bytes(self, attachment: Mapping[str, Any], where: str) -> bytes | None:
        """The document: a Binary of the Bundle, or a FHIR document Bundle in it (FHIR Document Publish Option)."""
        url, type_ = str(attachment.get("url", "")), str(attachment.get("contentType", ""))
        if not type_:
            self.problem("contentType is missing", f"{where}.contentType")
        if "data" in attachment:
            self.problem("data has no place here; send the document as a Binary", f"{where}.data")
        n = self._at(url) if url else None
        if n is None:
            # What is hosted elsewhere would have to be fetched, and no address in a message is ever called.
            self.problem("url names no Binary of this Bundle", f"{where}.url", "XDSMissingDocument")
            return None
        self.made.places[n] = f"Binary/{self._owner_of(url)}"
        resource = self.entries[n].get("resource", {})
        if resource.get("resourceType") == "Bundle":
            return self._fhir_document(dict(resource), type_, f"Bundle.entry[{n}].resource")
        if resource.get("resourceType") != "Binary":
            self.problem("url names a resource that is no document", f"{where}.url", "XDSMissingDocument")
            return None
        if type_ and _media(str(resource.get("contentType", ""))) != _media(type_):
            self.problem("contentType of the Binary is another than that of the attachment", f"{where}.contentType")
        return self._decoded(str(resource.get("data", "")), f"Bundle.entry[{n}].resource.data")

    def _owner_of(self, url: str) -> str:
        """The id under which the document is retrieved: that of the first DocumentReference that names it."""
        for n, uuid in self.uuids.items():
            contents = self.entries[n]["resource"].get("content", ())
            if any(one.get("attachment", {}).get("url") == url for one in contents):
                return uuid.removeprefix(UUID)
        return ""

    def _fhir_document(self, bundle: dict[str, Any], type_: str, where: str) -> bytes | None:
        if bundle.get("type") != "document":
            self.problem("a Bundle inside the Bundle is of type document", f"{where}.type", "XDSMissingDocument")
            return None
        if _media(type_) in ("application/fhir+xml", "application/xml"):
            return self.known.render_xml(bundle)
        if _media(type_) in ("application/fhir+json", "application/json"):
            return self.known.render_json(bundle)
        self.problem("a FHIR document is application/fhir+json or application/fhir+xml", where)
        return None

    def _decoded(self, data: str, where: str) -> bytes | None:
        try:
            return b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            self.problem("data is not base64", where)
            return None

    def _checked(self, attachment: Mapping[str, Any], document: bytes | None, where: str) -> None:
        """hash and size, where the source says them, are those of the bytes."""
        if document is None:
            return
        digest = hashlib.sha1(document, usedforsecurity=False).digest()
        if "hash" in attachment and str(attachment["hash"]) and not _same_hash(str(attachment["hash"]), digest):
            self.problem("hash is not the SHA-1 of the document", f"{where}.hash")
        if "size" in attachment and attachment["size"] != len(document):
            self.problem("size is not that of the document", f"{where}.size")

    def _relations(self, resource: Mapping[str, Any], uuid: str, where: str) -> None:
        for k, one in enumerate(resource.get("relatesTo", ())):
            at = f"{where}.relatesTo[{k}]"
            kind = ASSOCIATIONS.get(str(one.get("code")))
            target = self._target(one.get("target", {}))
            if kind is None:
                self.problem("code is replaces, transforms, appends or signs", f"{at}.code")
            elif not target:
                self.problem("target is no document known here", f"{at}.target", "UnresolvedReferenceException")
            else:
                self.made.associations.append(Association(self.known.new_uuid(), kind, uuid, target))
                if kind == RPLC:
                    self.replaced.add(target)


# -- small parts -----------------------------------------------------------------------------------------------------


def _list_type(resource: Mapping[str, Any]) -> str:
    """LENIENT: a code without its system, and the http form of it, are taken too."""
    for one in resource.get("code", {}).get("coding", ()):
        system = str(one.get("system", "")).replace("http://", "https://")
        if system in ("", LIST_TYPES) and one.get("code") in (SUBMISSION, FOLDER):
            return str(one["code"])
    return ""


def _extension(owner: Mapping[str, Any], url: str) -> Json:
    return next((one for one in owner.get("extension", ()) if _same(one.get("url"), url)), {})


def _same(url: Any, wanted: str) -> bool:
    return str(url).replace("http://", "https://", 1) == wanted


def _media(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _same_hash(given: str, digest: bytes) -> bool:
    """LENIENT: base64 of the hex digits, as IHE's own examples have it, beside base64 of the bytes."""
    try:
        found = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    return found == digest or found.lower() == digest.hex().encode("ascii")


def _cxi(identifier: Mapping[str, Any], kind: str) -> str:
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    type_ = kind or str(identifier.get("type", {}).get("text", ""))
    if not value or "^" in value:
        return ""
    oid = system.removeprefix(OID)
    authority = f"&{oid}&ISO" if system.startswith(OID) and code_system.is_oid(oid) else ""
    made = f"{xds_people.hl7(value)}^^^{authority}^{type_}".rstrip("^")
    return made if len(made) <= MAX_VALUE else ""
