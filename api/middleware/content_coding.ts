import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { HttpError, InvalidRequest } from "../errors/error_to_problem.ts";

/** Unpacks bodies with a Content-Encoding, in zlib's own threads and no further than the limit. */

const DECODERS = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

type ContentCoding = keyof typeof DECODERS;

const CODINGS = Object.keys(DECODERS) as ContentCoding[];
/** At most so much of a value is quoted in an error. */
const MAX_QUOTED = 40;

/** The coding of the body; undefined if it is as it is. @throws 415 */
export function contentCoding({ headers }: IncomingMessage): ContentCoding | undefined {
  const given = headers["content-encoding"];
  if (given === undefined) return undefined;
  // RFC 9110, section 8.4.1.3: x-gzip is gzip.
  const name = given
    .trim()
    .toLowerCase()
    .replace(/^x-gzip$/, "gzip");
  if (name === "identity") return undefined;
  const coding = CODINGS.find((known) => known === name);
  if (coding) return coding;
  const detail = `Content-Encoding ${JSON.stringify(given.slice(0, MAX_QUOTED))} is not supported`;
  const advice = `send the body as it is, or in one of ${CODINGS.join(", ")}`;
  throw new HttpError(415, "unsupported-media-type", `${detail}; ${advice}`, {
    "accept-encoding": CODINGS.join(", "),
  });
}

/**
 * @param limit bytes that the result may have.
 * @throws 413, EINVAL
 */
export async function unpack(
  octets: Buffer,
  coding: ContentCoding,
  limit: number,
): Promise<Buffer> {
  try {
    return await DECODERS[coding](octets, { maxOutputLength: limit });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new HttpError(413, "too-large", `the unpacked body must have at most ${limit} bytes`);
    }
    throw new InvalidRequest("/body", `is not valid ${coding}: ${message}`);
  }
}
