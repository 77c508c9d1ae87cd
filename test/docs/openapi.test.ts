import { readFileSync } from "node:fs";
import { join } from "node:path";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { testService } from "../support/service.ts";

/** The service shows its own contract. */

const service = await testService();
const CONTRACT = readFileSync(join(import.meta.dirname, "../../openapi.yaml"), "utf8");

describe("documentation", () => {
  it("serves the contract byte for byte", async () => {
    const answer = await request(service.server).get("/openapi.yaml").buffer(true);
    expect(answer.status).toBe(200);
    expect(answer.type).toBe("application/yaml");
    expect(answer.text).toBe(CONTRACT);
  });

  it("serves a page, and everything that the page loads", async () => {
    const page = await request(service.server).get("/docs");
    expect(page.type).toBe("text/html");
    const loads = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
    expect(loads.length).toBe(3);
    for (const path of loads) {
      const asset = await request(service.server).get(path);
      expect(asset.status, path).toBe(200);
      expect(Number(asset.headers["content-length"] ?? asset.text.length)).toBeGreaterThan(0);
    }
  });

  it("is where / leads to", async () => {
    const answer = await request(service.server).get("/");
    expect([answer.status, answer.headers.location]).toEqual([302, "/docs"]);
  });

  it("says that it lives and that it can work", async () => {
    for (const path of ["/livez", "/readyz"]) {
      const answer = await request(service.server).get(path);
      expect([path, answer.status, answer.body]).toEqual([path, 200, { status: "ok" }]);
    }
  });
});
