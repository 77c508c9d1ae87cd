import { assemble } from "../../domain/asm/assembler.ts";
import { einval } from "../../domain/errno.ts";
import type { LoadedInsns } from "../../domain/isa/loaded_insns.ts";
import { cancellableCall } from "../cancellation.ts";
import { parseBytes } from "../codec/bytes.ts";
import {
  createdFd,
  type Handler,
  noContent,
  ok,
  pathNumber,
  query,
  startedPageOf,
} from "../handler.ts";

/** Programs: load, list and show them, and bind maps to them. */

interface ProgLoadBody {
  prog_type?: string | number;
  insns?: string;
  asm?: string | string[];
  license?: string;
  prog_name?: string;
  prog_flags?: number;
  expected_attach_type?: number;
  log_level?: number;
  fd_array?: number[];
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;
const INSN_BYTES = 8;

/** Reads hex, else a b64: literal, else plain base64. @throws EINVAL */
function parseInsns(text: string): Buffer {
  const bytes =
    HEX.test(text) || text.startsWith("b64:")
      ? parseBytes(text, "insns")
      : parseBytes(`b64:${text}`, "insns");
  if (bytes.length % INSN_BYTES !== 0) {
    throw einval(`must have a multiple of ${INSN_BYTES} bytes, got ${bytes.length}`, "insns");
  }
  return bytes;
}

/** Reads the program from the one form that is given. @throws EINVAL */
function program({ insns, asm }: ProgLoadBody): LoadedInsns | Promise<LoadedInsns> {
  if (insns === undefined && asm === undefined) {
    throw einval("is missing; send the program as insns or as asm", "insns");
  }
  if (insns === undefined) return assemble([asm ?? ""].flat().join("\n"), "asm");
  if (asm === undefined) return { insns: parseInsns(insns) };
  throw einval("must not be sent together with insns", "asm");
}

const progLoad: Handler = async ({ kernel }, request) => {
  const body = request.body as ProgLoadBody;
  const attr = {
    prog_type: String(body.prog_type ?? "sched_cls"),
    license: body.license ?? "GPL",
    prog_name: body.prog_name ?? "",
    prog_flags: body.prog_flags ?? 0,
    expected_attach_type: body.expected_attach_type ?? 0,
    log_level: body.log_level ?? 0,
    fd_array: body.fd_array,
  };
  return createdFd(await kernel.progLoad(cancellableCall(request), attr, await program(body)));
};

const progList: Handler = async ({ kernel }, request) =>
  ok(
    await kernel.progGetNextId(request.call, {
      ...startedPageOf(request),
      prog_type: query(request, "prog_type"),
      prog_name: query(request, "prog_name"),
    }),
  );

const progGet: Handler = async ({ kernel }, request) =>
  ok(await kernel.progGet(request.call, pathNumber(request, "id")));

const progBindMap: Handler = async ({ kernel }, request) => {
  const { map_fd, flags = 0 } = request.body as { map_fd: number; flags?: number };
  await kernel.progBindMap(request.call, pathNumber(request, "fd"), map_fd, flags);
  return noContent;
};

export const progs = { progLoad, progList, progGet, progBindMap };
