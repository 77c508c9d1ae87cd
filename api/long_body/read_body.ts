import {
  codecOf,
  formatOf,
  HEX_CODEC,
  sizedCodecOf,
  type ValueCodec,
} from "../codec/value_codec.ts";
import type { HandlerRequest, ServiceContext } from "../handler.ts";
import { LongBody } from "./long_body.ts";
import { READERS, type ReaderName, type ReaderResult } from "./readers.ts";

/** Reads the body of a request with the reader of its operation. @throws EINVAL, Unavailable */
export async function readBody<Name extends ReaderName>(
  { body }: HandlerRequest,
  reader: Name,
  codec: ValueCodec = HEX_CODEC,
): Promise<ReaderResult<Name>> {
  if (body instanceof LongBody) return body.read(reader, codec.source);
  return (await READERS[reader](body as never, codec)) as ReaderResult<Name>;
}

/** The codec of a request with elements in its body; only where that is long it needs their sizes. */
export function codecOfBody(
  context: ServiceContext,
  request: HandlerRequest,
): ValueCodec | Promise<ValueCodec> {
  const format = formatOf(request);
  const needsSizes = request.body instanceof LongBody && format !== "json";
  return needsSizes ? sizedCodecOf(context, request, format) : codecOf(context, request);
}
