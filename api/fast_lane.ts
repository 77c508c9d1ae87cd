import type { IncomingMessage, ServerResponse } from "node:http";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Call, Kernel } from "../domain/bpf.ts";
import { Errno } from "../domain/errno.ts";
import { parseBytes } from "./bytes.ts";
import { document } from "./document.ts";
import { isBytes, type ValueBody, valueBytes } from "./forms.ts";
import { bearer } from "./handler.ts";
import { etag } from "./tags.ts";

/**
 * Element lookup and update ahead of Express. Requests in the plain form, valid by the same
 * openapi.yaml, are answered here; everything else, what is wrong included, goes the general way.
 */

const ROUTE = /^\/v1\/fds\/(0|[1-9]\d{0,8})\/elements\/([\w:.+%-]{1,2048})$/;
const BODY_MAX = 65536;
const PLAIN = { flags: 0 };
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;
const TYPE = "application/json; charset=utf-8";
const UPDATE =
  "#/paths/~1v1~1fds~1%7Bfd%7D~1elements~1%7Bkey%7D/put/requestBody/content/application~1json/schema";

interface Body {
  value: ValueBody;
  flags?: number;
}

interface Taken extends IncomingMessage {
  body?: unknown;
}

type SendError = (error: Error, req: IncomingMessage, res: ServerResponse) => void;
type General = (req: IncomingMessage, res: ServerResponse) => void;

function bodyValidator(): ValidateFunction<Body> {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "openapi.yaml");
  return ajv.compile<Body>({ $ref: `openapi.yaml${UPDATE}` });
}

/** What the general way is for. */
const PARTICULAR = ["idempotency-key", "content-encoding", "if-match", "if-none-match"];

function plainHeaders({ headers }: IncomingMessage): boolean {
  const { authorization = "" } = headers;
  if (!/^Bearer ./i.test(authorization)) return false;
  return PARTICULAR.every((name) => headers[name] === undefined);
}

/** What the document's pattern refuses, and what is no key, is for the general way to tell. */
function decodedKey(text: string): Buffer | undefined {
  try {
    const decoded = text.includes("%") ? decodeURIComponent(text) : text;
    return CONTROL.test(decoded) ? undefined : parseBytes(decoded, "/params/key");
  } catch {
    return undefined;
  }
}

/** Answers true when it took the request. */
export type FastLane = (req: IncomingMessage, res: ServerResponse) => boolean;

export function createFastLane(kernel: Kernel, general: General, sendError: SendError): FastLane {
  const valid = bodyValidator();

  const caller = (req: IncomingMessage): Call => ({
    ...bearer(kernel, req.headers.authorization),
    record: "",
    fingerprint: "",
  });

  async function lookup(req: IncomingMessage, res: ServerResponse, fd: number, key: Buffer) {
    const found = await kernel.mapLookupElem(caller(req), fd, key, PLAIN);
    const { value, id, revision } = found;
    const shown = id ? `{"id":${value.readUInt32LE()}}` : `"${value.toString("hex")}"`;
    const text = `{"key":"${key.toString("hex")}","value":${shown}}`;
    const headers = ["etag", etag(value), "bpf-map-revision", String(revision)];
    res.writeHead(200, ["content-type", TYPE, "content-length", String(text.length), ...headers]);
    res.end(text);
  }

  async function update(req: Taken, res: ServerResponse, fd: number, key: Buffer) {
    const call = caller(req);
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const raw = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    try {
      req.body = JSON.parse(raw.toString().replace(/^\ufeff/, ""));
    } catch (error) {
      throw new Errno("EINVAL", (error as Error).message, { pointer: "/body" });
    }
    const { body } = req;
    if (!valid(body) || !isBytes(body.value)) return general(req, res);
    const element = { key, value: valueBytes(body.value, "/body/value") };
    const { revision } = await kernel.mapUpdateElem(call, fd, element, body.flags ?? 0, "");
    res.writeHead(204, ["bpf-map-revision", String(revision)]).end();
  }

  return (req, res) => {
    if (req.method !== "GET" && req.method !== "PUT") return false;
    const [, fd, text = ""] = ROUTE.exec(req.url ?? "") ?? [];
    if (fd === undefined || !plainHeaders(req)) return false;
    const { accept = "*/*", "content-type": type, "content-length": length } = req.headers;
    const reads = req.method === "GET";
    if (reads && accept !== "*/*" && accept !== "application/json") return false;
    if (
      !reads &&
      (type !== "application/json" || !(Number(length) > 0 && Number(length) <= BODY_MAX))
    )
      return false;
    const key = decodedKey(text);
    if (!key) return false;
    const work = reads ? lookup(req, res, Number(fd), key) : update(req, res, Number(fd), key);
    work.catch((error: Error) => sendError(error, req, res));
    return true;
  };
}
