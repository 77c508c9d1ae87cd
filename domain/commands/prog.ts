import { randomBytes } from "node:crypto";
import { pageOf } from "../asm/listing.ts";
import { Errno, einval, Stale } from "../errno.ts";
import { INSN_SIZE } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { Call, RunCommand, RunFirstHalf } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { PAGE_INSNS, STEP_PAGES } from "../redis/records.ts";
import { bytes, nextPage, number, pairs, text } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import type { Limits } from "../verifier/verifier.ts";
import { holders, infos, progInfo } from "./info.ts";
import { type Prepared, type ProgAttr, prepareLoad } from "./prog_load.ts";

/** Programs as objects: loaded, listed, bound to maps. */

/** How often the fds of a load may have become other maps meanwhile. */
const TRIES = 8;

const PAGE_BYTES = PAGE_INSNS * INSN_SIZE;
const STEP_BYTES = STEP_PAGES * PAGE_BYTES;

/**
 * A long program's instructions go ahead of it, step by step, as a draft that is its session's and expires
 * by itself: no script is given more than it can take in a short time.
 *
 * @returns the arguments of prog_load.
 */
async function sentAhead(run: RunCommand, call: Call, prepared: Prepared, draft: string) {
  const { insns, attr, verdict, unit } = prepared;
  const count = insns.length / INSN_SIZE;
  // Of a program that is refused, only the verdict is looked at.
  if (!unit) return [attr, "", verdict, count, ""];
  if (insns.length <= STEP_BYTES) return [attr, insns, verdict, count, ""];
  const own = unrecorded(call);
  for (let at = 0; at < insns.length; at += STEP_BYTES) {
    const step = insns.subarray(at, at + STEP_BYTES);
    const pages = Array.from({ length: Math.ceil(step.length / PAGE_BYTES) }, (_, i) =>
      step.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
    );
    await run(own, "prog_stage", draft, at / PAGE_BYTES, ...pages);
  }
  return [attr, "", verdict, count, draft];
}

/** @param onLoad is told of each program that was accepted. */
export function progCommands(
  run: RunCommand,
  begin: RunFirstHalf,
  limits: Partial<Limits>,
  onLoad: (unit: NonNullable<Prepared["unit"]>) => void,
) {
  return {
    /** @returns the log, too: of an accepted program what Linux says at its log level. */
    async progLoad(call: Call, attr: ProgAttr, program: LoadedInsns) {
      const told = ([fd, id, log]: RedisValue[]) => ({
        fd: number(fd),
        id: number(id),
        log: text(log),
      });
      const draft = randomBytes(12).toString("hex");
      for (let tries = 1; ; tries++) {
        const prepared = await prepareLoad(begin, call, attr, program, limits);
        if ("remembered" in prepared) return told(prepared.remembered);
        try {
          const args = await sentAhead(run, call, prepared, draft);
          const answer = await run(call, "prog_load", ...args);
          if (prepared.unit) onLoad(prepared.unit);
          return told(answer);
        } catch (error) {
          if (!(error instanceof Stale)) throw error;
          if (tries === TRIES) throw new Errno("EAGAIN", "its fds become other maps all the time");
        }
      }
    },

    async progGetNextId(call: Call, start: number, limit: number) {
      const [page, more] = await run(call, "prog_get_next_id", start, limit);
      return { progs: infos(page, progInfo), ...nextPage(more) };
    },

    async progGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "prog_get", id);
      return { ...progInfo(id, fields), holders: holders(rows, more === 1) };
    },

    /** At most `limit` instructions, and the second half of a ld_imm64. @throws EINVAL inside of one. */
    async progInsns(call: Call, id: number, start: number, limit: number) {
      const [count, insns, ids, names] = await run(call, "prog_insns", id, start, limit + 1);
      const named = pairs(names).map(([of, name]): [number, string] => [number(of), text(name)]);
      const page = {
        insn_cnt: number(count),
        start,
        limit,
        insns: bytes(insns),
        names: new Map(named),
      };
      const found = pageOf(page, text(ids).split(",").map(Number));
      if (found) return found;
      throw einval(`instruction ${start} is the second half of a ld_imm64`, "start");
    },

    progBindMap: (call: Call, fd: number, mapFd: number, flags: number) =>
      run(call, "prog_bind_map", fd, mapFd, flags),
  };
}
