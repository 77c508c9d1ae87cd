import { randomBytes } from "node:crypto";
import type { LogRequest } from "../btf/btf_log.ts";
import type { BtfReport } from "../btf/check_btf.ts";
import { runBtfCheck } from "../btf/offload_checking.ts";
import { toBuffer } from "../bytes.ts";
import { Errno, Stale } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { BTF_STEP_BYTES } from "../redis/records.ts";
import { number } from "../redis/reply.ts";
import { nextCursor, readStart, type StartedPageRequest } from "./cursor.ts";
import { btfHolders, btfInfo, infos } from "./info.ts";

/** Commands that load, list and show BTF objects. */

export interface BtfAttr {
  btf: Buffer;
  btf_log_level: number;
  /** Bytes of the log that the caller takes; left out for all of it. */
  btf_log_size: number | undefined;
  btf_flags: number;
  btf_token_fd: number;
}

/** The largest level with a meaning; the script rejects others. */
const LOG_LEVELS = 15;

function logRequest({ btf_log_level: level, btf_log_size }: BtfAttr): LogRequest {
  const isValid = level > 0 && level <= LOG_LEVELS;
  // Without a buffer Linux counts the bytes of the log, and none is too many.
  return isValid ? { level, size: btf_log_size || undefined } : { level: 0 };
}

/** Fields that a success and a refusal both have. */
function logFields({ btf_log_level }: BtfAttr, { log }: BtfReport) {
  return btf_log_level === 0 ? {} : { btf_log_true_size: log.trueSize };
}

/** Sends long bytes ahead. @returns what is left for the load, and the name of the draft. */
async function stage(run: RunCommand, call: Call, bytes: Buffer): Promise<[Buffer, string]> {
  if (bytes.length <= BTF_STEP_BYTES) return [bytes, ""];
  const draft = randomBytes(12).toString("hex");
  for (let at = 0; at < bytes.length; at += BTF_STEP_BYTES) {
    const part = bytes.subarray(at, at + BTF_STEP_BYTES);
    await run(unrecorded(call), "btf_stage", draft, at, part);
  }
  return [Buffer.alloc(0), draft];
}

export function btfCommands(run: RunCommand) {
  return {
    async btfLoad(call: Call, attr: BtfAttr) {
      const { btf, btf_log_size = 0, ...rest } = attr;
      const report = await runBtfCheck(call, btf, logRequest(attr));
      const { refusal, facts, log } = report;
      const typeFacts = facts ? toBuffer(facts.types) : Buffer.alloc(0);
      const described = { string_bytes: facts?.stringBytes ?? 0, types_bytes: typeFacts.length };
      const attributes = JSON.stringify({ ...rest, btf_log_size, btf_size: btf.length });
      const verdict = JSON.stringify(refusal ?? described);
      // A refused blob is not stored.
      const [data, draft] = await stage(run, call, refusal ? Buffer.alloc(0) : btf);
      const [types, typesDraft] = await stage(run, call, typeFacts);
      const stored = [data, verdict, types, facts?.special ?? "", draft, typesDraft];
      try {
        const made = await run(call, "btf_load", attributes, ...stored);
        const [fd, id] = made.map(number);
        return { fd: fd ?? 0, id: id ?? 0, log: log.text, ...logFields(attr, report) };
      } catch (error) {
        if (error instanceof Stale)
          throw new Errno("EAGAIN", "the parts of the blob took too long");
        // Without a log the attributes were refused, before the blob was looked at.
        if (!(error instanceof Errno) || error.log === undefined) throw error;
        const extensions = logFields(attr, report);
        throw new Errno(error.code, error.message, { log: log.text, field: "btf", extensions });
      }
    },

    async btfGetNextId(call: Call, request: StartedPageRequest) {
      const reply = await run(call, "btf_get_next_id", readStart(request), request.limit, "", "");
      const [page, last] = reply;
      return { btfs: infos(page, btfInfo), ...nextCursor(last) };
    },

    async btfGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "btf_get", id);
      return { ...btfInfo(id, fields), holders: btfHolders(rows, more === 1) };
    },
  };
}
