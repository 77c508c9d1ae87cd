// A thread that judges long programs, so that the service goes on answering meanwhile.

import { Errno } from "../errno.ts";
import { INSN_SIZE } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import { BackgroundWorker, serveRequests } from "../threads/background_worker.ts";
import { type Precheck, precheck } from "./precheck.ts";
import type { MapFacts, Report, VerifierOptions } from "./verdict.ts";
import { attempt, verify } from "./verifier.ts";

/** About a program's shape, or its registers: places[i] is the place in maps of what its i-th reference names. */
type Asked = { insns: Uint8Array; options: VerifierOptions } & (
  | { fdArray: readonly number[]; byId?: ReadonlySet<number> }
  | { maps: readonly MapFacts[]; places: Uint32Array }
);

/** Programs whose shape takes more than a few ms. */
const SHAPE_AT_ONCE = INSN_SIZE * 8_192;
/** Longer programs than this take the thread, and those whose paths are: the rest costs milliseconds. */
const BYTES_AT_ONCE = INSN_SIZE * 512;
/** Instructions gone through. */
const PATIENCE_AT_ONCE = 2_048;

const thread = new BackgroundWorker<Asked>(import.meta.url);

const named = (maps: readonly MapFacts[], places: Uint32Array): MapFacts[] =>
  Array.from(places, (place) => maps[place] as MapFacts);

serveRequests(import.meta.url, ({ insns: bytes, options, ...asked }: Asked): Precheck | Report => {
  const insns = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if ("fdArray" in asked) return precheck({ insns, ...asked }, options, asked.fdArray);
  return verify(insns, named(asked.maps, asked.places), options);
});

/** Whether its shape alone takes the thread. */
export function isLong({ insns }: LoadedInsns): boolean {
  return insns.length > SHAPE_AT_ONCE;
}

/** @returns what judge() says of a program. @throws EAGAIN */
export async function runPrecheck(
  prog: LoadedInsns,
  options: VerifierOptions,
  fdArray: readonly number[],
): Promise<Precheck> {
  if (!isLong(prog)) return precheck(prog, options, fdArray);
  const judged = await thread.request<Precheck>({ ...prog, options, fdArray });
  if (judged) return judged;
  throw new Errno("EAGAIN", "looking through the program took too long");
}

/** Nothing refuses it for certain, and nothing is proved: the machine finds out. */
const unknown = (insns: Buffer): Report => ({
  ...{ refusal: null, log: "", insnsProcessed: 0 },
  provenAccesses: new Uint8Array(insns.length / INSN_SIZE),
});

/** @returns what verify() says of a program. @throws EAGAIN */
export function doCheck(
  insns: Buffer,
  maps: readonly MapFacts[],
  options: VerifierOptions,
  places: Uint32Array = new Uint32Array(),
): Report | Promise<Report> {
  const isShort = insns.length <= BYTES_AT_ONCE;
  const report = isShort ? attempt(insns, named(maps, places), options, PATIENCE_AT_ONCE) : null;
  if (report !== null) return report;
  const asked = { insns, maps, options, places };
  return thread.request<Report>(asked).then((told) => told ?? unknown(insns));
}
