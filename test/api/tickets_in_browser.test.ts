import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, expect, onTestFinished, vi } from "vitest";
import { accessRules } from "../../api/access/access_rules.ts";
import { browserTest } from "../support/browser.ts";
import { readText } from "../support/documents.ts";
import { put, RINGBUF } from "../support/ring_fixture.ts";
import { testService } from "../support/service.ts";

/** The EventSource of a browser follows a ring buffer with tickets, as the guide shows. */

const site = createServer((_req, res) => {
  res.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>a page</title>");
});
site.listen(0, "127.0.0.1");
await once(site, "listening");
afterAll(() => site.close());

const ORIGIN = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
const service = await testService(undefined, {}, "on", accessRules(false, [], [ORIGIN]));

const sockets = new Set<Socket>();
service.server.prependListener("request", ({ url = "", socket }) => {
  if (url.includes("/records/events")) sockets.add(socket);
});

function cutStreams(): void {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
}

const RECONNECT = { timeout: 30_000 };

/** The program of the guide, after what it takes for granted. */
function programOf(token: string | undefined): string {
  const [, example = ""] = /^```js\n(let last;.*?)^```$/ms.exec(readText("docs/guide.md")) ?? [];
  return `
    const service = ${JSON.stringify(service.base)};
    window.records = [];
    async function post(path, body) {
      const headers = { authorization: "Bearer ${token}", "content-type": "application/json" };
      const init = { method: "POST", headers, body: JSON.stringify(body) };
      const response = await fetch(service + path, init);
      if (!response.ok) throw new Error(response.status);
      return response.json();
    }
    ${example}
    follow(3, (data) => window.records.push(data));`;
}

browserTest(
  "a page follows a ring buffer over lost connections and expired tickets",
  async (browser) => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", RINGBUF);
    const page = await browser.newPage();
    const sent: { url: string; headers: Record<string, string> }[] = [];
    page.on("request", (request) => sent.push({ url: request.url(), headers: request.headers() }));
    await page.goto(ORIGIN);
    await page.addScriptTag({ content: programOf(session.token) });
    const records = () => page.evaluate<string[]>("window.records");
    const streams = () => sent.filter(({ url }) => url.includes("/records/events"));

    await put(session, ["01"]);
    await expect.poll(records, RECONNECT).toEqual(["01"]);

    cutStreams();
    await expect.poll(() => streams().length, RECONNECT).toBe(2);
    await put(session, ["02"]);
    await expect.poll(records, RECONNECT).toEqual(["01", "02"]);
    expect(streams()[1]?.url).toBe(streams()[0]?.url);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31_000 });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    cutStreams();
    await put(session, ["03"]);
    await expect.poll(records, RECONNECT).toEqual(["01", "02", "03"]);
    expect(streams().at(-1)?.url).toMatch(/&position=32$/);

    const tickets = streams().map(({ url }) => /ticket=([^&]*)/.exec(url)?.[1] ?? "");
    expect(new Set(tickets).size).toBe(2);
    for (const { url, headers } of sent) {
      const isStream = url.includes("/records/events");
      const told = JSON.stringify(isStream ? headers : { url, headers });
      for (const ticket of tickets) expect(told).not.toContain(ticket);
    }
    expect(page.url()).toBe(`${ORIGIN}/`);
  },
);
