import { readFileSync } from "node:fs";
import { join } from "node:path";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { document, type Operation, routes } from "../../api/openapi/openapi.ts";
import { testService } from "../support/service.ts";

/** The service serves its own contract, which keeps to a style. */

const service = await testService();
const CONTRACT = readFileSync(join(import.meta.dirname, "../../openapi.yaml"), "utf8");

describe("pages of the service", () => {
  it("the service serves the contract byte for byte", async () => {
    const answer = await request(service.server).get("/openapi.yaml").buffer(true);
    expect(answer.status).toBe(200);
    expect(answer.type).toBe("application/yaml");
    expect(answer.text).toBe(CONTRACT);
  });

  it("the service serves a documentation page and everything that it loads", async () => {
    const page = await request(service.server).get("/docs");
    expect(page.type).toBe("text/html");
    const loads = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
    expect(loads.length).toBe(5);
    for (const path of loads) {
      const asset = await request(service.server).get(path);
      expect(asset.status, path).toBe(200);
      expect(Number(asset.headers["content-length"] ?? asset.text.length)).toBeGreaterThan(0);
    }
  });

  it("/ redirects to the documentation", async () => {
    const answer = await request(service.server).get("/");
    expect([answer.status, answer.headers.location]).toEqual([302, "/docs"]);
  });

  it("livez and readyz both answer 200", async () => {
    for (const path of ["/livez", "/readyz"]) {
      const answer = await request(service.server).get(path);
      expect([path, answer.status, answer.body]).toEqual([path, 200, { status: "ok" }]);
    }
  });
});

interface DescribedOperation extends Operation {
  summary: string;
  description: string;
}

/** Every object of a document with a description, and the name under which it stands. */
function described(value: unknown, name: string): [name: string, description: string][] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, item]) => described(item, key));
  const { description } = value as { description?: unknown };
  return typeof description === "string" ? [[name, description], ...inner] : inner;
}

describe("the style of the document", () => {
  const operations = routes.map(({ operation }) => operation as DescribedOperation);

  it("a line has at most 120 characters", () => {
    expect(CONTRACT.split("\n").filter((line) => line.length > 120)).toEqual([]);
  });

  it.each(operations.map((operation) => [operation.operationId, operation] as const))(
    "%s has a summary of at most 8 words and tells the cause of each errno in a line of its own",
    (_id, { summary, description, "x-errnos": errnos }) => {
      expect(summary.split(" ").length).toBeLessThanOrEqual(8);
      const lines = [...description.matchAll(/^- (E[A-Z0-9]+): /gm)].map(([, errno]) => errno);
      expect(new Set(lines).size).toBe(lines.length);
      // Every operation gives EINVAL for what does not match the document, so its text may omit it.
      expect([...new Set([...lines, "EINVAL"])].sort()).toEqual([...errnos].sort());
    },
  );

  it("no description only repeats a name", () => {
    const plain = (text: string) =>
      text.toLowerCase().replaceAll(/\b(its|the|an?)\b|[^a-z0-9]/g, "");
    const repeated = described(document, "").filter(([name, text]) => plain(name) === plain(text));
    expect(repeated).toEqual([]);
  });
});
