"""What one submission has to be by itself, before the registry is asked (ITI TF-3: 4.2.3, 4.2.1.4). Pure.

Every function raises MetadataError or one of its kinds; their texts name attributes and never repeat a value that may
be about a person.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from gateway.codec.ebxml_objects import NO_SIZE
from gateway.codec.ebxml_parts import MAX_VALUE
from gateway.codec.ebxml_submit import Metadata
from gateway.errors import DuplicateInMessage, MetadataError
from gateway.model.code import Code
from gateway.model.document import (
    HAS_MEMBER,
    OFFLINE,
    ON_DEMAND,
    ONLINE,
    RELATIONSHIPS,
    STABLE,
    SUBMIT_ASSOCIATION,
    UPDATE_STATUS,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from gateway.model.identity import PatientId
from gateway.translate.times import fhir_datetime

_ARCS = r"[0-2](?:\.(?:0|[1-9][0-9]*))+"
_OID = re.compile(_ARCS, re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_DOCUMENT_ID = re.compile(rf"(?:urn:oid:)?{_ARCS}(?:\^[^\^\s/\\]{{1,16}})?", re.ASCII)
_SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)
_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)
_DTM = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}", re.ASCII)
_PATIENT = re.compile(r"[^\^]+\^{3}&[0-9.]+&ISO", re.ASCII)
"""The one form that patientId has (ITI TF-3: table 4.2.3.1.7-2, CX)."""
_INFO = re.compile(r"PID-[0-9]{1,2}\|", re.ASCII)

MAX_OID: Final = 64
MAX_DOCUMENT_ID: Final = 128
MAX_TITLE: Final = 128
_MOST_SAID: Final = 10
"""Wrong things that one refusal names."""

_CODES: Final = ("classCode", "typeCode", "formatCode", "healthcareFacilityTypeCode", "practiceSettingCode")


def is_entry_uuid(id_: str) -> bool:
    return _UUID.fullmatch(id_) is not None


def check_submission(metadata: Metadata, *, object_type: str = STABLE, hashed: bool = True) -> SubmissionSet:
    """The one SubmissionSet of a sound submission. `object_type`: what its entries have to be, STABLE or ON_DEMAND;
    `hashed`: hash, size and repositoryUniqueId have to be there, which a repository would fill in (ITI-41)."""
    if len(metadata.submissionSets) != 1:
        raise MetadataError(f"{len(metadata.submissionSets)} SubmissionSets where there has to be one")
    if any(entry.objectType != object_type for entry in metadata.documents):
        raise MetadataError("a DocumentEntry whose objectType is not what this transaction takes")
    check_objects(metadata, hashed=hashed)
    check_members(metadata)
    return metadata.submissionSets[0]


def check_objects(metadata: Metadata, *, hashed: bool) -> None:
    """Each object by itself; who has several wrong is told of all of them at once."""
    checks: list[Callable[[], None]] = [partial(check_document, one, hashed=hashed) for one in metadata.documents]
    checks += [partial(check_folder, one) for one in metadata.folders]
    checks += [partial(check_set, one) for one in metadata.submissionSets]
    wrong: dict[str, None] = {}
    for check in checks:
        try:
            check()
        except MetadataError as error:
            wrong[str(error)] = None
        if len(wrong) == _MOST_SAID:
            break
    if wrong:
        raise MetadataError("; ".join(wrong))


def check_document(entry: DocumentEntry, *, hashed: bool) -> None:
    """ITI TF-3: table 4.2.3.2-1."""
    _required("DocumentEntry", uniqueId=entry.uniqueId, mimeType=entry.mimeType, patientId=entry.patientId)
    if not _DOCUMENT_ID.fullmatch(entry.uniqueId) and not is_entry_uuid(entry.uniqueId):
        raise MetadataError("DocumentEntry.uniqueId is neither an OID, an OID^extension nor a UUID")
    if len(entry.uniqueId) > MAX_DOCUMENT_ID:
        raise MetadataError(f"DocumentEntry.uniqueId is longer than {MAX_DOCUMENT_ID} characters")
    if not _MIME.fullmatch(entry.mimeType):
        raise MetadataError("DocumentEntry.mimeType is no media type")
    if not entry.limitedMetadata:
        _required(
            "DocumentEntry",
            creationTime=entry.creationTime or (entry.objectType == ON_DEMAND and "-") or "",
            languageCode=entry.languageCode,
            sourcePatientId=entry.sourcePatientId,
            confidentialityCode=entry.confidentialityCode,
            **{name: getattr(entry, name).code for name in _CODES},
        )
    if entry.languageCode and not _LANGUAGE.fullmatch(entry.languageCode):
        raise MetadataError("DocumentEntry.languageCode is no language tag")
    if entry.sourcePatientId:
        _cx("sourcePatientId", entry.sourcePatientId)
    if not all(_INFO.match(value) for value in entry.sourcePatientInfo):
        raise MetadataError("a value of DocumentEntry.sourcePatientInfo does not begin with PID-n|")
    for name in ("creationTime", "serviceStartTime", "serviceStopTime"):
        _dtm(f"DocumentEntry.{name}", getattr(entry, name))
    if entry.documentAvailability not in ("", ONLINE, OFFLINE):
        raise MetadataError("DocumentEntry.documentAvailability is neither Online nor Offline")
    _check_bytes(entry, hashed=hashed and entry.objectType == STABLE)
    _common(entry, entry.author)


def _check_bytes(entry: DocumentEntry, *, hashed: bool) -> None:
    if entry.hash and not _SHA1.fullmatch(entry.hash):
        raise MetadataError("DocumentEntry.hash is not the hexadecimal form of a SHA-1")
    if entry.repositoryUniqueId:
        _oid("DocumentEntry.repositoryUniqueId", entry.repositoryUniqueId)
    if hashed:
        _required(
            "DocumentEntry",
            hash=entry.hash,
            size="" if entry.size == NO_SIZE else "there",
            repositoryUniqueId=entry.repositoryUniqueId,
        )
    elif entry.objectType == ON_DEMAND:
        _required("DocumentEntry", repositoryUniqueId=entry.repositoryUniqueId)
        if entry.hash or entry.size > 0:
            raise MetadataError("an on-demand DocumentEntry has neither hash nor size")


def check_set(made: SubmissionSet) -> None:
    """ITI TF-3: table 4.2.3.3-1."""
    _required("SubmissionSet", uniqueId=made.uniqueId, patientId=made.patientId, sourceId=made.sourceId)
    if not made.limitedMetadata:
        _required("SubmissionSet", submissionTime=made.submissionTime, contentTypeCode=made.contentTypeCode.code)
    _package_id("SubmissionSet.uniqueId", made.uniqueId)
    _package_id("SubmissionSet.sourceId", made.sourceId)
    _dtm("SubmissionSet.submissionTime", made.submissionTime)
    if made.homeCommunityId:
        _oid("SubmissionSet.homeCommunityId", made.homeCommunityId.removeprefix("urn:oid:"))
    _common(made, made.author)


def check_folder(made: Folder) -> None:
    """ITI TF-3: table 4.2.3.4-1. lastUpdateTime is the registry's to say, so what came is passed over."""
    _required("Folder", uniqueId=made.uniqueId, patientId=made.patientId)
    if not made.limitedMetadata:
        _required("Folder", codeList=made.codeList)
    _package_id("Folder.uniqueId", made.uniqueId)
    _common(made, ())


