import type { IncomingMessage, ServerResponse } from "node:http";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Call, Kernel } from "../domain/bpf.ts";
import { Errno } from "../domain/errno.ts";
import { parseBytes } from "./bytes.ts";
import { document } from "./document.ts";
import { isBytes, type ValueBody, valueBytes } from "./forms.ts";
import { bearer } from "./handler.ts";
import { type PathBody, type RunBody, runAnswer, runAttr } from "./handlers/run.ts";
import { etag } from "./tags.ts";

/**
 * Element lookup, element update and runs ahead of Express. Requests in the plain form, valid by the
 * same openapi.yaml, are answered here; everything else, what is wrong included, goes the general way.
 */

const ROUTE = /^\/v1\/fds\/(0|[1-9]\d{0,8})\/elements\/([\w:.+%-]{1,2048})$/;
const RUN_ROUTE = /^\/v1\/(?:fds\/(0|[1-9]\d{0,8})\/test-run|run)$/;
const BODY_MAX = 65536;
const PLAIN = { flags: 0 };
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;
const TYPE = "application/json; charset=utf-8";
const UPDATE =
  "#/paths/~1v1~1fds~1%7Bfd%7D~1elements~1%7Bkey%7D/put/requestBody/content/application~1json/schema";
const TEST_RUN = "#/components/schemas/TestRun";
const RUN = "#/components/schemas/Run";

interface Body {
  value: ValueBody;
  flags?: number;
}

interface Taken extends IncomingMessage {
  body?: unknown;
}

type SendError = (error: Error, req: IncomingMessage, res: ServerResponse) => void;
type General = (req: IncomingMessage, res: ServerResponse) => void;

function validators() {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, useDefaults: true });
  ajv.addSchema(document, "openapi.yaml");
  const of = <T>(schema: string): ValidateFunction<T> =>
    ajv.compile<T>({ $ref: `openapi.yaml${schema}` });
  return { update: of<Body>(UPDATE), testRun: of<RunBody>(TEST_RUN), run: of<PathBody>(RUN) };
}

/** What the general way is for. */
const PARTICULAR = ["idempotency-key", "content-encoding", "if-match", "if-none-match"];

function plainHeaders({ headers }: IncomingMessage): boolean {
  const { authorization = "" } = headers;
  if (!/^Bearer ./i.test(authorization)) return false;
  return PARTICULAR.every((name) => headers[name] === undefined);
}

function plainAccept({ headers: { accept = "*/*" } }: IncomingMessage): boolean {
  return accept === "*/*" || accept === "application/json";
}

function plainBody({ headers }: IncomingMessage): boolean {
  const length = Number(headers["content-length"]);
  return headers["content-type"] === "application/json" && length > 0 && length <= BODY_MAX;
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

/** The body. By events: an iterator of the stream takes longer than all that is done with what it gives. */
function octets(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.once("end", () => resolve(Buffer.concat(chunks)));
    req.once("error", reject);
  });
}

/** Answers true when it took the request. */
export type FastLane = (req: IncomingMessage, res: ServerResponse) => boolean;

export function createFastLane(kernel: Kernel, general: General, sendError: SendError): FastLane {
  const valid = validators();

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

  async function json(req: Taken): Promise<unknown> {
    const text = (await octets(req)).toString();
    try {
      req.body = JSON.parse(text.replace(/^\ufeff/, ""));
    } catch (error) {
      throw new Errno("EINVAL", (error as Error).message, { pointer: "/body" });
    }
    return req.body;
  }

  async function update(req: Taken, res: ServerResponse, fd: number, key: Buffer) {
    const call = caller(req);
    const body = await json(req);
    if (!valid.update(body) || !isBytes(body.value)) return general(req, res);
    const element = { key, value: valueBytes(body.value, "/body/value") };
    const { revision } = await kernel.mapUpdateElem(call, fd, element, body.flags ?? 0, "");
    res.writeHead(204, ["bpf-map-revision", String(revision)]).end();
  }

  async function run(req: Taken, res: ServerResponse, fd: string | undefined) {
    const call = caller(req);
    const body = await json(req);
    if (fd === undefined) {
      if (!valid.run(body)) return general(req, res);
      return shown(res, runAnswer(body, await kernel.progRun(call, body.path, runAttr(body))));
    }
    if (!valid.testRun(body)) return general(req, res);
    shown(res, runAnswer(body, await kernel.progTestRun(call, Number(fd), runAttr(body))));
  }

  function shown(res: ServerResponse, body: object): void {
    const text = JSON.stringify(body);
    const length = String(Buffer.byteLength(text));
    res.writeHead(200, ["content-type", TYPE, "content-length", length]).end(text);
  }

  function work(req: IncomingMessage, res: ServerResponse): Promise<unknown> | undefined {
    const { method, url = "" } = req;
    if (method === "POST") {
      const [found, fd] = RUN_ROUTE.exec(url) ?? [];
      return found !== undefined && plainBody(req) ? run(req, res, fd) : undefined;
    }
    const [, fd, text = ""] = ROUTE.exec(url) ?? [];
    const key = fd === undefined ? undefined : decodedKey(text);
    if (!key) return undefined;
    if (method === "GET") return plainAccept(req) ? lookup(req, res, Number(fd), key) : undefined;
    return method === "PUT" && plainBody(req) ? update(req, res, Number(fd), key) : undefined;
  }

  return (req, res) => {
    const working = plainHeaders(req) ? work(req, res) : undefined;
    working?.catch((error: Error) => sendError(error, req, res));
    return working !== undefined;
  };
}
