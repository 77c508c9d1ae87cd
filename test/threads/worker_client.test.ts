import { expect, it } from "vitest";
import type { CompiledSchema } from "../../domain/schema/schema.ts";
import { WorkerClient } from "../../domain/threads/worker_client.ts";

/** One lifecycle for every thread: requests one after the other, and an end. */

const MODULE = new URL("../../domain/schema/offload_parsing.ts", import.meta.url).href;

it("a message that cannot be cloned is refused, and the thread answers the next one", async () => {
  const client = new WorkerClient<unknown>(MODULE);
  try {
    await expect(client.request({ schema: () => {} }, 30_000)).rejects.toThrow(
      /could not be cloned/,
    );
    const message = { schema: { value: "int" }, key_size: 4, value_size: 4 };
    await expect(client.request<CompiledSchema>(message, 30_000)).resolves.toBeDefined();
  } finally {
    client.terminate();
  }
});
