import type { ElfOptions } from "../../domain/loader/elf_load.ts";
import { cancellableCall } from "../cancellation.ts";
import { parseBytes } from "../codec/bytes.ts";
import { parsePath } from "../codec/paths.ts";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { created, type Handler, type HandlerRequest, query } from "../handler.ts";

/** Object files: load them. */

/** Options in the query of an octet body, or beside the object in a JSON body. */
interface ElfFields {
  name?: string;
  pin_root?: string;
  pin_progs?: string;
  prog_type?: string;
  log_level?: number;
}

interface ElfBody extends ElfFields {
  object: string;
  max_entries?: Record<string, number>;
}

const FIELDS = ["name", "pin_root", "pin_progs", "prog_type", "log_level"] as const;
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** Reads hex, else base64 with or without b64:. @throws EINVAL */
function objectOf(text: string): Buffer {
  return parseBytes(HEX.test(text) ? text : `b64:${text.replace(/^b64:/, "")}`, "object");
}

function fieldsOf(request: HandlerRequest): ElfFields & { max_entries?: Record<string, number> } {
  const inQuery = FIELDS.filter((field) => query(request, field) !== undefined);
  const [first] = inQuery;
  if (Buffer.isBuffer(request.body)) {
    return Object.fromEntries(inQuery.map((field) => [field, query(request, field)]));
  }
  if (first)
    throw new InvalidRequest(
      `/query/${first}`,
      "must be a field of the JSON body, not a query parameter",
    );
  return request.body as ElfBody;
}

function optionsOf(request: HandlerRequest): ElfOptions {
  const { name = "obj", pin_root = "/", pin_progs, log_level = 0, ...rest } = fieldsOf(request);
  return {
    name,
    pin_root: parsePath(pin_root, "pin_root"),
    pin_progs: pin_progs === undefined ? undefined : parsePath(pin_progs, "pin_progs"),
    log_level,
    prog_type: rest.prog_type,
    max_entries: rest.max_entries,
  };
}

const elfLoad: Handler = async ({ kernel }, request) => {
  const object = Buffer.isBuffer(request.body)
    ? request.body
    : objectOf((request.body as ElfBody).object);
  return created(await kernel.elfLoad(cancellableCall(request), object, optionsOf(request)));
};

export const elf = { elfLoad };
