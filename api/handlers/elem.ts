import type { ElementPage } from "../../domain/commands/elem.ts";
import { parseBytes } from "../codec/bytes.ts";
import { etag, ifMatch } from "../codec/etag.ts";
import { formOf, shown, type ValueBody, type ValueForm } from "../codec/value_codec.ts";
import { InvalidRequest } from "../errors/errors.ts";
import {
  done,
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  ok,
  pathNumber,
  query,
  revisionHeader,
  wantsOctets,
} from "../handler.ts";
import { OCTETS } from "../media_types.ts";

/** Elements of maps: read, written, deleted, walked. */

function keyOf(form: ValueForm, request: HandlerRequest): Buffer {
  return form.key(request.params.key as string, "key");
}

const mapLookupElem: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const wanted = keyOf(form, request);
  const how = { flags: query<number>(request, "flags"), touch: query<boolean>(request, "touch") };
  const found = await kernel.mapLookupElem(request.call, pathNumber(request, "fd"), wanted, how);
  const { value, id, revision } = found;
  const headers = { etag: etag(value), ...revisionHeader(revision) };
  if (wantsOctets(request)) {
    return { status: 200, bytes: value, type: OCTETS, headers };
  }
  const body = { key: form.showKey(wanted), value: shown(form, value, id) };
  return { status: 200, body, headers };
};

const mapUpdateElem: Handler = async (context, request) => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const raw = Buffer.isBuffer(request.body);
  if (!raw && query<number>(request, "flags") > 0) {
    throw new InvalidRequest(
      "/query/flags",
      "must not be in the query with a JSON body; send it as the field flags",
    );
  }
  const { value, flags } = raw
    ? { value: request.body as Buffer, flags: query<number>(request, "flags") }
    : decoded(form, request.body as { value: ValueBody; flags?: number });
  const element = { key: keyOf(form, request), value };
  const match = ifMatch(request);
  const { revision } = await kernel.mapUpdateElem(
    request.call,
    pathNumber(request, "fd"),
    element,
    flags,
    match,
  );
  return { ...done, headers: revisionHeader(revision) };
};

function decoded(form: ValueForm, body: { value: ValueBody; flags?: number }) {
  return { value: form.value(body.value, "value"), flags: body.flags ?? 0 };
}

const mapDeleteElem: Handler = async (context, request) => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const wanted = keyOf(form, request);
  const fd = pathNumber(request, "fd");
  const { revision } = await kernel.mapDeleteElem(request.call, fd, wanted, ifMatch(request));
  return { ...done, headers: revisionHeader(revision) };
};

const mapLookupAndDeleteElem: Handler = async (context, request) => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const wanted = keyOf(form, request);
  const { flags = 0 } = (request.body ?? {}) as { flags?: number };
  const fd = pathNumber(request, "fd");
  const value = await kernel.mapLookupAndDeleteElem(
    request.call,
    fd,
    wanted,
    flags,
    ifMatch(request),
  );
  return ok({ key: form.showKey(wanted), value: form.showValue(value) });
};

const mapGetNextKey: Handler = async (context, request) => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const text = query<string | undefined>(request, "key");
  const after = text === undefined ? undefined : form.key(text, "key");
  const next = await kernel.mapGetNextKey(request.call, pathNumber(request, "fd"), after);
  return ok({ key: form.showKey(next) });
};

function elements(form: ValueForm, page: ElementPage) {
  form.checkRoom(page.elements.length);
  return page.elements.map(({ key, value }) => ({
    key: form.showKey(key),
    value: shown(form, value, page.ids),
  }));
}

const mapDump: Handler = async (context, request) => {
  const { kernel } = context;
  const form = await formOf(context, request);
  const fd = pathNumber(request, "fd");
  if (query<boolean>(request, "snapshot")) {
    const page = await kernel.mapSnapshot(request.call, fd);
    return ok({ elements: elements(form, page), revision: page.revision });
  }
  const text = query<string | undefined>(request, "cursor");
  const from = text === undefined ? undefined : parseBytes(text, "cursor");
  const page = await kernel.mapDump(request.call, fd, from, query(request, "limit"));
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
