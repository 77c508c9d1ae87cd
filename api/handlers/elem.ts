import type { Request } from "express";
import type { Page } from "../../domain/elem.ts";
import { einval } from "../../domain/errno.ts";
import { parseBytes } from "../bytes.ts";
import { type Form, formOf, shown, type ValueBody } from "../forms.ts";
import {
  done,
  type Handler,
  OCTETS,
  ok,
  pathNumber,
  query,
  type Reply,
  revised,
  wantsOctets,
} from "../handler.ts";
import { etag, ifMatch } from "../tags.ts";

/** Elements of maps: read, written, deleted, walked. */

function key(form: Form, req: Request): Buffer {
  return form.key(String(req.params.key), "/params/key");
}

const mapLookupElem: Handler = async (context, asked): Promise<Reply> => {
  const { req, call } = asked;
  const { kernel } = context;
  const form = await formOf(context, asked);
  const wanted = key(form, req);
  const how = { flags: query<number>(req, "flags"), touch: query<boolean>(req, "touch") };
  const found = await kernel.mapLookupElem(call, pathNumber(req, "fd"), wanted, how);
  const { value, id, revision } = found;
  const headers = { etag: etag(value), ...revised(revision) };
  if (wantsOctets(req)) {
    return { status: 200, bytes: value, type: OCTETS, headers };
  }
  return { ...ok({ key: form.showKey(wanted), value: shown(form, value, id) }), headers };
};

const mapUpdateElem: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const form = await formOf(context, asked);
  const raw = Buffer.isBuffer(req.body);
  if (!raw && query<number>(req, "flags") > 0) {
    throw einval("beside a JSON body flags is a field of it", "/query/flags");
  }
  const { value, flags } = raw
    ? { value: req.body as Buffer, flags: query<number>(req, "flags") }
    : decoded(form, req.body as { value: ValueBody; flags?: number });
  const element = { key: key(form, req), value };
  const match = ifMatch(req);
  const { revision } = await kernel.mapUpdateElem(
    call,
    pathNumber(req, "fd"),
    element,
    flags,
    match,
  );
  return { ...done, headers: revised(revision) };
};

function decoded(form: Form, body: { value: ValueBody; flags?: number }) {
  return { value: form.value(body.value, "/body/value"), flags: body.flags ?? 0 };
}

const mapDeleteElem: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const wanted = key(await formOf(context, asked), req);
  const fd = pathNumber(req, "fd");
  const { revision } = await kernel.mapDeleteElem(call, fd, wanted, ifMatch(req));
  return { ...done, headers: revised(revision) };
};

const mapLookupAndDeleteElem: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const form = await formOf(context, asked);
  const wanted = key(form, req);
  const { flags = 0 } = (req.body ?? {}) as { flags?: number };
  const fd = pathNumber(req, "fd");
  const value = await kernel.mapLookupAndDeleteElem(call, fd, wanted, flags, ifMatch(req));
  return ok({ key: form.showKey(wanted), value: form.showValue(value) });
};

const mapGetNextKey: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const form = await formOf(context, asked);
  const text = query<string | undefined>(req, "key");
  const after = text === undefined ? undefined : form.key(text, "/query/key");
  const next = await kernel.mapGetNextKey(call, pathNumber(req, "fd"), after);
  return ok({ key: form.showKey(next) });
};

function elements(form: Form, page: Page) {
  form.checkRoom(page.elements.length);
  return page.elements.map(({ key, value }) => ({
    key: form.showKey(key),
    value: shown(form, value, page.ids),
  }));
}

const mapDump: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const form = await formOf(context, asked);
  const fd = pathNumber(req, "fd");
  if (query<boolean>(req, "snapshot")) {
    const page = await kernel.mapSnapshot(call, fd);
    return ok({ elements: elements(form, page), revision: page.revision });
  }
  const text = query<string | undefined>(req, "cursor");
  const from = text === undefined ? undefined : parseBytes(text, "/query/cursor");
  const page = await kernel.mapDump(call, fd, from, query(req, "limit"));
  const cursor = page.cursor ? { cursor: page.cursor.toString("hex") } : {};
  return ok({ elements: elements(form, page), ...cursor });
};

export const elems = {
  mapLookupElem,
  mapUpdateElem,
  mapDeleteElem,
  mapLookupAndDeleteElem,
  mapGetNextKey,
  mapDump,
};
