import { toBuffer } from "../bytes.ts";
import { Errno } from "../errno.ts";
import { BackgroundWorker } from "../threads/background_worker.ts";
import { serveRequests } from "../threads/serve_requests.ts";
import { planObject } from "./object.ts";
import type { ObjectPlan, PlanOptions } from "./plan.ts";

/** Plans large object files in a thread and small ones at once. */

interface ObjectRequest {
  object: Uint8Array;
  options: PlanOptions;
}

/** Bytes of an object that is planned at once. */
const INLINE_BYTES = 65_536;

const worker = new BackgroundWorker<ObjectRequest>(import.meta.url);

// A structured clone turns a Buffer into a Uint8Array.
serveRequests(
  import.meta.url,
  () =>
    ({ object, options }: ObjectRequest) =>
      planObject(toBuffer(object), options),
);

/** planObject(). @throws EAGAIN when it takes too long. */
export async function readObject(object: Buffer, options: PlanOptions): Promise<ObjectPlan> {
  if (object.length <= INLINE_BYTES) return planObject(object, options);
  const plan = await worker.request<ObjectPlan>({ object, options });
  if (plan === undefined) throw new Errno("EAGAIN", "reading the object file took too long");
  const { license, maps, progs } = plan;
  return {
    license,
    maps: maps.map((map) => ({ ...map, data: map.data && toBuffer(map.data) })),
    progs: progs.map((prog) => ({ ...prog, insns: toBuffer(prog.insns) })),
  };
}
