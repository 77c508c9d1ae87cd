import { createHash } from "node:crypto";
import { expect } from "vitest";
import { ApiKeys } from "../../api/api_keys.ts";
import { routes } from "../../api/openapi/openapi.ts";
import { seriousFindings } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import {
  FILES,
  routeOf,
  TOUR,
  TOUR_END,
  TOUR_START,
  type TourStep,
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

/** One person's tour. @returns the token, and each answer that is a failure */
async function tour(docs: SwaggerPage, steps: readonly TourStep[]) {
  const failures: string[] = [];
  let token = "";
  for (const step of steps) {
    const { status, text } = await take(docs, step);
    if (!(status < 400)) failures.push(`${step.operationId} ${step.example ?? ""}: ${text}`);
    if (step.operationId !== "sessionCreate") continue;
    token = /"token": "([^"]+)"/.exec(text)?.[1] ?? "";
    await docs.authorize("session", token);
  }
  return { token, failures };
}

/** What makes and takes away objects, because reading cannot get into anybody's way. */
const CHANGES = [...TOUR_START, ...TOUR_END];

browserTest(
  "every operation of /docs executes unchanged, beside another visitor",
  async (browser) => {
    const people = await Promise.all([1, 2].map(() => SwaggerPage.open(browser, service.base)));
    const tours = people.map((docs, i) => tour(docs, i === 0 ? TOUR : CHANGES));
    const [first, second] = await Promise.all(tours);
    expect(first?.failures).toEqual([]);
    expect(second?.failures).toEqual([]);
    expect(first?.token).toMatch(/^bps_page-[0-9a-f]{8}\./);
    expect(second?.token).toMatch(/^bps_page-[0-9a-f]{8}\./);
    expect(first?.token).not.toBe(second?.token);
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
