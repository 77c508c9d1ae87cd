import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";

/** Starts one real redis-server for the whole run; every test uses its own namespaces on it. */
export default async function setup(project: TestProject) {
  const dir = mkdtempSync(join(tmpdir(), "bpf-test-"));
  const redis = await startPrivateRedis({ dir });
  project.provide("redisUrl", `unix://${redis.url}`);
  return async () => {
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  };
}

declare module "vitest" {
  export interface ProvidedContext {
    redisUrl: string;
  }
}
