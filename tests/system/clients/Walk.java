import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import luna.client.ApiClient;
import luna.client.api.AccountsApi.APIPostAccountsRequest;
import luna.client.api.AccountsApi;
import luna.client.api.DetectorApi.APIPostDetectorRequest;
import luna.client.api.DetectorApi;
import luna.client.api.EventsApi.APIGetEventRequest;
import luna.client.api.EventsApi.APIGetEventsRequest;
import luna.client.api.EventsApi;
import luna.client.api.ExtractorApi.APIPostExtractorRequest;
import luna.client.api.ExtractorApi;
import luna.client.api.FacesApi.APIPostFacesRequest;
import luna.client.api.FacesApi;
import luna.client.api.HandlersApi.APIPostEventGenerationRequest;
import luna.client.api.HandlersApi.APIPostHandlersRequest;
import luna.client.api.HandlersApi;
import luna.client.api.ListsApi.APIDeleteListsRequest;
import luna.client.api.ListsApi.APIPostListsRequest;
import luna.client.api.ListsApi;
import luna.client.api.MatcherApi.APIPostMatchFacesRequest;
import luna.client.api.MatcherApi;
import luna.client.api.SamplesApi.APIGetFaceSampleRequest;
import luna.client.api.SamplesApi;
import luna.client.api.TokensApi.APIPostTokensRequest;
import luna.client.api.TokensApi;
import luna.client.model.AccountBodyRequest;
import luna.client.model.CandidateBodyRequest;
import luna.client.model.CandidateFiltersRequest;
import luna.client.model.DetectPolicyRequest;
import luna.client.model.FaceAttributeBodyRequest;
import luna.client.model.FaceBodyRequest;
import luna.client.model.FaceSample;
import luna.client.model.GeneratedAttribute;
import luna.client.model.GeneratedEvent;
import luna.client.model.HandlerBodyRequest;
import luna.client.model.ListBodyRequest;
import luna.client.model.ListIdsBodyRequest;
import luna.client.model.MatchBodyRequest;
import luna.client.model.MatchPolicyRequest;
import luna.client.model.PoliciesRequest;
import luna.client.model.ReferenceBodyRequest;
import luna.client.model.TokenBodyRequest;

/**
 * A program of a generated Java client: detector → extractor → face → matcher → handler → events.
 *
 * <p>Arguments: address of the platform and two photographs of one person. It prints the similarity of the match as JSON.
 */
public final class Walk {
    private final String url;
    private String authorization;

    private Walk(String url) {
        this.url = url;
    }

    public static void main(String[] arguments) throws Exception {
        double similarity = new Walk(arguments[0]).walk(new File(arguments[1]), new File(arguments[2]));
        System.out.println("{\"similarity\": " + similarity + "}");
    }

