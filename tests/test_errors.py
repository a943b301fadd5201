"""One vocabulary of failure, and a code for each on every wire."""

import ast
import inspect
import re

import pytest

from gateway import errors
from gateway.errors import ERRORS, BadInput, DeletedResource, GatewayError, LimitExceeded, UnknownResource, codes_for

CLASSES = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, Exception)]
# http://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = {
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
}
# ITI TF-3 table 4.2.4.1-2 and the supplements RMU and RMD, those this program says.
XDS = {
    "ReferencesExistException",
    "UnmodifiableMetadataError",
    "UnresolvedReferenceException",
    "XDSDuplicateUniqueIdInRegistry",
    "XDSMetadataIdentifierError",
    "XDSMetadataAnnotationError",
    "XDSInvalidRequestException",
    "XDSMetadataUpdateError",
    "XDSMetadataUpdateOperationError",
    "XDSMetadataVersionError",
    "XDSMissingDocument",
    "XDSObjectTypeError",
    "XDSMissingDocumentMetadata",
    "XDSNonIdenticalHash",
    "XDSNonIdenticalSize",
    "XDSPatientIDReconciliationError",
    "XDSPatientIdDoesNotMatch",
    "XDSRegistryDeprecatedDocumentError",
    "XDSRegistryDuplicateUniqueIdInMessage",
    "XDSRemoveDocumentsError",
    "XDSUnreferencedObjectException",
    "XDSDocumentUniqueIdError",
    "XDSMissingHomeCommunityId",
    "XDSRegistryBusy",
    "XDSRegistryError",
    "XDSRegistryMetadataError",
    "XDSRegistryOutOfResources",
    "XDSRepositoryError",
    "XDSResultNotSinglePatient",
    "XDSStoredQueryMissingParam",
    "XDSStoredQueryParamNumber",
    "XDSTooManyResults",
    "XDSUnavailableCommunity",
    "XDSUnknownCommunity",
    "XDSUnknownPatientId",
    "XDSUnknownRepositoryId",
    "XDSUnknownStoredQuery",
}
STATUSES = {400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503}
TABLE_0357 = {"100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207"}


def test_every_failure_has_its_row_of_its_own() -> None:
    assert set(CLASSES) == set(ERRORS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_the_codes_are_words_of_their_standards(error: type[GatewayError]) -> None:
    codes = ERRORS[error]
    assert codes.msa1 in ("AE", "AR")
    assert codes.err3 in TABLE_0357
    assert codes.xds in XDS
    assert codes.http in STATUSES
    assert codes.fhir in ISSUE_TYPES
    assert codes.exit in (1, 2, 3, 70)


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_statuses_and_codes_agree(error: type[GatewayError]) -> None:
    codes = ERRORS[error]
    assert (codes.http == 404) == (codes.fhir == "not-found")
    assert (codes.http == 403) == (codes.fhir == "forbidden")
    assert (codes.http == 410) == (codes.fhir == "deleted")
    assert (codes.http == 503) == (codes.fhir == "transient") == (codes.exit == 3)
    assert codes.exit != 70 or error is GatewayError, "only what nobody named is an error of ours"


def test_the_nearest_ancestor_decides() -> None:
    class Later(DeletedResource): ...

    assert codes_for(Later()) == ERRORS[DeletedResource] != ERRORS[UnknownResource]
    assert codes_for(LimitExceeded()).http == 413 and codes_for(BadInput()).http == 400


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), KeyboardInterrupt()])
def test_what_is_not_ours_is_an_internal_error(error: BaseException) -> None:
    assert codes_for(error) == ERRORS[GatewayError] and codes_for(error).http == 500


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes() -> None:
    found: dict[str, str] = {}
    above = {0: "GatewayError"}
    for bars, name in re.findall(r"^    ((?:\|   )*\|-- )(\w+)", str(errors.__doc__), re.MULTILINE):
        depth = bars.count("|")
        above[depth] = name
        found[name] = above[depth - 1]
    expected = {one.__name__: one.__bases__[0].__name__ for one in CLASSES if one is not GatewayError}
    assert found == expected


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(inspect.getsource(errors))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and str(n.module).startswith("gateway")]
