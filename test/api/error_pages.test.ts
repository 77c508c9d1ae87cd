import { expect, it } from "vitest";
import { errorHtml } from "../../api/errors/pages/error_html.ts";
import { errorsMarkdown } from "../../api/errors/pages/error_markdown.ts";
import { ERROR_PAGES } from "../../api/errors/pages/error_page.ts";
import { routes } from "../../api/openapi/openapi.ts";
import { readText } from "../support/documents.ts";
import { raw } from "../support/raw.ts";
import { testService } from "../support/service.ts";

/** The type of every problem leads to a page of the service that says what it means. */

const service = await testService();

it("docs/errors/README.md is what npm run errors writes from the contract", () => {
  expect(readText("docs/errors/README.md")).toBe(errorsMarkdown(ERROR_PAGES));
});

it("the pages have every cause that a description of the contract gives", () => {
  const given = routes.flatMap(({ operation: { operationId, description = "" } }) =>
    [...description.matchAll(/^- (E[A-Z0-9]+): /gm)].map(([, errno]) => `${operationId} ${errno}`),
  );
  const shown = ERROR_PAGES.flatMap(({ name, operations }) =>
    operations.filter(({ when }) => when !== "").map((one) => `${one.operationId} ${name}`),
  );
  expect(given.length).toBeGreaterThan(200);
  expect(shown).toEqual(expect.arrayContaining(given));
});

it.each(ERROR_PAGES)("the service shows a page about $name", async ({ name, title, meaning }) => {
  const answer = await raw(service.base, "GET", `/docs/errors/${name}`);
  expect([answer.status, answer.headers["content-type"]]).toEqual([
    200,
    "text/html; charset=utf-8",
  ]);
  expect(answer.text).toContain(`<h1>${name}: ${title}</h1>`);
  expect(meaning).toMatch(/\.$/);
  const head = await raw(service.base, "HEAD", `/docs/errors/${name}`);
  expect([head.status, head.text]).toEqual([200, ""]);
});

/** One request for each way to a problem: of the domain, of HTTP, of a library, of node:http. */
it.each([
  ["GET", "/v1/fds/9", "EBADFD", {}],
  ["GET", "/v1/fds/x", "EINVAL", {}],
  ["GET", "/v1/nothing", "not-found", {}],
  ["POST", "/livez", "method-not-allowed", {}],
  ["GET", "/v1/fds", "unauthorized", { authorization: "" }],
  ["POST", "/v1/maps", "unsupported-media-type", { "content-type": "text/plain" }],
  ["GET", "/livez", "headers-too-large", { x: "x".repeat(20_000) }],
])("the type of the problem of %s %s is the path of the page about %s", async (...given) => {
  const [method, path, name, headers] = given;
  const { token } = await service.session(service.namespace());
  const all = { authorization: `Bearer ${token}`, ...headers } as Record<string, string>;
  const body = "content-type" in headers ? "x" : undefined;
  const answer = await raw(service.base, method, path, all, body);
  const { type, title, status } = JSON.parse(answer.text);
  expect(type).toBe(`/docs/errors/${name}`);
  // RFC 9457, section 3.1.1: a reference is resolved against the request.
  const page = await fetch(new URL(type, service.base + path));
  expect(await page.text()).toContain(title);
  expect(ERROR_PAGES.find((one) => one.name === name)?.status).toBe(status);
});

it("a page that no problem has is 404, and the index links to every other", async () => {
  for (const path of ["/docs/errors/ENOTHING", "/docs/errors/", "/docs/errors/__proto__"]) {
    expect((await raw(service.base, "GET", path)).status, path).toBe(404);
  }
  const { text } = await raw(service.base, "GET", "/docs/errors");
  const linked = [...text.matchAll(/href="\/docs\/errors\/([^"]+)"/g)].map(([, name]) => name);
  expect(linked).toEqual(ERROR_PAGES.map(({ name }) => name));
});

it("a page escapes what the contract says", () => {
  const [page] = ERROR_PAGES;
  const html = errorHtml({ ...(page as (typeof ERROR_PAGES)[0]), meaning: 'a <b> & "c" `d<e`' });
  expect(html).toContain("<p>a &lt;b> &amp; &quot;c&quot; <code>d&lt;e</code></p>");
});