def _common(made: RegistryObject, authors: Iterable[Author]) -> None:
    kind = type(made).__name__
    if not _PATIENT.fullmatch(made.patientId):
        raise MetadataError(f"{kind}.patientId is not id^^^&OID&ISO and nothing else")
    _cx(f"{kind}.patientId", made.patientId)
    if len(made.title) > MAX_TITLE:
        raise MetadataError(f"{kind}.title is longer than {MAX_TITLE} characters")
    for author in authors:
        for value in (author.person, *author.institution, *author.role, *author.specialty, *author.telecommunication):
            if len(value) > MAX_VALUE:
                raise MetadataError(f"{kind}.author has a value longer than {MAX_VALUE} characters")


def _check_associations(metadata: Metadata) -> None:
    (submission_set,) = metadata.submissionSets
    documents = {entry.entryUUID for entry in metadata.documents}
    folders = {folder.entryUUID for folder in metadata.folders}
    ours = {submission_set.entryUUID, *documents, *folders}
    seen: set[tuple[str, str, str]] = set()
    members: set[str] = set()
    for one in metadata.associations:
        if one.associationType not in (HAS_MEMBER, *RELATIONSHIPS, UPDATE_STATUS, SUBMIT_ASSOCIATION):
            raise MetadataError("an Association of an unknown type")
        if not one.sourceObject or not one.targetObject:
            raise MetadataError("an Association without sourceObject or targetObject")
        if one.sourceObject == one.targetObject:
            raise MetadataError("an Association of an object with itself")
        key = (one.associationType, one.sourceObject, one.targetObject)
        if key in seen:
            raise MetadataError("one Association stands twice")
        seen.add(key)
        if one.sourceObject == submission_set.entryUUID:
            members.add(one.targetObject)
        elif one.associationType in RELATIONSHIPS and one.sourceObject in ours - documents:
            raise MetadataError("a relationship of documents whose source is none")
        elif one.associationType == HAS_MEMBER and one.sourceObject in documents:
            raise MetadataError("HasMember has a DocumentEntry as its source")
    if left := len((documents | folders) - members):
        raise MetadataError(f"{left} objects are no members of the SubmissionSet")


