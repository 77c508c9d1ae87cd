import { BtfEnv } from "./btf_env.ts";
import { checkHeader } from "./btf_header.ts";
import { BtfLog, type FinishedLog, type LogRequest } from "./btf_log.ts";
import { checkAllMetas } from "./check_meta.ts";
import { type BtfErrno, BtfRefused } from "./refused.ts";
import { resolveAll } from "./resolve.ts";
import { findSpecialFields } from "./special_fields.ts";
import { encodeTypeFacts } from "./type_facts.ts";
import { TypeTable } from "./type_table.ts";
import { checkTypeTags } from "./type_tags.ts";

/** btf_parse() of Linux 6.18: checks a BTF and collects the facts that commands need of its types. */

export interface BtfFacts {
  /** Bytes of the strings. */
  readonly stringBytes: number;
  /** Facts of each type, as type_facts.ts encodes them. */
  readonly types: Uint8Array;
  /** FieldsByType as JSON, "" for none. */
  readonly special: string;
}

export interface BtfReport {
  readonly refusal: { readonly errno: BtfErrno | "ENOSPC"; readonly detail: string } | null;
  readonly log: FinishedLog;
  /** Absent from a refused BTF. */
  readonly facts?: BtfFacts;
}

/** @throws BtfRefused */
function parseBtf(blob: Buffer, log: BtfLog): BtfFacts {
  const { types: start, typesEnd, strings, stringBytes } = checkHeader(blob, log);
  const types = new TypeTable(blob, strings, stringBytes);
  const env = new BtfEnv(types, log);
  checkAllMetas(env, start, typesEnd);
  const resolved = resolveAll(env);
  checkTypeTags(env);
  const special = findSpecialFields(types);
  return {
    stringBytes,
    types: encodeTypeFacts(resolved),
    special: Object.keys(special).length > 0 ? JSON.stringify(special) : "",
  };
}

export function checkBtf(blob: Buffer, request: LogRequest): BtfReport {
  const log = new BtfLog(request);
  let refusal: BtfReport["refusal"] = null;
  let facts: BtfFacts | undefined;
  try {
    facts = parseBtf(blob, log);
  } catch (error) {
    if (!(error instanceof BtfRefused)) throw error;
    refusal = { errno: error.errno, detail: error.detail };
  }
  const finished = log.finish();
  if (finished.isCut) {
    const detail = `the log needs ${finished.trueSize} bytes, btf_log_size is ${request.size}`;
    refusal = { errno: "ENOSPC", detail };
  }
  return { refusal, log: finished, ...(refusal === null && facts ? { facts } : {}) };
}
