import { codecOf } from "../codec/value_codec.ts";
import { type Handler, noContent, ok, pathNumber, query, revisionHeader } from "../handler.ts";
import { codecOfBody, readBody } from "../long_body/read_body.ts";
import { writeOne } from "../long_body/write_elements.ts";

/** Maps without keys: the element commands with a null pointer for the key. */

const NO_KEY = Buffer.alloc(0);

const mapPush: Handler = async (context, request) => {
  const { kernel } = context;
  const codec = await codecOfBody(context, request);
  const { value, flags } = await readBody(request, "mapPush", codec);
  const element = { key: NO_KEY, value };
  const fd = pathNumber(request, "fd");
  const { revision } = await kernel.mapUpdateElem(request.call, fd, element, flags, "");
  return { ...noContent, headers: revisionHeader(revision) };
};

const mapPop: Handler = async (context, request) => {
  const { kernel } = context;
  const { flags = 0 } = (request.body ?? {}) as { flags?: number };
  const codec = await codecOf(context, request);
  const value = await kernel.mapLookupAndDeleteElem(
    request.call,
    pathNumber(request, "fd"),
    NO_KEY,
    flags,
    "",
  );
  return ok({ value: await writeOne(request, codec, value, { isRemoved: true }) });
};

const mapPeek: Handler = async (context, request) => {
  const { kernel } = context;
  const text = query<string | undefined>(request, "value");
  const codec = await codecOf(context, request);
  const value = text === undefined ? undefined : codec.parseValue(text, "value");
  const options = { flags: query<number>(request, "flags"), value };
  const found = await kernel.mapLookupElem(
    request.call,
    pathNumber(request, "fd"),
    NO_KEY,
    options,
  );
  return ok({ value: await writeOne(request, codec, found.value) });
};

export const queues = { mapPush, mapPop, mapPeek };
