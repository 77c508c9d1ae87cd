import type { NestedPage } from "../../domain/commands/elem.ts";
import { einval } from "../../domain/errno.ts";
import {
  checkLength,
  codecOf,
  codecOfInner,
  type ElementFormat,
  formatOf,
  type ValueCodec,
} from "../codec/value_codec.ts";
import {
  type HandlerRequest,
  type HandlerResponse,
  ok,
  query,
  type ServiceContext,
} from "../handler.ts";
import { MAX_TEXT, pageLength, writePage } from "../long_body/write_elements.ts";

/** The dump of a map of maps in which each value has the elements of its map. */

export interface NestedFormat {
  format: ElementFormat;
  /** Writes the keys of the map of maps, which needs no schema of its own. */
  outer: ValueCodec;
}

/** @throws EINVAL for a snapshot */
export async function nestedFormat(
  context: ServiceContext,
  request: HandlerRequest,
): Promise<NestedFormat> {
  if (query<boolean>(request, "snapshot")) {
    throw einval(
      "must be false with nested=true, which shows each page as of one moment",
      "snapshot",
    );
  }
  return { format: formatOf(request), outer: await codecOf(context, request, false) };
}

/** @throws EFBIG for more JSON than a response may have. */
export async function nestedPage(
  request: HandlerRequest,
  { format, outer }: NestedFormat,
  page: NestedPage,
): Promise<HandlerResponse> {
  const inners = page.maps.map((map) => ({ map, codec: codecOfInner(format, map) }));
  checkLength(
    ...inners.map(({ map, codec }): [ValueCodec, number] => [codec, map.elements.length]),
  );
  const elements: { key: unknown; value: object }[] = [];
  // All maps together take the event loop no longer than one page.
  let room = MAX_TEXT;
  for (const { map, codec } of inners) {
    const { key, id, next_cursor } = map;
    room -= pageLength(codec, map.elements);
    const written = await writePage(request, codec, { ...map, ids: false }, room < 0);
    elements.push({ key: outer.writeKey(key), value: { id, elements: written, next_cursor } });
  }
  return ok({ elements, next_cursor: page.next_cursor });
}
