import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, expect } from "vitest";
import { accessRules } from "../../api/access/access_rules.ts";
import { browserTest } from "../support/browser.ts";
import { testService } from "../support/service.ts";

/** What pages of other sites can do in a browser on the machine of a service without API keys. */

const site = createServer((_req, res) => {
  res.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>a page</title>");
});
site.listen(0, "127.0.0.1");
await once(site, "listening");
afterAll(() => site.close());
const sitePort = (site.address() as AddressInfo).port;

const HOSTS = { "evil.example": "127.0.0.1", "page.example": "127.0.0.1" };
const LISTED = `http://page.example:${sitePort}`;
const UNLISTED = `http://evil.example:${sitePort}`;
const service = await testService(undefined, {}, "on", accessRules(false, [], [LISTED]));
const { port } = new URL(service.base);

async function sessionCount(): Promise<number> {
  const session = await service.session("default");
  const { body } = await session.get("/v1/sessions?limit=1000");
  await session.del("/v1/session");
  return body.sessions.length;
}

/** Sends a request from a page; the status that its script sees, or "blocked". */
function fetchFrom(page: Page, url: string, init: RequestInit): Promise<number | "blocked"> {
  return page.evaluate(
    async ([address, options]) => {
      try {
        return (await fetch(address, options)).status;
      } catch {
        return "blocked" as const;
      }
    },
    [url, init] as const,
  );
}

browserTest(
  "a page whose name was rebound to the service's address makes no session",
  async (browser) => {
    const page = await browser.newPage();
    const rebound = `http://evil.example:${port}`;
    // The page came from the attacker's own address, before its name pointed at this machine.
    await page.route(`${rebound}/page`, (route) => route.fulfill({ body: "<!doctype html>" }));
    await page.goto(`${rebound}/page`);
    const before = await sessionCount();
    expect(await fetchFrom(page, `${rebound}/v1/sessions`, { method: "POST" })).toBe(403);
    expect(await fetchFrom(page, `${rebound}/v1/sessions`, {})).toBe(403);
    expect(await sessionCount()).toBe(before);
  },
  // Newer Chromiums ask the user before a public page reaches this machine; others do not.
  { hosts: HOSTS, args: ["--disable-features=LocalNetworkAccessChecks"] },
);

browserTest(
  "a page of another origin can neither make a session nor read an answer",
  async (browser) => {
    const page = await browser.newPage();
    for (const origin of [UNLISTED, `http://127.0.0.1:${sitePort}`]) {
      await page.goto(origin);
      const before = await sessionCount();
      const url = `${service.base}/v1/sessions`;
      for (const init of [
        { method: "POST" },
        { method: "POST", mode: "no-cors" as const },
        { method: "POST", headers: { "content-type": "application/json" }, body: "{}" },
      ]) {
        // Of an opaque answer a script sees status 0.
        expect([0, "blocked"]).toContain(await fetchFrom(page, url, init));
      }
      expect(await fetchFrom(page, `${service.base}/livez`, {})).toBe("blocked");
      await page.setContent(`<form method="post" action="${url}"></form>`);
      await page
        .locator("form")
        .evaluate((form) => (form as unknown as { submit(): void }).submit());
      await page.waitForURL(url);
      expect(await page.textContent("body")).toContain("origin-not-allowed");
      expect(await sessionCount()).toBe(before);
    }
  },
  { hosts: HOSTS },
);

browserTest(
  "a page of a listed origin uses the service and reads headers",
  async (browser) => {
    const page = await browser.newPage();
    await page.goto(LISTED);
    const session = await service.session(service.namespace());
    const seen = await page.evaluate(
      async ([base, authorization]) => {
        const headers = { authorization: authorization ?? "", "content-type": "application/json" };
        const send = (method: string, path: string, body?: object) =>
          fetch(`${base}${path}`, {
            method,
            headers,
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          });
        await send("POST", "/v1/maps", { key_size: 4, value_size: 4, max_entries: 4 });
        const put = await send("PUT", "/v1/fds/3/elements/u32:1", { value: "u32:7" });
        const got = await send("GET", "/v1/fds/3/elements/u32:1");
        return [put.status, got.status, got.headers.get("etag"), await got.text()];
      },
      [service.base, `Bearer ${session.token}`],
    );
    expect(seen.slice(0, 3)).toEqual([204, 200, '"07000000"']);
    expect(seen[3]).toContain("07000000");
  },
  { hosts: HOSTS },
);

browserTest("the page on the service's own origin makes a session", async (browser) => {
  const page = await browser.newPage();
  await page.goto(`${service.base}/docs`);
  const init = { method: "POST", headers: { "content-type": "application/json" } };
  const body = JSON.stringify({ namespace: service.namespace() });
  expect(await fetchFrom(page, "/v1/sessions", { ...init, body })).toBe(201);
});
