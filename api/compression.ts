import type { ServerResponse } from "node:http";
import { promisify } from "node:util";
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from "node:zlib";

/** Compresses texts in zlib's own threads, with a coding that the client accepts. */

export type ResponseCoding = "br" | "gzip";

const CODINGS = ["br", "gzip"] as const satisfies ResponseCoding[];

/** The weight of each coding in Accept-Encoding (RFC 9110, section 12.5.3). */
function weightsOf(header: string): Map<string, number> {
  const parts = header.toLowerCase().split(",");
  return new Map(
    parts.map((part) => {
      const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
      const weight = parameters.find((parameter) => parameter.startsWith("q="));
      return [name, weight === undefined ? 1 : Number(weight.slice(2))];
    }),
  );
}

/** The coding that the client likes best; undefined for none. */
export function acceptedCoding(header: string | undefined): ResponseCoding | undefined {
  if (header === undefined) return undefined;
  const weights = weightsOf(header);
  const others = weights.get("*") ?? 0;
  let best: ResponseCoding | undefined;
  let most = weights.get("identity") ?? 0;
  for (const coding of CODINGS) {
    const weight = weights.get(coding) ?? others;
    // A coding goes before none at the same weight, and before those after it.
    if (weight > 0 && (best === undefined ? weight >= most : weight > most)) {
      [best, most] = [coding, weight];
    }
  }
  return best;
}

const compressors = { br: promisify(brotliCompress), gzip: promisify(gzip) };

/** At quality 1 br is faster and smaller than gzip; what is kept deserves more. */
const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const CHUNK_BYTES = 64 * 1024;
const SMALL = { level: 9, params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

/** @param isKept true for a content that is compressed once and sent often. */
export function compress(
  content: string | Buffer,
  coding: ResponseCoding,
  isKept: boolean,
): Promise<Buffer> {
  return compressors[coding](content, isKept ? SMALL : FAST);
}

/** Compresses without joining the pieces before, or the result after. */
async function compressPieces(
  pieces: readonly Buffer[],
  coding: ResponseCoding,
): Promise<readonly Buffer[]> {
  const options = { ...FAST, chunkSize: CHUNK_BYTES };
  const stream = coding === "br" ? createBrotliCompress(options) : createGzip(options);
  for (const piece of pieces) stream.write(piece);
  stream.end();
  const compressed: Buffer[] = [];
  for await (const chunk of stream) compressed.push(chunk);
  return compressed;
}

/** A shorter text gains nothing. */
const MIN_LENGTH = 1024;

/** Adds to what the response varies with already. */
export function varyWith(res: ServerResponse, name: string): string {
  const before = res.getHeader("vary");
  return before === undefined ? name : `${before}, ${name}`;
}

/** A text as it is, or long pieces of one, which are not joined unless they are compressed. */
export type AnswerText = string | Buffer | readonly Buffer[];

const isPieces = (text: AnswerText): text is readonly Buffer[] => Array.isArray(text);

function lengthOf(text: AnswerText): number {
  if (!isPieces(text)) return Buffer.byteLength(text);
  return text.reduce((sum, { length }) => sum + length, 0);
}

/** Sends a text without a coding. The head is names and values. */
export function sendAsIs(
  res: ServerResponse,
  status: number,
  head: string[],
  text: AnswerText,
): void {
  head.push("content-length", String(lengthOf(text)));
  res.writeHead(status, head);
  if (!isPieces(text)) {
    res.end(text);
    return;
  }
  for (const piece of text) res.write(piece);
  res.end();
}

/** Sends a text, compressed if it is long and the client accepts that. The head is names and values. */
export function sendText(
  res: ServerResponse,
  status: number,
  head: string[],
  text: AnswerText,
): void {
  const send = (content: AnswerText) => sendAsIs(res, status, head, content);
  if (!isPieces(text) && text.length < MIN_LENGTH) {
    send(text);
    return;
  }
  head.push("vary", varyWith(res, "Accept-Encoding"));
  const coding = acceptedCoding(res.req.headers["accept-encoding"]);
  if (coding === undefined) {
    send(text);
    return;
  }
  const compressed: Promise<AnswerText> = isPieces(text)
    ? compressPieces(text, coding)
    : compress(text, coding, false);
  compressed
    .then((content) => {
      head.push("content-encoding", coding);
      send(content);
    })
    // No promise is left to tell the caller.
    .catch(() => res.destroy());
}
