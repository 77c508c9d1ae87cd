import type { ElfOptions } from "../../domain/loader/elf_load.ts";
import { cancellableCall } from "../cancellation.ts";
import { parsePath } from "../codec/paths.ts";
import { created, type Handler, octetsOf } from "../handler.ts";
import { readBody } from "../long_body/read_body.ts";
import type { ElfFields } from "../long_body/readers.ts";

/** Object files: load them, with options in the query of an octet body, or beside the object in JSON. */

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
  const { object, fields } = await readBody(request, "elfLoad");
  return created(await kernel.elfLoad(cancellableCall(request), object, optionsOf(fields)));
};

const elfLoadBytes: Handler = async ({ kernel }, request) => {
  const options = optionsOf(request.query as ElfFields);
  return created(await kernel.elfLoad(cancellableCall(request), octetsOf(request), options));
};

export const elf = { elfLoad, elfLoadBytes };
