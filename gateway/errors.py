"""The vocabulary of failure, and the one table of wire codes per protocol.

Inside the gateway a failure says what is wrong in the domain's words and knows no protocol. Each edge (HTTP,
SOAP, MLLP, command line) translates it once, with `codes_for`. No message text carries patient data: ids, names
and values stay out of it.

    GatewayError
    |-- BadInput                 the bytes we were given are not what they claim to be
    |   |-- LimitExceeded        well-formed perhaps, but larger than we read
    |   |-- SourceChanged        a file is no longer what it was when it was read
    |-- UnknownPatient
    |   |-- UnknownAuthority     an id's assigning authority, or an asked domain, is none of ours
    |-- UnknownDocument
    |-- UnknownResource
    |   |-- DeletedResource
    |-- UnknownCommunity
    |-- UnknownRepository
    |-- MissingHomeCommunity
    |-- MissingParameter
    |-- ParameterNumber          one value too many or too few
    |-- UnknownQuery
    |-- InvalidParameter
    |-- TooManyResults
    |-- NotSinglePatient
    |-- MetadataError            what was submitted is not as the standard has it
    |   |-- DuplicateInMessage   one uniqueId twice in one submission
    |   |-- MissingDocument      an entry without its document
    |   |-- MissingDocumentMetadata   a document without its entry
    |-- PatientMismatch          objects of one submission, or ends of an association, are of two persons
    |-- DuplicateUniqueId        of a SubmissionSet or Folder that is registered already
    |-- NonIdenticalHash         a known document uniqueId with other bytes
    |   |-- NonIdenticalSize
    |-- DeprecatedObject         an association onto what was replaced
    |-- UnresolvedReference      an id nobody has
    |-- ReferencesExist          something that stays refers to what is to be removed
    |-- UnreferencedObject       removal would leave something without what it belongs to
    |-- UpdateError              a metadata update that is not one
    |   |-- UpdateOperation      of a kind that is not done here
    |   |-- UpdateVersion        PreviousVersion is not the latest
    |   |-- UpdatePatient        it would move an object to another person
    |   |-- UnmodifiableMetadata a restricted update of what may not change
    |   |-- UpdateIdentifier     a logicalID nobody has
    |   |-- UpdateObjectType     of something that cannot be updated so
    |   |-- UpdateAnnotation     HasMember does not say what it has to
    |   |-- UpdateRequest        what was sent is no update
    |-- RemoveDocuments          a document that cannot be removed
    |-- Unauthenticated          who asks is not known
    |-- Forbidden                policy says no
    |   |-- UnknownNode          the system at the other end is none of ours
    |-- TooManyRequests          one caller asks for more than its share
    |-- Conflict                 somebody else changed it first
    |-- Unavailable              a part we need is not reachable
    |-- ConfigurationError       the operator has to change something
    |-- DamagedContent           stored bytes no longer match their hash
"""

from typing import NamedTuple


class GatewayError(Exception):
    """Base of all failures of ours. The text is for people and holds no patient data."""


class BadInput(GatewayError): ...


class LimitExceeded(BadInput): ...


class SourceChanged(BadInput): ...


class UnknownPatient(GatewayError):
    """`at`: which id of the request is meant, counted from 0 over ids and then prior ids; -1: the only one."""

    def __init__(self, text: str = "", at: int = -1) -> None:
        super().__init__(text)
        self.at = at


class UnknownAuthority(UnknownPatient):
    """The authority of id `at` is not known here or, with `bad`, those of the asked domains (positions from 0)."""

    def __init__(self, text: str = "", at: int = -1, bad: tuple[int, ...] = ()) -> None:
        super().__init__(text, at)
        self.bad = bad


class UnknownDocument(GatewayError): ...


class UnknownResource(GatewayError): ...


class DeletedResource(UnknownResource): ...


class UnknownCommunity(GatewayError): ...


class UnknownRepository(GatewayError): ...


class MissingHomeCommunity(GatewayError): ...


class MissingParameter(GatewayError): ...


class ParameterNumber(GatewayError): ...


class UnknownQuery(GatewayError): ...


class InvalidParameter(GatewayError): ...


class TooManyResults(GatewayError): ...


class NotSinglePatient(GatewayError): ...


