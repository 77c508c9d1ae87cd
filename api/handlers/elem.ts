import type { ElementPage } from "../../domain/commands/elem.ts";
import { parseBytes } from "../codec/bytes.ts";
import { etag, ifMatch } from "../codec/etag.ts";
import { codecOf, type ValueBody, type ValueCodec, writeValue } from "../codec/value_codec.ts";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import {
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  noContent,
  ok,
  pathNumber,
  query,
  revisionHeader,
  wantsOctets,
} from "../handler.ts";
import { OCTETS } from "../media_types.ts";

/** Elements of maps: look up, update, delete, take and list them. */

function keyOf(codec: ValueCodec, request: HandlerRequest): Buffer {
  return codec.parseKey(request.params.key as string, "key");
}

const mapLookupElem: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const options = {
    flags: query<number>(request, "flags"),
    touch: query<boolean>(request, "touch"),
  };
  const found = await kernel.mapLookupElem(request.call, pathNumber(request, "fd"), key, options);
  const { value, id, revision } = found;
  const headers = { etag: etag(value), ...revisionHeader(revision) };
  if (wantsOctets(request)) {
    return { status: 200, bytes: value, type: OCTETS, headers };
  }
  const body = { key: codec.writeKey(key), value: writeValue(codec, value, id) };
  return { status: 200, body, headers };
};

const mapUpdateElem: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const isRaw = Buffer.isBuffer(request.body);
  if (!isRaw && query<number>(request, "flags") > 0) {
    throw new InvalidRequest(
      "/query/flags",
      "must not be in the query with a JSON body; send it as the field flags",
    );
  }
  const { value, flags } = isRaw
    ? { value: request.body as Buffer, flags: query<number>(request, "flags") }
    : elementOf(codec, request.body as { value: ValueBody; flags?: number });
  const element = { key: keyOf(codec, request), value };
  const match = ifMatch(request);
  const { revision } = await kernel.mapUpdateElem(
    request.call,
    pathNumber(request, "fd"),
    element,
    flags,
    match,
  );
  return { ...noContent, headers: revisionHeader(revision) };
};

function elementOf(codec: ValueCodec, body: { value: ValueBody; flags?: number }) {
  return { value: codec.readValue(body.value, "value"), flags: body.flags ?? 0 };
}

const mapDeleteElem: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const fd = pathNumber(request, "fd");
  const { revision } = await kernel.mapDeleteElem(request.call, fd, key, ifMatch(request));
  return { ...noContent, headers: revisionHeader(revision) };
};

const mapLookupAndDeleteElem: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const { flags = 0 } = (request.body ?? {}) as { flags?: number };
  const fd = pathNumber(request, "fd");
  const value = await kernel.mapLookupAndDeleteElem(request.call, fd, key, flags, ifMatch(request));
  return ok({ key: codec.writeKey(key), value: codec.writeValue(value) });
};

const mapGetNextKey: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const text = query<string | undefined>(request, "key");
  const after = text === undefined ? undefined : codec.parseKey(text, "key");
  const next = await kernel.mapGetNextKey(request.call, pathNumber(request, "fd"), after);
  return ok({ key: codec.writeKey(next) });
};

function writeElements(codec: ValueCodec, page: ElementPage) {
  codec.checkLength(page.elements.length);
  return page.elements.map(({ key, value }) => ({
    key: codec.writeKey(key),
    value: writeValue(codec, value, page.ids),
  }));
}

const mapDump: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const fd = pathNumber(request, "fd");
  if (query<boolean>(request, "snapshot")) {
    const page = await kernel.mapSnapshot(request.call, fd);
    return ok({ elements: writeElements(codec, page), revision: page.revision });
  }
  const text = query<string | undefined>(request, "cursor");
  const from = text === undefined ? undefined : parseBytes(text, "cursor");
  const page = await kernel.mapDump(request.call, fd, from, query(request, "limit"));
  const cursor = page.cursor ? { cursor: page.cursor.toString("hex") } : {};
  return ok({ elements: writeElements(codec, page), ...cursor });
};

export const elems = {
  mapLookupElem,
  mapUpdateElem,
  mapDeleteElem,
  mapLookupAndDeleteElem,
  mapGetNextKey,
  mapDump,
};
