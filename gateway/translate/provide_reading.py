"""A Provide Document Bundle while it is read: references and whom they lead to, names, codes, times.

IHE MHD 4.2, 2:3.65.4.1.2; references as R4 2.36.4.1 resolves them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.errors import BadInput
from gateway.model.code import Code
from gateway.model.document import Author
from gateway.translate import code_system, times, xds_people
from gateway.translate.document_reference import UUID, Json, entry_uuid, unique_id_of
from gateway.translate.provided import METADATA, Known, Person, Problem, Provided

NOBODY: Final = Code("", "")


class Reading:
    """One Bundle while it is read: what its parts refer to, who they are about, and what is wrong with them."""

    def __init__(self, made: Provided, entries: Sequence[Mapping[str, Any]], known: Known) -> None:
        self.made, self.entries, self.known = made, entries, known
        self.by_url: dict[str, int] = {}
        self.uuids: dict[int, str] = {}
        """Entry number -> entryUUID of a DocumentReference or List."""
        self.replaced: set[str] = set()

    def problem(self, text: str, where: str, code: str = METADATA) -> None:
        self.made.problems.append(Problem(code, text, where))

    def remember(self, n: int, entry: Mapping[str, Any], resource: Mapping[str, Any]) -> None:
        """The names by which other entries may refer to this one (R4 2.36.4.1)."""
        url, id_ = str(entry.get("fullUrl", "")), str(resource.get("id", ""))
        if url:
            self.by_url.setdefault(url, n)
            if "://" in url:
                self.by_url.setdefault("/".join(url.split("/")[-2:]), n)
        if id_:
            self.by_url.setdefault(f"{resource.get('resourceType')}/{id_}", n)

    def number(self, n: int) -> None:
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

    def at(self, reference: str) -> int | None:
        """Number of the entry a reference leads to."""
        return self.by_url.get(reference, self.by_url.get(reference.removeprefix(f"{self.known.base}/")))

    def target(self, reference: Mapping[str, Any]) -> str:
        """entryUUID of the registry object a reference names, here or on the server; "" for none."""
        text = str(reference.get("reference", ""))
        if (n := self.at(text)) is not None and n in self.uuids:
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

    def resolved(
        self, reference: Mapping[str, Any], owner: Mapping[str, Any], where: str, contained: bool
    ) -> Mapping[str, Any] | None:
        """The resource a reference leads to. With `contained` it has to stand inside its owner (Comprehensive)."""
        text = str(reference.get("reference", ""))
        if text.startswith("#"):
            found = next((one for one in owner.get("contained", ()) if f"#{one.get('id')}" == text), None)
        elif contained and self.made.level == "Comprehensive":
            self.problem("the comprehensive profile wants this resource contained", where)
            return None
        elif (n := self.at(text)) is not None:
            found = self.entries[n]["resource"]
        else:
            found = self.known.resource(text.removeprefix(f"{self.known.base}/")) if text else None
            if found is None and reference.get("display"):
                found = {"resourceType": "Practitioner", "name": [{"text": reference["display"]}]}
        if found is None:
            self.problem("a reference that leads nowhere", where)
        return found

    def person(self, resource: Mapping[str, Any], where: str) -> Person | None:
        subject = resource.get("subject")
        if not subject:
            self.problem("subject is missing", f"{where}.subject")
            return None
        text = str(subject.get("reference", ""))
        n = self.at(text) if text else None
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

    def author(self, reference: Mapping[str, Any], owner: Mapping[str, Any], where: str) -> Author | None:
        found = self.resolved(reference, owner, where, contained=True)
        if found is None:
            return None
        others = {f"#{one.get('id')}": one for one in owner.get("contained", ())}
        for url, n in self.by_url.items():
            others.setdefault(url, self.entries[n].get("resource", {}))
        author = xds_people.author_of(found, others)
        if author is None:
            self.problem("nothing of this author can be registered (no name and no id)", where)
        return author

    def unique_id(self, resource: Mapping[str, Any], where: str) -> str:
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
            return ""
        for k, one in enumerate(resource.get("identifier", ())):
            if not str(one.get("value", "")).startswith(UUID) and unique_id_of(one) != found[0]:
                text = "an identifier that XDS could not hold was left out"
                self.made.warnings.append(Problem("XDSExtraMetadataNotSaved", text, f"{where}.identifier[{k}]"))
        return found[0]

    def time(self, value: Any, where: str) -> str:
        try:
            return times.dtm_utc(str(value))
        except BadInput:
            self.problem("no date or time", where)
            return ""

    def code(self, concept: Any, where: str, required: bool) -> Code:
        codes = code_system.codes_of(concept) if isinstance(concept, Mapping) else ()
        if not codes and required:
            self.problem("a code with its system is required", where)
        return codes[0] if codes else NOBODY


def extension(owner: Mapping[str, Any], url: str) -> Json:
    return next((one for one in owner.get("extension", ()) if same(one.get("url"), url)), {})


def same(url: Any, wanted: str) -> bool:
    return str(url).replace("http://", "https://", 1) == wanted
