import { expect, it } from "vitest";
import { WorkerClient } from "../../domain/threads/worker_client.ts";
import { GATED } from "../support/gated_thread.ts";

/** One lifecycle for every thread: requests one after the other, and an end. */

const MODULE = new URL("../../domain/threads/background_thread.ts", import.meta.url).href;

it("a message that cannot be cloned is refused, and the thread answers the next one", async () => {
  const client = new WorkerClient<unknown>(MODULE);
  try {
    await expect(client.request({ url: GATED, message: () => {} }, 30_000)).rejects.toThrow(
      /could not be cloned/,
    );
    const message = { url: GATED, message: { answer: 7 } };
    await expect(client.request<number>(message, 30_000)).resolves.toBe(7);
  } finally {
    client.terminate();
  }
});
