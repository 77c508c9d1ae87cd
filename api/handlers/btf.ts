import { cancellableCall } from "../cancellation.ts";
import { createdFd, type Handler, ok, pathNumber, startedPageOf } from "../handler.ts";
import { readBody } from "../long_body/read_body.ts";

/** BTF objects: load, list and show them. */

const btfLoad: Handler = async ({ kernel }, request) => {
  const { btf, btf_log_level = 0, btf_log_size, ...body } = await readBody(request, "btfLoad");
  const { btf_flags = 0, btf_token_fd = 0 } = body;
  const attr = { btf, btf_log_level, btf_log_size, btf_flags, btf_token_fd };
  return createdFd(await kernel.btfLoad(cancellableCall(request), attr));
};

const btfList: Handler = async ({ kernel }, request) =>
  ok(await kernel.btfGetNextId(request.call, startedPageOf(request)));

const btfGet: Handler = async ({ kernel }, request) =>
  ok(await kernel.btfGet(request.call, pathNumber(request, "id")));

export const btfs = { btfLoad, btfList, btfGet };
