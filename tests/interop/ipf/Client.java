// A stranger's XDS client: IPF (Open eHealth Integration Platform) asks a node what a test writes on standard input, with
// IPF's own validation of every request and every answer, and says in one line of JSON what it understood.
//
//   query    <endpoint> <name of the query> <returnType> <key=value> ...
//   retrieve <endpoint> <repositoryUniqueId>[,<homeCommunityId>] <documentUniqueId> ...
//   provide | register | deprecate | remove <endpoint> ...           (Submissions.java)
//
// Fields are separated by tabs, values of one key by commas. `endpoint` is a Camel URI (xds-iti18://host:port/path).

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.DefaultExchange;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Code;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntryType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.XDSMetaClass;
import org.openehealth.ipf.commons.ihe.xds.core.requests.DocumentReference;
import org.openehealth.ipf.commons.ihe.xds.core.requests.QueryRegistry;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.*;
import org.openehealth.ipf.commons.ihe.xds.core.responses.QueryResponse;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.RetrievedDocumentSet;
import org.openehealth.ipf.platform.camel.ihe.xds.XdsCamelValidators;

public final class Client {
    private static final List<AvailabilityStatus> ANY = List.of(AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED);
    private static final Map<String, Processor[]> VALIDATORS = Map.of(
        "xds-iti41", new Processor[] {XdsCamelValidators.iti41RequestValidator(), XdsCamelValidators.iti41ResponseValidator()},
        "xds-iti42", new Processor[] {XdsCamelValidators.iti42RequestValidator(), XdsCamelValidators.iti42ResponseValidator()},
        "xds-iti57", new Processor[] {XdsCamelValidators.iti57RequestValidator(), XdsCamelValidators.iti57ResponseValidator()},
        "xds-iti62", new Processor[] {XdsCamelValidators.iti62RequestValidator(), XdsCamelValidators.iti62ResponseValidator()},
        "xds-iti18", new Processor[] {XdsCamelValidators.iti18RequestValidator(), XdsCamelValidators.iti18ResponseValidator()},
        "xds-iti43", new Processor[] {XdsCamelValidators.iti43RequestValidator(), XdsCamelValidators.iti43ResponseValidator()},
        "xds-iti51", new Processor[] {XdsCamelValidators.iti51RequestValidator(), XdsCamelValidators.iti51ResponseValidator()},
        "xca-iti38", new Processor[] {XdsCamelValidators.iti38RequestValidator(), XdsCamelValidators.iti38ResponseValidator()},
        "xca-iti39", new Processor[] {XdsCamelValidators.iti39RequestValidator(), XdsCamelValidators.iti39ResponseValidator()});

    private final CamelContext context;

    private Client(CamelContext context) {
        this.context = context;
    }