    private double walk(File photo, File otherPhoto) throws Exception {
        String login = "client-" + UUID.randomUUID() + "@luna.test";
        String password = "a long and secret phrase";
        AccountBodyRequest account = new AccountBodyRequest().login(login).password(password);
        new AccountsApi(client()).postAccounts(APIPostAccountsRequest.newBuilder().accountBodyRequest(account).build());
        String pair = login + ":" + password;
        authorization = "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
        APIPostTokensRequest token =
            APIPostTokensRequest.newBuilder().tokenBodyRequest(new TokenBodyRequest()).grantAllPermissions(1).build();
        authorization = "Bearer " + new TokensApi(client()).postTokens(token).getToken();

        ListsApi lists = new ListsApi(client());
        UUID listId = lists.postLists(postLists(new ListBodyRequest().userData("guests"))).getListId();
        FaceSample face = new DetectorApi(client())
            .postDetector(APIPostDetectorRequest.newBuilder().body(photo).estimateHeadPose(1).build())
            .getImages().get(0).getDetections().getSamples().stream().map(each -> each.getFace())
            .max(Comparator.comparing(each -> each.getDetection().getRect().getWidth())).orElseThrow();
        check(Math.abs(face.getDetection().getAttributes().getHeadPose().getYaw()) < 90, "the yaw is within 90");
        File sample = new SamplesApi(client())
            .getFaceSample(APIGetFaceSampleRequest.newBuilder().sampleId(face.getSampleId()).build());
        check(Files.readAllBytes(sample.toPath())[1] == (byte) 0xd8, "the sample is a JPEG");
        APIPostExtractorRequest extraction = APIPostExtractorRequest.newBuilder()
            .UUID(List.of(face.getSampleId())).extractBasicAttributes(1).build();
        GeneratedAttribute attribute = new ExtractorApi(client()).postExtractor(extraction).get(0);
        check(attribute.getBasicAttributes().getAge().intValue() > 0, "the age is above 0");
        FaceBodyRequest body = new FaceBodyRequest().userData("Ada").lists(List.of(listId))
            .attribute(new FaceAttributeBodyRequest().attributeId(attribute.getAttributeId()));
        FacesApi faces = new FacesApi(client());
        UUID faceId = faces.postFaces(APIPostFacesRequest.newBuilder().faceBodyRequest(body).build()).getFaceId();

        CandidateFiltersRequest guests = new CandidateFiltersRequest().listId(listId);
        MatchBodyRequest asked = new MatchBodyRequest()
            .references(List.of(new ReferenceBodyRequest()
                .type(ReferenceBodyRequest.TypeEnum.ATTRIBUTE).id(attribute.getAttributeId().toString())))
            .candidates(List.of(new CandidateBodyRequest().filters(guests)));
        UUID matched = new MatcherApi(client())
            .postMatchFaces(APIPostMatchFacesRequest.newBuilder().matchBodyRequest(asked).build())
            .get(0).getMatches().get(0).getResult().get(0).getFace().getFaceId();
        check(matched.equals(faceId), "the matched face is the created one");

        PoliciesRequest policies = new PoliciesRequest()
            .detectPolicy(new DetectPolicyRequest().estimateHeadPose(1).estimateEmotions(1))
            .matchPolicy(List.of(new MatchPolicyRequest().label("guests").candidates(guests).limit(1)));
        HandlersApi handlers = new HandlersApi(client());
        UUID handlerId = handlers.postHandlers(APIPostHandlersRequest.newBuilder()
            .handlerBodyRequest(new HandlerBodyRequest().policies(policies)).build()).getHandlerId();
        APIPostEventGenerationRequest generation = APIPostEventGenerationRequest.newBuilder()
            .handlerId(handlerId).body(otherPhoto).tags(List.of("walk")).build();
        GeneratedEvent event = handlers.postEventGeneration(generation).getEvents().stream()
            .max(Comparator.comparing(each -> each.getTopMatch().getSimilarity())).orElseThrow();
        EventsApi events = new EventsApi(client());
        UUID met = events.getEvent(APIGetEventRequest.newBuilder().eventId(event.getEventId()).build())
            .getTopMatch().getFaceId();
        check(met.equals(faceId), "the stored event names the matched face");
        APIGetEventsRequest search = APIGetEventsRequest.newBuilder()
            .eventIds(List.of(event.getEventId())).tags(List.of("walk")).build();
        check(events.getEvents(search).getEvents().size() == 1, "the search finds the event");
        lists.deleteLists(APIDeleteListsRequest.newBuilder()
            .listIdsBodyRequest(new ListIdsBodyRequest().listIds(List.of(listId))).build());
        return event.getTopMatch().getSimilarity();
    }

    private APIPostListsRequest postLists(ListBodyRequest body) {
        return APIPostListsRequest.newBuilder().listBodyRequest(body).build();
    }

    private ApiClient client() {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        client.setObjectMapper(client.getObjectMapper().registerModule(
            new SimpleModule().addSerializer(File.class, new FileBytes())));
        client.setRequestInterceptor(request -> {
            if (authorization != null) {
                request.header("Authorization", authorization);
            }
        });
        return client;
    }

    private static void check(boolean holds, String claim) {
        if (!holds) {
            throw new AssertionError(claim);
        }
    }

    /** Writes the bytes of a file as the body; the generated client would write its path. */
    private static final class FileBytes extends StdSerializer<File> {
        FileBytes() {
            super(File.class);
        }

        @Override
        public void serialize(File file, JsonGenerator json, SerializerProvider provider) throws IOException {
            Files.copy(file.toPath(), (OutputStream) json.getOutputTarget());
        }
    }
}
