import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ACCESS } from "../domain/redis/command_access.ts";
import { connect } from "../domain/redis/connection.ts";
import { bundleLua } from "../domain/redis/lua_bundle.ts";
import type { RedisValue } from "../domain/redis/redis_value.ts";
import { Script } from "../domain/redis/script.ts";

/**
 * The bare handler, the baseline of the service: a node:http handler that runs the same command with the
 * same client library and options and writes the same JSON, but parses, checks and limits nothing. The
 * bench gives it its routes in BARE.
 */

export interface BareStep {
  method: string;
  /** The start of the URL; the rest replaces "$" in the arguments. */
  prefix: string;
  command: string;
  args: (string | number)[];
  status: number;
  /**
   * Names and values alternate. In values and in the answer, {hex} is the first value of the reply in hex,
   * {fd} the same as it is, and {revision} the last value.
   */
  headers: string[];
  answer: string;
}

export interface Bare {
  redis: string;
  namespace: string;
  sid: string;
  hash: string;
  steps: BareStep[];
}

interface BareCommands {
  fcallBuffer(...args: (string | number)[]): Promise<RedisValue[]>;
}

const DEADLINE = 1000;

const given = JSON.parse(process.env.BARE ?? "") as Bare;
const redis = connect(given.redis, DEADLINE);
const commands = redis as unknown as BareCommands;
const { functions } = bundleLua();
const ROOT = `bpf:{${given.namespace}}:`;

const FORMATS: Record<string, (values: RedisValue[]) => string> = {
  hex: ([value]) => (value as Buffer).toString("hex"),
  fd: ([value]) => String(value),
  revision: (values) => String(values.at(-1)),
};

function compileTemplate(text: string): (values: RedisValue[]) => string {
  const [before = "", name, after = ""] = text.split(/\{(hex|fd|revision)\}/);
  const format = name === undefined ? undefined : FORMATS[name];
  return format ? (values) => before + format(values) + after : () => before;
}

function prepareStep(step: BareStep) {
  const name = functions[ACCESS.get(step.command) ?? "grow"];
  const head = [name, 2, ROOT, `${ROOT}meta`, step.command, given.sid, given.hash, "", "", ""];
  const { method, prefix, args, status } = step;
  const answer = compileTemplate(step.answer);
  const parts = step.headers.map(compileTemplate);
  const write = (res: ServerResponse, id: string, values: RedisValue[]) => {
    const text = answer(values);
    const headers = ["x-request-id", id];
    for (const part of parts) headers.push(part(values));
    if (text) headers.push("content-type", "application/json", "content-length", `${text.length}`);
    res.writeHead(status, headers).end(text || undefined);
  };
  const send = (tail: string) =>
    commands.fcallBuffer(
      ...head,
      ...args.map((arg) => (typeof arg === "string" ? arg.replace("$", tail) : arg)),
    );
  return { method, prefix, write, send };
}

const steps = given.steps
  .sort((a, b) => b.prefix.length - a.prefix.length)
  .map((step) => prepareStep(step));

new Script(redis, DEADLINE).ready().then(() => {
  const server = createServer((req, res) => {
    const { method, url = "" } = req;
    const step = steps.find((s) => s.method === method && url.startsWith(s.prefix));
    if (!step) return res.writeHead(404).end();
    req.resume();
    step.send(url.slice(step.prefix.length)).then(
      ([status, ...values]) => {
        if (String(status) > "+") return res.writeHead(500).end(String(values[0]));
        step.write(res, req.headers["x-request-id"] as string, values);
      },
      (error: Error) => res.writeHead(500).end(error.message),
    );
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    process.stdout.write(`bare handler at http://127.0.0.1:${port}\n`);
  });
});
