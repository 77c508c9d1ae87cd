import { toBuffer } from "../bytes.ts";
import { Errno } from "../errno.ts";
import { BackgroundWorker } from "../threads/background_worker.ts";
import type { TaskOwner } from "../threads/thread_pool.ts";
import type { LogRequest } from "./btf_log.ts";
import { type BtfReport, checkBtf } from "./check_btf.ts";

/** Checks long BTFs in a thread and short ones at once. */

interface BtfRequest {
  blob: Uint8Array;
  log: LogRequest;
}

/** Bytes of a BTF that is checked at once. */
const INLINE_BYTES = 32_768;

const worker = new BackgroundWorker<BtfRequest>(import.meta.url);

/** Answers the worker's requests, in a thread; a structured clone turns a Buffer into a Uint8Array. */
export const handleRequest = ({ blob, log }: BtfRequest): BtfReport =>
  checkBtf(toBuffer(blob), log);

/** checkBtf(). @throws EAGAIN when it takes too long or too many wait. */
export async function runBtfCheck(
  owner: TaskOwner,
  blob: Buffer,
  log: LogRequest,
): Promise<BtfReport> {
  if (blob.length <= INLINE_BYTES) return checkBtf(blob, log);
  const report = await worker.request<BtfReport>(owner, { blob, log });
  if (report === undefined) throw new Errno("EAGAIN", "checking the BTF took too long");
  return report;
}
