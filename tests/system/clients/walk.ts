/**
 * A program of a generated TypeScript client: detector → extractor → face → matcher → handler → events.
 *
 * Arguments: address of the platform and two photographs of one person. It prints the similarity of the match as JSON.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { paths } from "./luna";

type Answer<T> = { data?: T; error?: unknown; response: Response };

const [url, photo, otherPhoto] = process.argv.slice(2) as [string, string, string];

function client(authorization?: string) {
  return createClient<paths>({ baseUrl: url, headers: authorization ? { Authorization: authorization } : {} });
}

function data<T>(answer: Answer<T>): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) {
    throw new Error("the list is empty");
  }
  return item;
}

function best<T>(items: readonly T[], measure: (item: T) => number): T {
  return first([...items].sort((one, other) => measure(other) - measure(one)));
}

function check(holds: boolean, claim: string): void {
  if (!holds) {
    throw new Error(claim);
  }
}

/** Options of a request whose body is a JPEG file. */
async function picture(path: string) {
  const bytes = await readFile(path);
  const options = { headers: { "Content-Type": "image/jpeg" }, bodySerializer: () => new Uint8Array(bytes) };
  return { ...options, body: "" };
}

async function walk(): Promise<number> {
  const login = `client-${randomUUID()}@luna.test`;
  const password = "a long and secret phrase";
  data(await client().POST("/6/accounts", { body: { login, password } }));
  const basic = client(`Basic ${Buffer.from(`${login}:${password}`).toString("base64")}`);
  const query = { grant_all_permissions: 1 } as const;
  const luna = client(`Bearer ${data(await basic.POST("/6/tokens", { body: {}, params: { query } })).token}`);

  const list_id = data(await luna.POST("/6/lists", { body: { user_data: "guests" } })).list_id;
  const found = data(
    await luna.POST("/6/detector", { ...(await picture(photo)), params: { query: { estimate_head_pose: 1 } } }),
  );
  const faces = first(found.images).detections.samples.flatMap((sample) => sample.face ?? []);
  const face = best(faces, (each) => each.detection?.rect?.width ?? 0);
  check(Math.abs(face.detection?.attributes?.head_pose?.yaw ?? 90) < 90, "the yaw is within 90");
  const sample_id = face.sample_id ?? "";
  const sample = await luna.GET("/6/samples/faces/{sample_id}", {
    params: { path: { sample_id } },
    parseAs: "arrayBuffer",
  });
  check(new Uint8Array(data(sample) as unknown as ArrayBuffer)[1] === 0xd8, "the sample is a JPEG");
  const extraction = { body: [sample_id], params: { query: { extract_basic_attributes: 1 as const } } };
  const attribute = first(data(await luna.POST("/6/extractor", extraction)));
  check((attribute.basic_attributes?.age ?? 0) > 0, "the age is above 0");
  const attribute_id = attribute.attribute_id ?? "";
  const body = { user_data: "Ada", lists: [list_id], attribute: { attribute_id } };
  const face_id = data(await luna.POST("/6/faces", { body })).face_id;

  const asked = {
    references: [{ type: "attribute" as const, id: attribute_id }],
    candidates: [{ filters: { list_id } }],
  };
  const matches = first(data(await luna.POST("/6/matcher/faces", { body: asked }))).matches;
  check(first(first(matches).result).face?.face_id === face_id, "the matched face is the created one");

  const policies = {
    detect_policy: { estimate_head_pose: 1 as const, estimate_emotions: 1 as const },
    match_policy: [{ label: "guests", candidates: { list_id }, limit: 1 }],
  };
  const handler_id = data(await luna.POST("/6/handlers", { body: { policies } })).handler_id;
  const generation = data(
    await luna.POST("/6/handlers/{handler_id}/events", {
      ...(await picture(otherPhoto)),
      params: { path: { handler_id }, query: { tags: ["walk"] } },
    }),
  );
  const event = best(generation.events, (each) => each.top_match?.similarity ?? 0);
  const event_id = event.event_id ?? "";
  const stored = data(await luna.GET("/6/events/{event_id}", { params: { path: { event_id } } }));
  check(stored.top_match?.face_id === face_id, "the stored event names the matched face");
  const search = { params: { query: { event_ids: [event_id], tags: ["walk"] } } };
  check(data(await luna.GET("/6/events", search)).events.length === 1, "the search finds the event");
  const deleted = await luna.DELETE("/6/lists", { body: { list_ids: [list_id] } });
  check(deleted.response.status === 204, "the list is deleted");
  return event.top_match?.similarity ?? 0;
}

walk().then(
  (similarity) => console.log(JSON.stringify({ similarity })),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
