import type { ElfOptions } from "../../domain/loader/elf_load.ts";
import { cancellableCall } from "../cancellation.ts";
import { parseBytes } from "../codec/bytes.ts";
import { parsePath } from "../codec/paths.ts";
import { created, type Handler, octetsOf } from "../handler.ts";

/** Object files: load them. */

/** Options in the query of an octet body, or beside the object in a JSON body. */
interface ElfFields {
  name?: string;
  pin_root?: string;
  pin_progs?: string;
  prog_type?: string;
  log_level?: number;
  max_entries?: Record<string, number>;
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** Reads hex, else base64 with or without b64:. @throws EINVAL */
function objectOf(text: string): Buffer {
  return parseBytes(HEX.test(text) ? text : `b64:${text.replace(/^b64:/, "")}`, "object");
}

function optionsOf(fields: ElfFields): ElfOptions {
  const { name = "obj", pin_root = "/", pin_progs, log_level = 0, ...rest } = fields;
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
  const { object, ...fields } = request.body as ElfFields & { object: string };
  return created(
    await kernel.elfLoad(cancellableCall(request), objectOf(object), optionsOf(fields)),
  );
};

const elfLoadBytes: Handler = async ({ kernel }, request) => {
  const options = optionsOf(request.query as ElfFields);
  return created(await kernel.elfLoad(cancellableCall(request), octetsOf(request), options));
};

export const elf = { elfLoad, elfLoadBytes };
