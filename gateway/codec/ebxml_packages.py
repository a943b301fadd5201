"""SubmissionSet and Folder as rim:RegistryPackage (ITI TF-3: 4.2.3.3, 4.2.3.4), with the marks of codec/ebxml_parts.py."""

from typing import Final

from gateway.codec.ebxml import render_extrinsic
from gateway.codec.ebxml_parts import (
    HOME_MARK,
    OBJECT,
    PATIENT_MARK,
    STATUS_MARK,
    TIME_MARK,
    author_node,
    child_ids,
    class_node,
    classification,
    identifier,
    named,
    single,
    slot,
)
from gateway.codec.xml import escape
from gateway.model.document import FOLDER, SUBMISSION_SET, DocumentEntry, Folder, RegistryObject, SubmissionSet

SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
CONTENT_TYPE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SET_PATIENT: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
SET_SOURCE: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
CODE_LIST: Final = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"
FOLDER_PATIENT: Final = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
FOLDER_UNIQUE_ID: Final = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"
LIMITED_SET: Final = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"
LIMITED_FOLDER: Final = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03"


def render_object(made: RegistryObject) -> bytes:
    """Any registry object but an association. Raises ValueError as `render_extrinsic` does."""
    if isinstance(made, DocumentEntry):
        return render_extrinsic(made)
    return render_submission_set(made) if isinstance(made, SubmissionSet) else render_folder(made)


def render_submission_set(made: SubmissionSet) -> bytes:
    child = child_ids(made.entryUUID)
    owner = escape(made.entryUUID)
    parts = [_head(made)]
    for name, values in (
        ("submissionTime", single(made.submissionTime)),
        ("intendedRecipient", made.intendedRecipient),
        ("homeCommunityId", single(made.homeCommunityId)),
        *made.extra,
    ):
        if values:
            parts.append(slot(name, values))
    parts += _texts(made)
    for author in made.author:
        parts.append(author_node(SET_AUTHOR, author, owner, child(len(parts))))
    if made.contentTypeCode.code or not made.limitedMetadata:
        parts.append(classification(CONTENT_TYPE, made.contentTypeCode, owner, child(len(parts))))
    parts.append(class_node(SUBMISSION_SET, owner, child(len(parts))))
    if made.limitedMetadata:
        parts.append(class_node(LIMITED_SET, owner, child(len(parts))))
    for scheme, name, value in (
        (SET_PATIENT, "patientId", PATIENT_MARK),
        (SET_UNIQUE_ID, "uniqueId", escape(made.uniqueId)),
        (SET_SOURCE, "sourceId", escape(made.sourceId)),
    ):
        parts.append(identifier(scheme, f"XDSSubmissionSet.{name}", value, owner, child(len(parts))))
    return _closed(parts)


def render_folder(made: Folder) -> bytes:
    """lastUpdateTime is a mark too: a Folder changes whenever a document comes into it."""
    child = child_ids(made.entryUUID)
    owner = escape(made.entryUUID)
    parts = [_head(made), slot("lastUpdateTime", ("",)).replace("<rim:Value>", f"<rim:Value>{TIME_MARK}")]
    parts += [slot(name, values) for name, values in made.extra if values]
    parts += _texts(made)
    for code in made.codeList:
        parts.append(classification(CODE_LIST, code, owner, child(len(parts))))
    parts.append(class_node(FOLDER, owner, child(len(parts))))
    if made.limitedMetadata:
        parts.append(class_node(LIMITED_FOLDER, owner, child(len(parts))))
    for scheme, name, value in (
        (FOLDER_PATIENT, "patientId", PATIENT_MARK),
        (FOLDER_UNIQUE_ID, "uniqueId", escape(made.uniqueId)),
    ):
        parts.append(identifier(scheme, f"XDSFolder.{name}", value, owner, child(len(parts))))
    return _closed(parts)


def _head(made: SubmissionSet | Folder) -> str:
    owner = escape(made.entryUUID)
    return (
        f'<rim:RegistryPackage id="{owner}"{HOME_MARK} lid="{escape(made.logicalID) or owner}"'
        f' objectType="{OBJECT}RegistryPackage" status="{STATUS_MARK}">'
    )


def _texts(made: SubmissionSet | Folder) -> list[str]:
    return [
        named("Name", made.title),
        named("Description", made.comments),
        f'<rim:VersionInfo versionName="{made.version}"/>',
    ]


def _closed(parts: list[str]) -> bytes:
    return "".join((*parts, "</rim:RegistryPackage>")).encode()
