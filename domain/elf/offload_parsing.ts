import { toBuffer } from "../bytes.ts";
import { Errno } from "../errno.ts";
import { BackgroundWorker } from "../threads/background_worker.ts";
import type { TaskOwner } from "../threads/thread_pool.ts";
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

/** Answers the worker's requests, in a thread; a structured clone turns a Buffer into a Uint8Array. */
export const handleRequest = ({ object, options }: ObjectRequest): ObjectPlan =>
  planObject(toBuffer(object), options);

/** planObject(). @throws EAGAIN when it takes too long or too many wait. */
export async function readObject(
  owner: TaskOwner,
  object: Buffer,
  options: PlanOptions,
): Promise<ObjectPlan> {
  if (object.length <= INLINE_BYTES) return planObject(object, options);
  const plan = await worker.request<ObjectPlan>(owner, { object, options });
  if (plan === undefined) throw new Errno("EAGAIN", "reading the object file took too long");
  const { license, maps, progs } = plan;
  return {
    license,
    maps: maps.map((map) => ({ ...map, data: map.data && toBuffer(map.data) })),
    progs: progs.map((prog) => ({ ...prog, insns: toBuffer(prog.insns) })),
  };
}
