import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { ContractRequest } from "./examples.ts";

/** Sends one request and reads its answer; of a stream of events it reads the head alone. */

export interface ContractAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Without parameters, in lower case; undefined without a body. */
  mediaType: string | undefined;
  body: Buffer;
}

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

async function bodyOf(res: IncomingMessage): Promise<Buffer> {
  if (res.headers["content-type"]?.startsWith("text/event-stream")) {
    res.destroy();
    return Buffer.alloc(0);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of res) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function answerOf(res: IncomingMessage): Promise<ContractAnswer> {
  const body = await bodyOf(res);
  const mediaType = res.headers["content-type"]?.split(";")[0]?.toLowerCase();
  return { status: res.statusCode ?? 0, headers: res.headers, mediaType, body };
}

/** Sends the path unchanged, without normalization. */
export function exchange(base: string, sent: ContractRequest): Promise<ContractAnswer> {
  const { hostname, port } = new URL(base);
  const { method, path, body } = sent;
  const length = body ? { "content-length": String(body.length) } : {};
  const headers = { ...length, ...sent.headers };
  return new Promise((resolve, reject) => {
    const req = request({ agent, hostname, port, method, path, headers }, (res) => {
      answerOf(res).then(resolve, reject);
    });
    req.on("error", reject);
    req.end(body);
  });
}
