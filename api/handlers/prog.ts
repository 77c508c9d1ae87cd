import { cancellableCall } from "../cancellation.ts";
import {
  createdFd,
  type Handler,
  noContent,
  ok,
  pathNumber,
  query,
  startedPageOf,
} from "../handler.ts";
import { readBody } from "../long_body/read_body.ts";

/** Programs: load, list and show them, and bind maps to them. */

const progLoad: Handler = async ({ kernel }, request) => {
  const { program, btf, ...body } = await readBody(request, "progLoad");
  const attr = {
    prog_type: String(body.prog_type ?? "sched_cls"),
    license: body.license ?? "GPL",
    prog_name: body.prog_name ?? "",
    prog_flags: body.prog_flags ?? 0,
    expected_attach_type: body.expected_attach_type ?? 0,
    log_level: body.log_level ?? 0,
    fd_array: body.fd_array,
    btf,
  };
  return createdFd(await kernel.progLoad(cancellableCall(request), attr, program));
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
