import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { type ContractAnswer, exchange } from "../support/contract/exchange.ts";
import { takeTour } from "../support/contract/tour.ts";
import { testService } from "../support/service.ts";

/** Prism, which others wrote, stands between client and service and checks both against the document. */

const ROOT = join(import.meta.dirname, "../..");
const TOOLS = join(ROOT, "node_modules/.cache/tools/node_modules");
const PRISM = join(TOOLS, "@stoplight/prism-cli/dist/index.js");

const service = await testService();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Starts the proxy; with `errors` it answers a violation instead of passing it on. */
async function startProxy(upstream: string) {
  const port = await freePort();
  const args = ["proxy", join(ROOT, "openapi.yaml"), upstream, "--errors", "--port", String(port)];
  const child = spawn(process.execPath, [PRISM, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface(child.stdout);
  for await (const line of lines) if (line.includes("Prism is listening")) break;
  child.stdout.resume();
  return { base: `http://127.0.0.1:${port}`, stop: () => child.kill("SIGTERM") };
}

/** What the proxy says of an answer: its violations, or the status of a failure. */
function complaint({ status, headers, body }: ContractAnswer): string | undefined {
  const violations = headers["sl-violations"];
  if (violations !== undefined) return String(violations);
  return status < 400 ? undefined : `${status} ${body}`;
}

/** The proxy reads bodies as UTF-8, which an object file is not. */
const NOT_TEXT = ["elfLoadBytes"];

it("a validating proxy sees no violation in a tour of all operations", async () => {
  const proxy = await startProxy(service.base);
  const complaints: string[] = [];
  const streams: Promise<void>[] = [];
  const visit = async (operationId: string, sent: Parameters<typeof exchange>[1]) => {
    const answer = await exchange(proxy.base, sent);
    const found = complaint(answer);
    if (found && !NOT_TEXT.includes(operationId)) complaints.push(`${operationId}: ${found}`);
    return answer;
  };
  try {
    await takeTour(service.namespace(), async ({ operationId }, sent) => {
      if (!operationId.endsWith("Events")) return visit(operationId, sent);
      // The proxy passes a stream on when it has ended, which the last step does.
      streams.push(visit(operationId, sent).then(() => {}));
      return { status: 200, headers: {}, mediaType: undefined, body: Buffer.alloc(0) };
    });
    await Promise.all(streams);
  } finally {
    proxy.stop();
  }
  expect(complaints).toEqual([]);
});
