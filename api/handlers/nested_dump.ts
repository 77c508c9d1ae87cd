import type { InnerMap, NestedPage } from "../../domain/commands/elem.ts";
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

/** The dump of a map of maps in which each value has the elements of its map. */

function writeInner(codec: ValueCodec, { id, elements, next_cursor }: InnerMap) {
  const written = elements.map(({ key, value }) => ({
    key: codec.writeKey(key),
    value: codec.writeValue(value),
  }));
  return { id, elements: written, next_cursor };
}

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
export function nestedPage({ format, outer }: NestedFormat, page: NestedPage): HandlerResponse {
  const inners = page.maps.map((map) => ({ map, codec: codecOfInner(format, map) }));
  checkLength(
    ...inners.map(({ map, codec }): [ValueCodec, number] => [codec, map.elements.length]),
  );
  const elements = inners.map(({ map, codec }) => ({
    key: outer.writeKey(map.key),
    value: writeInner(codec, map),
  }));
  return ok({ elements, next_cursor: page.next_cursor });
}
