import type { ElementPage } from "../../domain/commands/elem.ts";
import { enterAnswerRoom } from "../answer_room.ts";
import { conditions, etag } from "../codec/etag.ts";
import { checkLength, codecOf, type ValueCodec } from "../codec/value_codec.ts";
import {
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  noContent,
  octetsOf,
  ok,
  pageOf,
  pathNumber,
  query,
  revisionHeader,
} from "../handler.ts";
import { codecOfBody, readBody } from "../long_body/read_body.ts";
import { elementSizes, writeOne, writePage } from "../long_body/write_elements.ts";
import { OCTETS } from "../media_types.ts";
import { nestedFormat, nestedPage } from "./nested_dump.ts";

/** Elements of maps: look up, update, delete, take and list them. */

function keyOf(codec: ValueCodec, request: HandlerRequest): Buffer {
  return codec.parseKey(request.params.key as string, "key");
}

function lookupOptions(request: HandlerRequest) {
  return { flags: query<number>(request, "flags"), touch: query<boolean>(request, "touch") };
}

const mapLookup: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const fd = pathNumber(request, "fd");
  const found = await kernel.mapLookupElem(request.call, fd, key, lookupOptions(request));
  const { value, id, revision } = found;
  await enterAnswerRoom(request, codec, { bytes: value.length, count: 1 });
  const body = {
    key: codec.writeKey(key),
    value: await writeOne(request, codec, value, { ids: id }),
  };
  return { status: 200, body, headers: { etag: await etag(value), ...revisionHeader(revision) } };
};

const mapLookupBytes: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const key = keyOf(await codecOf(context, request), request);
  const fd = pathNumber(request, "fd");
  const found = await kernel.mapLookupElem(request.call, fd, key, lookupOptions(request));
  const { value, revision } = found;
  await enterAnswerRoom(request, undefined, { bytes: value.length, count: 1 });
  const headers = { etag: await etag(value), ...revisionHeader(revision) };
  return { status: 200, bytes: value, type: OCTETS, headers };
};

const mapUpdate: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOfBody(context, request);
  const { value, flags } = await readBody(request, "mapUpdate", codec);
  const element = { value, key: keyOf(codec, request) };
  const { revision } = await kernel.mapUpdateElem(
    request.call,
    pathNumber(request, "fd"),
    element,
    flags,
    conditions(request),
  );
  return { ...noContent, headers: revisionHeader(revision) };
};

const mapUpdateBytes: Handler = async (context, request) => {
  const { kernel } = context;
  const key = keyOf(await codecOf(context, request), request);
  const { revision } = await kernel.mapUpdateElem(
    request.call,
    pathNumber(request, "fd"),
    { key, value: octetsOf(request) },
    query<number>(request, "flags"),
    conditions(request),
  );
  return { ...noContent, headers: revisionHeader(revision) };
};

const mapDelete: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const fd = pathNumber(request, "fd");
  const { revision } = await kernel.mapDeleteElem(request.call, fd, key, conditions(request));
  return { ...noContent, headers: revisionHeader(revision) };
};

const mapLookupAndDelete: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const key = keyOf(codec, request);
  const { flags = 0 } = (request.body ?? {}) as { flags?: number };
  const fd = pathNumber(request, "fd");
  const value = await kernel.mapLookupAndDeleteElem(
    request.call,
    fd,
    key,
    flags,
    conditions(request),
  );
  const written = await writeOne(request, codec, value, { isRemoved: true });
  return ok({ key: codec.writeKey(key), value: written });
};

const mapNextKey: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOf(context, request);
  const text = query<string | undefined>(request, "key");
  const after = text === undefined ? undefined : codec.parseKey(text, "key");
  const next = await kernel.mapGetNextKey(request.call, pathNumber(request, "fd"), after);
  return ok({ key: codec.writeKey(next) });
};

async function writeElements(request: HandlerRequest, codec: ValueCodec, page: ElementPage) {
  const { length: count } = page.elements;
  checkLength([codec, count]);
  const bytes = count * elementSizes(page.elements).element_size;
  await enterAnswerRoom(request, codec, { bytes, count });
  return writePage(request, codec, page);
}

const mapDump: Handler = async (context, request) => {
  const { kernel } = context;
  const fd = pathNumber(request, "fd");
  if (query<boolean>(request, "nested")) {
    const how = await nestedFormat(context, request);
    const hasSchemas = how.format === "json";
    return nestedPage(
      request,
      how,
      await kernel.mapDumpNested(request.call, fd, pageOf(request), hasSchemas),
    );
  }
  const codec = await codecOf(context, request);
  if (query<boolean>(request, "snapshot")) {
    const page = await kernel.mapSnapshot(request.call, fd);
    return ok({ elements: await writeElements(request, codec, page), revision: page.revision });
  }
  const page = await kernel.mapDump(request.call, fd, pageOf(request));
  const { next_cursor } = page;
  return ok({ elements: await writeElements(request, codec, page), next_cursor });
};

export const elems = {
  mapLookup,
  mapLookupBytes,
  mapUpdate,
  mapUpdateBytes,
  mapDelete,
  mapLookupAndDelete,
  mapNextKey,
  mapDump,
};
