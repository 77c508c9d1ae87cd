import { Errno } from "../../domain/errno.ts";
import type { Seed } from "../../domain/runtime/job.ts";
import type { ContextFields } from "../../domain/transaction/context_fields.ts";
import type { RunResult } from "../../domain/transaction/run_result.ts";
import type { RunAttr } from "../../domain/transaction/runner.ts";
import { cancellableCall } from "../cancellation.ts";
import { parsePath } from "../codec/paths.ts";
import { type Handler, ok, pathNumber, query } from "../handler.ts";
import { readBody } from "../long_body/read_body.ts";

/** Test runs of programs on a packet, by fd or by path. */

interface RunBody {
  data: Buffer | undefined;
  ctx: Buffer | ContextFields | undefined;
  repeat?: number;
  data_size_out?: number;
  flags?: number;
  seed?: Partial<Seed>;
}

interface PathBody extends RunBody {
  path: string;
}

function runAttr({ data, ctx, repeat = 1, flags = 0, seed = {} }: RunBody): RunAttr {
  return { data, ctx, repeat: Math.max(1, repeat), flags, seed };
}

/** @throws ENOSPC for a packet longer than data_size_out, with the result: the run has taken effect. */
function runResponse(
  { data_size_out: space = 0 }: RunBody,
  { retval, data, ctx, duration, seed, trace, programs }: RunResult,
  format: "hex" | "base64",
) {
  const show = (hex: string) =>
    format === "hex" ? hex : Buffer.from(hex, "hex").toString("base64");
  const size = data.length / 2;
  const isCut = space > 0 && space < size;
  const run = {
    retval,
    data_out: show(isCut ? data.slice(0, 2 * space) : data),
    data_size_out: size,
    ...(ctx === undefined ? {} : { ctx_out: typeof ctx === "string" ? show(ctx) : ctx }),
    ...{ duration_ns: duration, seed, trace, programs },
  };
  if (!isCut) return run;
  const detail = `the packet has ${size} bytes, data_size_out is ${space}; the run has taken effect`;
  throw new Errno("ENOSPC", detail, { extensions: { run } });
}

const progTestRun: Handler = async ({ kernel }, request) => {
  const body = (await readBody(request, "progTestRun")) as RunBody;
  const result = await kernel.progTestRun(
    cancellableCall(request),
    pathNumber(request, "fd"),
    runAttr(body),
  );
  return ok(runResponse(body, result, query(request, "format")));
};

const progRun: Handler = async ({ kernel }, request) => {
  const { path: given, ...body } = (await readBody(request, "progRun")) as PathBody;
  const path = parsePath(given, "path");
  const result = await kernel.progRun(cancellableCall(request), path, runAttr(body));
  return ok(runResponse(body, result, query(request, "format")));
};

export const runs = { progTestRun, progRun };
