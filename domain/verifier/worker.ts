import { toBuffer } from "../bytes.ts";
import { Errno } from "../errno.ts";
import { decode, INSN_SIZE, type Insn } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import { BackgroundWorker } from "../threads/background_worker.ts";
import type { TaskOwner } from "../threads/thread_pool.ts";
import { type Precheck, precheck } from "./precheck.ts";
import type { MapFacts, Report, VerifierOptions } from "./verdict.ts";
import { verify, verifyWithin } from "./verifier.ts";

/** Verifies long programs in a thread, so that they do not block the event loop, and short ones at once. */

/** A precheck, or a check of the registers: places[i] is the index in maps of the i-th reference. */
type VerifierRequest = { insns: Uint8Array; options: VerifierOptions } & (
  | { fdArray: readonly number[]; byId?: ReadonlySet<number> }
  | { maps: readonly MapFacts[]; places: Uint32Array }
);

/** A program, decoded once; a thread that gets only the bytes decodes them itself. */
export interface DecodedInsns extends LoadedInsns {
  /** Left out for long programs, which only the thread decodes. */
  prog?: readonly Insn[];
}

/** Bytes of the programs whose structure is checked at once, in at most a few ms. */
const INLINE_PRECHECK_BYTES = INSN_SIZE * 8_192;
/** Bytes of the programs whose registers are checked at once, and how many steps that may take. */
const INLINE_BYTES = INSN_SIZE * 512;
const INLINE_INSNS_PROCESSED = 2_048;

const worker = new BackgroundWorker<VerifierRequest>(import.meta.url);

const mapsByPlace = (maps: readonly MapFacts[], places: Uint32Array): MapFacts[] =>
  Array.from(places, (place) => maps[place] as MapFacts);

/** Answers the worker's requests, in a thread. */
export function handleRequest(request: VerifierRequest): Precheck | Report {
  const { options } = request;
  const insns = toBuffer(request.insns);
  const prog = decode(insns);
  if ("fdArray" in request) return precheck({ ...request, insns }, prog, options, request.fdArray);
  return verify(prog, mapsByPlace(request.maps, request.places), options);
}

/** Whether the thread checks even the structure. */
export function isLong({ insns }: LoadedInsns): boolean {
  return insns.length > INLINE_PRECHECK_BYTES;
}

export function decodeUnlessLong(loaded: LoadedInsns): DecodedInsns {
  return isLong(loaded) ? loaded : { ...loaded, prog: decode(loaded.insns) };
}

/** precheck(). @throws EAGAIN when it takes too long or too many wait. */
export async function runPrecheck(
  owner: TaskOwner,
  { prog, ...loaded }: DecodedInsns,
  options: VerifierOptions,
  fdArray: readonly number[],
): Promise<Precheck> {
  if (prog !== undefined) return precheck(loaded, prog, options, fdArray);
  const result = await worker.request<Precheck>(owner, { ...loaded, options, fdArray });
  if (result === undefined) throw new Errno("EAGAIN", "checking the instructions took too long");
  return result;
}

/** A program that takes too long is accepted with no access proven; the machine checks each. */
const unproven = (insns: Buffer): Report => ({
  ...{ refusal: null, log: "", insnsProcessed: 0 },
  provenAccesses: new Uint8Array(insns.length / INSN_SIZE),
});

export interface DoCheckRequest {
  maps: readonly MapFacts[];
  /** The index in `maps` of each map reference of the program. */
  places: Uint32Array;
  options: VerifierOptions;
}

/** verify(). @throws EAGAIN when too many programs wait. */
export function runDoCheck(
  owner: TaskOwner,
  { insns, prog }: DecodedInsns,
  { maps, places, options }: DoCheckRequest,
): Report | Promise<Report> {
  if (prog !== undefined && insns.length <= INLINE_BYTES) {
    const named = mapsByPlace(maps, places);
    const report = verifyWithin(prog, named, options, INLINE_INSNS_PROCESSED);
    if (report !== null) return report;
  }
  const request = { insns, maps, options, places };
  return worker.request<Report>(owner, request).then((report) => report ?? unproven(insns));
}