class MetadataError(GatewayError): ...


class DuplicateInMessage(MetadataError): ...


class MissingDocument(MetadataError): ...


class MissingDocumentMetadata(MetadataError): ...


class PatientMismatch(GatewayError): ...


class DuplicateUniqueId(GatewayError): ...


class NonIdenticalHash(GatewayError): ...


class NonIdenticalSize(NonIdenticalHash): ...


class DeprecatedObject(GatewayError): ...


class UnresolvedReference(GatewayError): ...


class ReferencesExist(GatewayError): ...


class UnreferencedObject(GatewayError): ...


class UpdateError(GatewayError): ...


class UpdateOperation(UpdateError): ...


class UpdateVersion(UpdateError): ...


class UpdatePatient(UpdateError): ...


class UnmodifiableMetadata(UpdateError): ...


class UpdateIdentifier(UpdateError): ...


class UpdateObjectType(UpdateError): ...


class UpdateAnnotation(UpdateError): ...


class UpdateRequest(UpdateError): ...


class RemoveDocuments(GatewayError): ...


class Unauthenticated(GatewayError):
    """`error` is the word of RFC 6750 3.1, empty when no token came at all; `detail` is for the audit trail only."""

    def __init__(self, text: str, error: str = "", detail: str = "") -> None:
        super().__init__(text)
        self.error = error
        self.detail = detail


DENIED = "policy does not permit this"
"""All that a caller hears of why not; also how a node of ours knows it from another's answer, for XDS has no code for it."""


