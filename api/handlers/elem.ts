import type { Request } from "express";
import { fdBytes, parseBytes } from "../bytes.ts";
import { done, type Handler, ok, pathNumber, query, type Reply } from "../handler.ts";

/** Elements of maps: read, written, deleted, walked. */

export type ValueBody = string | { fd: number };

const OCTETS = "application/octet-stream";

export function valueBytes(value: ValueBody): Buffer {
  return typeof value === "string" ? parseBytes(value, "/body/value") : fdBytes(value.fd);
}

/** Hex, or {id} for what is in a slot of an array of objects. */
function shown(value: Buffer, isId: boolean): string | { id: number } {
  return isId ? { id: value.readUInt32LE() } : value.toString("hex");
}

function key(req: Request): Buffer {
  return parseBytes(String(req.params.key), "/params/key");
}

const mapLookupElem: Handler = async ({ kernel }, { req, call }): Promise<Reply> => {
  const asked = key(req);
  const flags = query<number>(req, "flags");
  const { value, id } = await kernel.mapLookupElem(call, pathNumber(req, "fd"), asked, flags);
  if (req.accepts(["json", OCTETS]) === OCTETS) return { status: 200, bytes: value, type: OCTETS };
  return ok({ key: asked.toString("hex"), value: shown(value, id) });
};

const mapUpdateElem: Handler = async ({ kernel }, { req, call }) => {
  const raw = Buffer.isBuffer(req.body);
  const { value, flags } = raw
    ? { value: req.body as Buffer, flags: query<number>(req, "flags") }
    : decoded(req.body as { value: ValueBody; flags?: number });
  await kernel.mapUpdateElem(call, pathNumber(req, "fd"), key(req), value, flags);
  return done;
};

function decoded(body: { value: ValueBody; flags?: number }) {
  return { value: valueBytes(body.value), flags: body.flags ?? 0 };
}

const mapDeleteElem: Handler = async ({ kernel }, { req, call }) => {
  await kernel.mapDeleteElem(call, pathNumber(req, "fd"), key(req));
  return done;
};

const mapLookupAndDeleteElem: Handler = async ({ kernel }, { req, call }) => {
  const asked = key(req);
  const { flags = 0 } = (req.body ?? {}) as { flags?: number };
  const value = await kernel.mapLookupAndDeleteElem(call, pathNumber(req, "fd"), asked, flags);
  return ok({ key: asked.toString("hex"), value: value.toString("hex") });
};

const mapGetNextKey: Handler = async ({ kernel }, { req, call }) => {
  const text = query<string | undefined>(req, "key");
  const after = text === undefined ? undefined : parseBytes(text, "/query/key");
  const next = await kernel.mapGetNextKey(call, pathNumber(req, "fd"), after);
  return ok({ key: next.toString("hex") });
};

const mapDump: Handler = async ({ kernel }, { req, call }) => {
  const text = query<string | undefined>(req, "cursor");
  const from = text === undefined ? undefined : parseBytes(text, "/query/cursor");
  const page = await kernel.mapDump(call, pathNumber(req, "fd"), from, query(req, "limit"));
  const elements = page.elements.map(({ key, value }) => ({
    key: key.toString("hex"),
    value: shown(value, page.ids),
  }));
  return ok({ elements, ...(page.cursor ? { cursor: page.cursor.toString("hex") } : {}) });
};

export const elems = {
  mapLookupElem,
  mapUpdateElem,
  mapDeleteElem,
  mapLookupAndDeleteElem,
  mapGetNextKey,
  mapDump,
};
