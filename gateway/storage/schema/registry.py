"""XDS registry and repository."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, text

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

registry_object = Table(
    "registry_object",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("entryUUID", Text, nullable=False, unique=True),
    text_column("lid"),  # logicalID; '' in a first version, whose logicalID is its entryUUID
    int_column("version", default=1),
    Column("uniqueId", Text, nullable=False),
    Column("objectType", Text, nullable=False),  # stable or on-demand document, or class node of SubmissionSet or Folder
    text_column("status"),  # urn:oasis:names:tc:ebxml-regrep:StatusType:...
    text_column("availability"),  # documentAvailability; '' is online
    text_column("eid"),
    text_column("patient"),  # logical id of the Patient
    text_column("facility"),
    text_column("key"),  # source_file.key; '' for what was submitted
    text_column("source"),  # SHA-256 of the source file: with key, the versions this object stands for
    text_column("kind"),  # bundle | original | set of a file; '' for what was submitted
    text_column("time"),  # creationTime, submissionTime or lastUpdateTime
    text_column("title"),
    text_column("repositoryUniqueId"),  # from here on, of documents only
    text_column("mimeType"),
    text_column("classCode"),
    text_column("classCodeScheme"),
    text_column("typeCode"),
    text_column("typeCodeScheme"),
    text_column("formatCode"),
    text_column("formatCodeScheme"),
    text_column("practiceSettingCode"),
    text_column("practiceSettingCodeScheme"),
    text_column("healthcareFacilityTypeCode"),
    text_column("healthcareFacilityTypeCodeScheme"),
    text_column("serviceStartTime"),
    text_column("serviceStopTime"),
    text_column("hash"),
    int_column("size"),
    text_column("blob"),  # SHA-256; '' when the bytes are not here
    Column("xml", LargeBinary, nullable=False),  # codec/ebxml.py, with its marks for home, patient, status and time
    Index(None, "uniqueId"),
    Index(None, "eid", "objectType", "status", "time"),
    Index("ix_registry_object_lid", "lid", sqlite_where=text("lid <> ''"), postgresql_where=text("lid <> ''")),
    Index("ix_registry_object_key", "key", sqlite_where=text("key <> ''"), postgresql_where=text("key <> ''")),
    Index("ix_registry_object_blob", "blob", sqlite_where=text("key = '' AND blob <> ''"),
          postgresql_where=text("key = '' AND blob <> ''")),
)  # fmt: skip
"""One row a version of a DocumentEntry, SubmissionSet or Folder."""

registry_code = Table(
    "registry_code",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    # documents: confidentialityCode | eventCodeList | authorPerson | referenceIdList
    # SubmissionSets: contentTypeCode | sourceId | authorPerson; Folders: codeList
    Column("attribute", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""The attributes that may have several values; a query comes here from its patient's objects."""

association = Table(
    "association",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("entryUUID", Text, nullable=False, unique=True),
    text_column("lid"),
    int_column("version", default=1),
    Column("type", Text, nullable=False),  # urn:ihe:iti:2007:AssociationType:...
    text_column("status"),
    int_column("source"),  # registry_object.n
    int_column("target", default=None),  # registry_object.n; NULL when it is an association
    int_column("target_association", default=None),  # association.n
    text_column("label"),  # SubmissionSetStatus: Original | Reference
    Column("extra", Text),  # JSON {"documentation": [code, scheme, display], "slots": [[name, [value]]]}; NULL for none
    Index(None, "source"),
    Index(None, "target"),
    Index("ix_association_target_association", "target_association",
          sqlite_where=text("target_association IS NOT NULL"),
          postgresql_where=text("target_association IS NOT NULL")),
    Index("ix_association_lid", "lid", sqlite_where=text("lid <> ''"), postgresql_where=text("lid <> ''")),
)  # fmt: skip
"""Visible to who sees both its ends; its person is theirs."""

submission = Table(
    "submission",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 over what was submitted
    Column("recorded", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What was answered with Success: the same message again is answered so again and stored once."""

blob = Table(
    "blob",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    int_column("size"),
    Column("content", LargeBinary),  # zlib; NULL when the bytes are a file of the blob directory
    int_column("ingested", default=1),  # 0: known by submissions only, and gone when the last of their entries is
)
