import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ACCESS } from "../domain/redis/command_access.ts";
import { connect } from "../domain/redis/connection.ts";
import { bundleLua } from "../domain/redis/lua_bundle.ts";
import { type RedisValue, Script } from "../domain/redis/script.ts";

/**
 * What the service is measured against: a node:http handler that runs the same command with the same
 * client library and options and writes the same JSON, but parses, checks and limits nothing. What
 * it answers to is given by the bench in BARE, since it could not find out by itself.
 */

export interface BareStep {
  method: string;
  /** What the URL starts with; the rest replaces "$" in the arguments. */
  prefix: string;
  command: string;
  args: (string | number)[];
  status: number;
  /** Names and values by turns. In values and answer {hex} is the first value of the reply in hex, {fd}
   * as it is, {revision} the last one. */
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

const SHOWN: Record<string, (values: RedisValue[]) => string> = {
  hex: ([value]) => (value as Buffer).toString("hex"),
  fd: ([value]) => String(value),
  revision: (values) => String(values.at(-1)),
};

function filled(text: string): (values: RedisValue[]) => string {
  const [before = "", name, after = ""] = text.split(/\{(hex|fd|revision)\}/);
  const show = name === undefined ? undefined : SHOWN[name];
  return show ? (values) => before + show(values) + after : () => before;
}

function prepared(step: BareStep) {
  const name = functions[ACCESS.get(step.command) ?? "grow"];
  const head = [name, 2, ROOT, `${ROOT}meta`, step.command, given.sid, given.hash, "", ""];
  const { method, prefix, args, status } = step;
  const told = filled(step.answer);
  const parts = step.headers.map(filled);
  const write = (res: ServerResponse, id: string, values: RedisValue[]) => {
    const text = told(values);
    const headers = ["x-request-id", id];
    for (const part of parts) headers.push(part(values));
    if (text) headers.push("content-type", "application/json", "content-length", `${text.length}`);
    res.writeHead(status, headers).end(text || undefined);
  };
  const ask = (tail: string) =>
    commands.fcallBuffer(
      ...head,
      ...args.map((arg) => (typeof arg === "string" ? arg.replace("$", tail) : arg)),
    );
  return { method, prefix, write, ask };
}

const steps = given.steps
  .sort((a, b) => b.prefix.length - a.prefix.length)
  .map((step) => prepared(step));

new Script(redis, DEADLINE).ready().then(() => {
  const server = createServer((req, res) => {
    const { method, url = "" } = req;
    const step = steps.find((s) => s.method === method && url.startsWith(s.prefix));
    if (!step) return res.writeHead(404).end();
    req.resume();
    step.ask(url.slice(step.prefix.length)).then(
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