    public static void main(String[] arguments) throws Exception {
        var context = new DefaultCamelContext();
        context.start();
        var client = new Client(context);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(client.answer(line.split("\t")));
            System.out.flush();
        }
        context.stop();
    }

    private String answer(String[] fields) {
        try {
            var submission = submission(fields);
            if (submission != null) {
                return json(send(fields[1], submission).getMessage().getBody(Response.class), List.of());
            }
            if (fields[0].equals("retrieve")) {
                return retrieved(fields);
            }
            var given = new HashMap<String, List<String>>();
            for (int i = 4; i < fields.length; i++) {
                var pair = fields[i].split("=", 2);
                given.put(pair[0], Arrays.asList(pair[1].split(",")));
            }
            var request = new QueryRegistry(query(fields[2], given), QueryReturnType.valueOfCode(fields[3]));
            var found = send(fields[1], request).getMessage().getBody(QueryResponse.class);
            return json(found, List.of(
                entry("documents", uuids(found.getDocumentEntries())),
                entry("sets", uuids(found.getSubmissionSets())),
                entry("folders", uuids(found.getFolders())),
                entry("associations", texts(found.getAssociations(), one -> one.getEntryUuid())),
                entry("references", texts(found.getReferences(), one -> one.getId()))));
        } catch (Exception error) {
            return "{\"exception\": " + quoted(error.toString()) + "}";
        }
    }

    private static Object submission(String[] fields) throws Exception {
        return switch (fields[0]) {
            case "provide" -> Submissions.provide(fields[2], fields[3]);
            case "register" -> Submissions.register(fields[2], fields[3], fields[4]);
            case "deprecate" -> Submissions.deprecate(fields[2], fields[3], fields[4]);
            case "remove" -> Submissions.remove(Arrays.copyOfRange(fields, 2, fields.length));
            default -> null;
        };
    }

    private String retrieved(String[] fields) throws Exception {
        var request = new RetrieveDocumentSet();
        var place = fields[2].split(",");
        for (int i = 3; i < fields.length; i++) {
            request.getDocuments().add(new DocumentReference(place[0], fields[i], place.length > 1 ? place[1] : null));
        }
        var found = send(fields[1], request).getMessage().getBody(RetrievedDocumentSet.class);
        var digests = new ArrayList<String>();
        for (var document : found.getDocuments()) {
            var content = document.getDataHandler().getInputStream().readAllBytes();
            digests.add(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
        }
        return json(found, List.of(entry("sha256", digests)));
    }

    private Exchange send(String endpoint, Object request) throws Exception {
        var validators = VALIDATORS.get(endpoint.substring(0, endpoint.indexOf(':')));
        var exchange = new DefaultExchange(context);
        exchange.getMessage().setBody(request);
        validators[0].process(exchange);
        try (var template = context.createProducerTemplate()) {
            var answered = template.send(endpoint + "?audit=false", exchange);
            if (answered.getException() != null) {
                throw answered.getException();
            }
            validators[1].process(answered);
            return answered;
        }
    }

    private static Query query(String name, Map<String, List<String>> given) {
        return switch (name) {
            case "FindDocuments" -> documents(new FindDocumentsQuery(), given);
            case "FindDocumentsByReferenceId" -> {
                var query = documents(new FindDocumentsByReferenceIdQuery(), given);
                query.setReferenceIds(new QueryList<>());
                query.getReferenceIds().getOuterList().add(given.get("references"));
                yield query;
            }
            case "FindSubmissionSets" -> {
                var query = new FindSubmissionSetsQuery();
                query.setPatientId(patient(given));
                query.setStatus(ANY);
                query.setSourceIds(given.get("sources"));
                yield query;
            }
            case "FindFolders" -> {
                var query = new FindFoldersQuery();
                query.setPatientId(patient(given));
                query.setStatus(ANY);
                yield query;
            }
            case "GetAll" -> {
                var query = new GetAllQuery();
                query.setPatientId(patient(given));
                query.setStatusDocuments(ANY);
                query.setStatusSubmissionSets(ANY);
                query.setStatusFolders(ANY);
                yield query;
            }
            case "GetDocuments" -> byId(new GetDocumentsQuery(), given);
            case "GetFolders" -> byId(new GetFoldersQuery(), given);
            case "GetDocumentsAndAssociations" -> byId(new GetDocumentsAndAssociationsQuery(), given);
            case "GetAssociations" -> byUuid(new GetAssociationsQuery(), given);
            case "GetSubmissionSets" -> byUuid(new GetSubmissionSetsQuery(), given);
            case "GetSubmissionSetAndContents" -> single(new GetSubmissionSetAndContentsQuery(), given);
            case "GetFolderAndContents" -> single(new GetFolderAndContentsQuery(), given);
            case "GetFoldersForDocument" -> ofDocument(new GetFoldersForDocumentQuery(), given);
            case "GetRelatedDocuments" -> {
                var query = ofDocument(new GetRelatedDocumentsQuery(), given);
                query.setAssociationTypes(List.of(AssociationType.REPLACE));
                yield query;
            }
            case "FindDocumentsForMultiplePatients" -> {
                var query = new FindDocumentsForMultiplePatientsQuery();
                query.setPatientIds(patients(given));
                query.setStatus(ANY);
                yield query;
            }
            case "FindFoldersForMultiplePatients" -> {
                var query = new FindFoldersForMultiplePatientsQuery();
                query.setPatientIds(patients(given));
                query.setStatus(ANY);
                yield query;
            }
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static <T extends FindDocumentsQuery> T documents(T query, Map<String, List<String>> given) {
        query.setPatientId(patient(given));
        query.setStatus(ANY);
        query.setDocumentEntryTypes(List.of(DocumentEntryType.STABLE, DocumentEntryType.ON_DEMAND));
        if (given.containsKey("classCode")) {
            query.setClassCodes(List.of(new Code(given.get("classCode").get(0), null, given.get("classCode").get(1))));
        }
        if (given.containsKey("from")) {
            query.getCreationTime().setFrom(given.get("from").get(0));
        }
        return query;
    }

    private static <T extends GetByUuidQuery> T byUuid(T query, Map<String, List<String>> given) {
        query.setHomeCommunityId(given.getOrDefault("home", List.of("")).get(0).isEmpty() ? null : given.get("home").get(0));
        query.setUuids(given.get("uuids"));
        return query;
    }

    private static <T extends GetByIdQuery> T byId(T query, Map<String, List<String>> given) {
        byUuid(query, given).setUniqueIds(given.get("uniqueIds"));
        return query;
    }

    private static <T extends GetByIdAndCodesQuery> T single(T query, Map<String, List<String>> given) {
        query.setUuid(given.containsKey("uuids") ? given.get("uuids").get(0) : null);
        query.setUniqueId(given.containsKey("uniqueIds") ? given.get("uniqueIds").get(0) : null);
        return query;
    }

    private static <T extends GetFromDocumentQuery> T ofDocument(T query, Map<String, List<String>> given) {
        query.setUuid(given.containsKey("uuids") ? given.get("uuids").get(0) : null);
        query.setUniqueId(given.containsKey("uniqueIds") ? given.get("uniqueIds").get(0) : null);
        return query;
    }

    private static Identifiable patient(Map<String, List<String>> given) {
        return Identifiable.parse(given.get("patient").get(0));
    }

    private static List<Identifiable> patients(Map<String, List<String>> given) {
        return given.get("patient").stream().map(cx -> (Identifiable) Identifiable.parse(cx)).toList();
    }

    private static List<String> uuids(List<? extends XDSMetaClass> objects) {
        return texts(objects, XDSMetaClass::getEntryUuid);
    }

    private static <T> List<String> texts(List<T> objects, Function<T, String> text) {
        return objects.stream().map(text).toList();
    }

    private static String entry(String name, List<String> values) {
        return quoted(name) + ": [" + String.join(", ", values.stream().map(Client::quoted).toList()) + "]";
    }

    private static String json(Response response, List<String> entries) {
        var errors = texts(response.getErrors(), one -> String.valueOf(one.getErrorCode()));
        var all = new ArrayList<>(entries);
        all.add(entry("errors", errors));
        return "{\"status\": " + quoted(String.valueOf(response.getStatus())) + ", " + String.join(", ", all) + "}";
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\p{Cntrl}", " ") + '"';
    }
}
