import { createHash } from "node:crypto";
import { expect } from "vitest";
import { ApiKeys } from "../../api/api_keys.ts";
import { routes } from "../../api/openapi/openapi.ts";
import { seriousFindings } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import { exchange } from "../support/contract/exchange.ts";
import {
  FILES,
  routeOf,
  TOUR,
  TOUR_END,
  TOUR_START,
  type TourStep,
  tourRequest,
} from "../support/contract/tour.ts";
import { testService } from "../support/service.ts";
import { type PageAnswer, SwaggerPage, TAGS } from "../support/swagger_page.ts";

/** The page of the contract, used in a browser. */

const API_KEY = "key of a visitor";
const key = {
  id: "visitor",
  sha256: createHash("sha256").update(API_KEY).digest("hex"),
  namespaces: ["default"],
  uid: 0,
  gid: 0,
  capabilities: "all" as const,
};

const service = await testService();
const guarded = await testService(new ApiKeys([key]));

browserTest("/docs shows every operation and the browser reports no error", async (browser) => {
  const docs = await SwaggerPage.open(browser, service.base);
  let shown = 0;
  for (const tag of TAGS) {
    await docs.openTag(tag);
    await docs.page.locator(".opblock").first().waitFor();
    shown += await docs.page.locator(".opblock").count();
  }
  expect(shown).toBe(routes.length);
  expect(docs.errors).toEqual([]);
});

browserTest("/docs has no serious finding of axe, with an operation executed", async (browser) => {
  const docs = await SwaggerPage.open(browser, service.base);
  expect(await seriousFindings(docs.page)).toEqual([]);
  await docs.openDialog();
  expect(await seriousFindings(docs.page, ".modal-ux")).toEqual([]);
  await docs.page.locator(".close-modal").click();
  for (const id of ["sessionCreate", "livenessGet"]) {
    const operation = await docs.tryOut(id);
    expect((await docs.execute(operation)).status).toBeLessThan(300);
    expect(await seriousFindings(docs.page, `.opblock[id$="-${id}"]`)).toEqual([]);
  }
});

browserTest("the pages about errors have no serious finding of axe", async (browser) => {
  const page = await browser.newPage();
  for (const path of ["/docs/errors", "/docs/errors/EINVAL", "/docs/errors/session-ended"]) {
    const answer = await page.goto(service.base + path);
    expect([path, answer?.status()]).toEqual([path, 200]);
    expect(await seriousFindings(page)).toEqual([]);
  }
});

/** Opens the operation of a step, executes it as the page has filled it in, and closes it. */
async function take(docs: SwaggerPage, { operationId, example }: TourStep): Promise<PageAnswer> {
  const operation = await docs.tryOut(operationId);
  await docs.chooseBody(operation, example, FILES[operationId]);
  const isStream =
    "text/event-stream" in (routeOf(operationId).operation.responses[200]?.content ?? {});
  const answer = isStream
    ? { status: await docs.executeStream(operation), text: "" }
    : await docs.execute(operation);
  await docs.close(operation);
  return answer;
}

/** Starts a session on the page. @returns its token */
async function createSession(docs: SwaggerPage): Promise<string> {
  const { status, text } = await take(docs, { operationId: "sessionCreate" });
  expect(status, text).toBe(201);
  const token = /"token": "([^"]+)"/.exec(text)?.[1] ?? "";
  await docs.authorize("session", token);
  return token;
}

/** What makes and takes away objects, because reading cannot get into anybody's way. */
const CHANGES = [...TOUR_START, ...TOUR_END];

/** Goes on with a session of the page by requests alone, from its second change on. */
class OtherVisitor {
  readonly failures: string[] = [];
  #namespace: string;
  #token: string;
  #taken = 1;

  constructor(token: string) {
    this.#token = token;
    this.#namespace = /^bps_([\w-]+)\./.exec(token)?.[1] ?? "";
  }

  /** Takes the next change; the first one follows the last. */
  async go(): Promise<void> {
    const step = CHANGES[this.#taken++ % CHANGES.length] as TourStep;
    // The examples speak of the first objects of a namespace.
    if (step.operationId === "sessionCreate") this.#namespace += "x";
    const request = tourRequest(step, this.#namespace, this.#token);
    const { status, body } = await exchange(service.base, request);
    if (status >= 400) this.failures.push(`${step.operationId} ${step.example ?? ""}: ${body}`);
    if (step.operationId === "sessionCreate") this.#token = JSON.parse(body.toString()).token;
  }
}

browserTest(
  "every operation of /docs executes unchanged, beside another visitor",
  async (browser) => {
    const docs = await SwaggerPage.open(browser, service.base);
    const token = await createSession(docs);
    const others = await createSession(await SwaggerPage.open(browser, service.base));
    for (const one of [token, others]) expect(one).toMatch(/^bps_page-[0-9a-f]{8}\./);
    expect(others).not.toBe(token);
    const other = new OtherVisitor(others);
    const failures: string[] = [];
    const [, ...steps] = TOUR;
    for (const step of steps) {
      await other.go();
      const { status, text } = await take(docs, step);
      if (!(status < 400)) failures.push(`${step.operationId} ${step.example ?? ""}: ${text}`);
    }
    expect(failures).toEqual([]);
    expect(other.failures).toEqual([]);
  },
);

browserTest(
  "with API keys /docs starts a session with the key, in its namespace",
  async (browser) => {
    const docs = await SwaggerPage.open(browser, guarded.base);
    const create = await docs.tryOut("sessionCreate");
    expect((await docs.execute(create)).status).toBe(401);
    await docs.authorize("apiKey", API_KEY);
    const { status, text } = await docs.execute(create);
    expect(status).toBe(201);
    expect(text).toContain('"namespace": "default"');
    await docs.authorize("session", /"token": "([^"]+)"/.exec(text)?.[1] ?? "");
    expect((await docs.execute(await docs.tryOut("sessionExit"))).status).toBe(204);
  },
);
