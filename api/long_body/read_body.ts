import { HEX_CODEC, type ValueCodec } from "../codec/value_codec.ts";
import type { HandlerRequest } from "../handler.ts";
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