class Forbidden(GatewayError):
    """`reason`: which rule said no; for the audit trail, the caller hears the text alone."""

    def __init__(self, text: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Conflict(GatewayError): ...


class UnknownNode(Forbidden): ...


class TooManyRequests(GatewayError):
    """`retry_after_s`: when asking again makes sense."""

    def __init__(self, text: str, retry_after_s: int = 1) -> None:
        super().__init__(text)
        self.retry_after_s = max(1, retry_after_s)


class Unavailable(GatewayError): ...


class ConfigurationError(GatewayError): ...


class DamagedContent(GatewayError): ...


class WireCodes(NamedTuple):
    """What one failure is called on each wire."""

    msa1: str  # HL7 v2 table 0008
    err3: str  # HL7 v2 table 0357
    xds: str  # ITI TF-3 table 4.2.4.1-2
    http: int
    fhir: str  # http://hl7.org/fhir/issue-type
    exit: int  # exit code of the command line (docs/commands.md)


ERRORS: dict[type[GatewayError], WireCodes] = {
    BadInput: WireCodes("AE", "102", "XDSRegistryMetadataError", 400, "invalid", 1),
    LimitExceeded: WireCodes("AR", "102", "XDSRegistryOutOfResources", 413, "too-long", 1),
    SourceChanged: WireCodes("AE", "207", "XDSRepositoryError", 500, "conflict", 1),
    UnknownPatient: WireCodes("AE", "204", "XDSUnknownPatientId", 404, "not-found", 1),
    UnknownAuthority: WireCodes("AE", "204", "XDSUnknownPatientId", 400, "code-invalid", 1),
    UnknownDocument: WireCodes("AE", "204", "XDSDocumentUniqueIdError", 404, "not-found", 1),
    UnknownResource: WireCodes("AE", "204", "XDSRegistryError", 404, "not-found", 1),
    DeletedResource: WireCodes("AE", "204", "XDSRegistryError", 410, "deleted", 1),
    UnknownCommunity: WireCodes("AE", "204", "XDSUnknownCommunity", 404, "not-found", 1),
    UnknownRepository: WireCodes("AE", "204", "XDSUnknownRepositoryId", 404, "not-found", 1),
    MissingHomeCommunity: WireCodes("AE", "101", "XDSMissingHomeCommunityId", 400, "required", 2),
    MissingParameter: WireCodes("AE", "101", "XDSStoredQueryMissingParam", 400, "required", 2),
    ParameterNumber: WireCodes("AE", "101", "XDSStoredQueryParamNumber", 400, "invalid", 2),
    UnknownQuery: WireCodes("AE", "103", "XDSUnknownStoredQuery", 400, "not-supported", 2),
    InvalidParameter: WireCodes("AE", "102", "XDSRegistryError", 400, "invalid", 2),
    TooManyResults: WireCodes("AE", "207", "XDSTooManyResults", 400, "too-costly", 1),
    NotSinglePatient: WireCodes("AE", "207", "XDSResultNotSinglePatient", 400, "business-rule", 1),
    MetadataError: WireCodes("AE", "102", "XDSRegistryMetadataError", 400, "invalid", 1),
    DuplicateInMessage: WireCodes("AE", "102", "XDSRegistryDuplicateUniqueIdInMessage", 400, "duplicate", 1),
    MissingDocument: WireCodes("AE", "101", "XDSMissingDocument", 400, "required", 1),
    MissingDocumentMetadata: WireCodes("AE", "101", "XDSMissingDocumentMetadata", 400, "required", 1),
    PatientMismatch: WireCodes("AE", "207", "XDSPatientIdDoesNotMatch", 422, "business-rule", 1),
    DuplicateUniqueId: WireCodes("AE", "205", "XDSDuplicateUniqueIdInRegistry", 409, "duplicate", 1),
    NonIdenticalHash: WireCodes("AE", "205", "XDSNonIdenticalHash", 409, "conflict", 1),
    NonIdenticalSize: WireCodes("AE", "205", "XDSNonIdenticalSize", 409, "conflict", 1),
    DeprecatedObject: WireCodes("AE", "207", "XDSRegistryDeprecatedDocumentError", 409, "conflict", 1),
    UnresolvedReference: WireCodes("AE", "204", "UnresolvedReferenceException", 404, "not-found", 1),
    ReferencesExist: WireCodes("AE", "207", "ReferencesExistException", 409, "conflict", 1),
    UnreferencedObject: WireCodes("AE", "207", "XDSUnreferencedObjectException", 409, "conflict", 1),
    UpdateError: WireCodes("AE", "207", "XDSMetadataUpdateError", 422, "business-rule", 1),
    UpdateOperation: WireCodes("AE", "207", "XDSMetadataUpdateOperationError", 422, "not-supported", 1),
    UpdateVersion: WireCodes("AE", "207", "XDSMetadataVersionError", 409, "conflict", 1),
    UpdatePatient: WireCodes("AE", "207", "XDSPatientIDReconciliationError", 422, "business-rule", 1),
    UnmodifiableMetadata: WireCodes("AE", "207", "UnmodifiableMetadataError", 422, "business-rule", 1),
    UpdateIdentifier: WireCodes("AE", "204", "XDSMetadataIdentifierError", 404, "not-found", 1),
    UpdateObjectType: WireCodes("AE", "207", "XDSObjectTypeError", 422, "business-rule", 1),
    UpdateAnnotation: WireCodes("AE", "101", "XDSMetadataAnnotationError", 422, "required", 1),
    UpdateRequest: WireCodes("AE", "102", "XDSInvalidRequestException", 422, "invalid", 1),
    RemoveDocuments: WireCodes("AE", "207", "XDSRemoveDocumentsError", 422, "processing", 1),
    Unauthenticated: WireCodes("AR", "207", "XDSRegistryError", 401, "login", 1),
    TooManyRequests: WireCodes("AE", "207", "XDSRegistryBusy", 429, "throttled", 1),
    Forbidden: WireCodes("AR", "207", "XDSRegistryError", 403, "forbidden", 1),
    UnknownNode: WireCodes("AR", "207", "XDSRegistryError", 403, "forbidden", 1),
    Conflict: WireCodes("AE", "207", "XDSRegistryError", 409, "conflict", 1),
    Unavailable: WireCodes("AE", "207", "XDSUnavailableCommunity", 503, "transient", 3),
    ConfigurationError: WireCodes("AR", "207", "XDSRegistryError", 500, "exception", 2),
    DamagedContent: WireCodes("AE", "207", "XDSRepositoryError", 500, "exception", 1),
    GatewayError: WireCodes("AE", "207", "XDSRegistryError", 500, "exception", 70),
}


def codes_for(error: BaseException) -> WireCodes:
    """The codes of the nearest ancestor in the table; anything that is not ours is an internal error."""
    return next((ERRORS[c] for c in type(error).__mro__ if c in ERRORS), ERRORS[GatewayError])