def check_members(metadata: Metadata) -> None:
    """Associations and ids of a submission, whatever it is for."""
    _check_associations(metadata)
    _check_ids(metadata)


def _check_ids(metadata: Metadata) -> None:
    """An id and a uniqueId stand for one object each (ITI TF-3: 4.2.3.2.26)."""
    objects: list[RegistryObject] = [*metadata.submissionSets, *metadata.documents, *metadata.folders]
    ids = [one.entryUUID for one in (*objects, *metadata.associations) if one.entryUUID]
    if not all(one.entryUUID for one in objects):
        raise MetadataError("an object without an id")
    if len(set(ids)) != len(ids):
        raise MetadataError("two objects of the submission have one id")
    unique_ids = [one.uniqueId for one in objects]
    if len(set(unique_ids)) != len(unique_ids):
        raise DuplicateInMessage("two objects of the submission have one uniqueId")


def _required(kind: str, **attributes: str | tuple[Code, ...]) -> None:
    if missing := [f"{kind}.{name}" for name, value in attributes.items() if not value]:
        raise MetadataError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")


def _cx(name: str, value: str) -> None:
    try:
        patient = PatientId.parse(value)
    except ValueError as error:
        raise MetadataError(f"{name}: {error}") from None
    _oid(f"the authority of {name}", patient.authority)


def _oid(name: str, value: str) -> None:
    if len(value) > MAX_OID or not _OID.fullmatch(value):
        raise MetadataError(f"{name} is no OID of at most {MAX_OID} characters")


def _package_id(name: str, value: str) -> None:
    """LENIENT: a UUID and `urn:oid:` are read too; senders whose home is FHIR have them."""
    if not is_entry_uuid(value):
        _oid(name, value.removeprefix("urn:oid:"))


def _dtm(name: str, value: str) -> None:
    if value and (not _DTM.fullmatch(value) or fhir_datetime(value) is None):
        raise MetadataError(f"{name} is not a time YYYY[MM[DD[hh[mm[ss]]]]]")
