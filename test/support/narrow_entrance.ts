import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/**
 * Opens another entrance to a service, a unix socket. Its buffers stay small, whereas those of TCP on loopback may
 * take 32 MiB of an answer that nobody reads.
 */
export async function narrowEntrance(service: Server): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "bpf-test-"));
  const path = join(folder, "entrance");
  const entrance = createServer((socket) => service.emit("connection", socket)).listen(path);
  await once(entrance, "listening");
  afterAll(() => {
    entrance.close();
    rmSync(folder, { recursive: true });
  });
  return path;
}
