// What Client.java submits: one document in a folder (ITI-41), the same without its bytes (ITI-42), a change of status
// (ITI-57), a removal (ITI-62). Ids follow from the name the test gives.

import jakarta.activation.DataHandler;
import jakarta.mail.util.ByteArrayDataSource;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.UUID;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Association;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationLabel;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Author;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Code;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Document;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntryType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Folder;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.LocalizedString;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.ObjectReference;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Person;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.SubmissionSet;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Timestamp;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveMetadata;

final class Submissions {
    private Submissions() {}

    static ProvideAndRegisterDocumentSet provide(String patient, String name) {
        var request = new ProvideAndRegisterDocumentSet();
        var content = content(name);
        request.setSubmissionSet(set(patient, name));
        request.getFolders().add(folder(patient, name));
        request.getDocuments().add(
            new Document(entry(patient, name), new DataHandler(new ByteArrayDataSource(content, "text/plain"))));
        request.getAssociations().add(original(member("set", "document")));
        request.getAssociations().add(member("set", "folder"));
        var inside = member("folder", "document");
        inside.setEntryUuid("inside");
        request.getAssociations().add(inside);
        request.getAssociations().add(member("set", "inside"));
        return request;
    }

    static RegisterDocumentSet register(String patient, String name, String repository) throws Exception {
        var request = new RegisterDocumentSet();
        var entry = entry(patient, name);
        var content = content(name);
        entry.setRepositoryUniqueId(repository);
        entry.setSize((long) content.length);
        entry.setHash(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(content)));
        request.setSubmissionSet(set(patient, name));
        request.getDocumentEntries().add(entry);
        request.getAssociations().add(original(member("set", "document")));
        return request;
    }

    static RegisterDocumentSet deprecate(String patient, String name, String uuid) {
        var request = new RegisterDocumentSet();
        request.setSubmissionSet(set(patient, name));
        var change = new Association(AssociationType.UPDATE_AVAILABILITY_STATUS, "change", "set", uuid);
        change.setOriginalStatus(AvailabilityStatus.APPROVED);
        change.setNewStatus(AvailabilityStatus.DEPRECATED);
        request.getAssociations().add(change);
        return request;
    }

    static RemoveMetadata remove(String... uuids) {
        var request = new RemoveMetadata();
        for (var uuid : uuids) {
            request.getReferences().add(new ObjectReference(uuid));
        }
        return request;
    }

    static String uniqueId(String name) {
        var uuid = UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8)).toString().replace("-", "");
        return "2.25." + new BigInteger(uuid, 16);
    }

    private static byte[] content(String name) {
        return ("content of " + name).getBytes(StandardCharsets.UTF_8);
    }

    private static SubmissionSet set(String patient, String name) {
        var set = new SubmissionSet();
        set.setEntryUuid("set");
        set.setUniqueId(uniqueId("set " + name));
        set.setPatientId(Identifiable.parse(patient));
        set.setSourceId("1.2.3.4");
        set.setSubmissionTime(Timestamp.now());
        set.setContentTypeCode(code("content"));
        set.setTitle(new LocalizedString("Set of " + name));
        set.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        return set;
    }

    private static Folder folder(String patient, String name) {
        var folder = new Folder();
        folder.setEntryUuid("folder");
        folder.setUniqueId(uniqueId("folder " + name));
        folder.setPatientId(Identifiable.parse(patient));
        folder.setTitle(new LocalizedString("Folder of " + name));
        folder.setLastUpdateTime(Timestamp.now());
        folder.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        folder.getCodeList().add(code("folder"));
        return folder;
    }

    private static DocumentEntry entry(String patient, String name) {
        var entry = new DocumentEntry();
        entry.setEntryUuid("document");
        entry.setType(DocumentEntryType.STABLE);
        entry.setUniqueId(uniqueId(name));
        entry.setPatientId(Identifiable.parse(patient));
        entry.setSourcePatientId(Identifiable.parse(patient));
        entry.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        entry.setTitle(new LocalizedString("紹介状 " + name, "ja-JP", "UTF-8"));
        entry.setMimeType("text/plain");
        entry.setLanguageCode("ja-JP");
        entry.setCreationTime("20260101000000");
        entry.setClassCode(code("class"));
        entry.setTypeCode(code("type"));
        entry.setFormatCode(code("format"));
        entry.setHealthcareFacilityTypeCode(code("facility"));
        entry.setPracticeSettingCode(code("setting"));
        entry.getConfidentialityCodes().add(code("N"));
        var author = new Author();
        author.setAuthorPerson(Person.parse("9^鈴木^花"));
        entry.getAuthors().add(author);
        return entry;
    }

    private static Code code(String value) {
        return new Code(value, new LocalizedString(value), "1.2.3.9");
    }

    private static Association member(String source, String target) {
        var member = new Association(AssociationType.HAS_MEMBER, source + "-" + target, source, target);
        member.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        return member;
    }

    private static Association original(Association member) {
        member.setLabel(AssociationLabel.ORIGINAL);
        return member;
    }
}
