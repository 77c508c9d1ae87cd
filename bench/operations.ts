import type { BareStep } from "./bare.ts";
import type { HttpRequest } from "./load.ts";
import { ask, tell } from "./world.ts";

/** The operations to measure: their requests over HTTP and their commands of the library. */

export interface BenchOperation {
  name: string;
  requests: HttpRequest[];
  /** The command that the bare handler runs, and its answer. */
  steps: BareStep[];
}

type OperationArgs = (string | number)[];
interface RequestShape extends HttpRequest {
  command: string;
  args: OperationArgs;
  status: number;
}

export const KEY = "key0";
export const VALUE = "value000";
const hex = (text: string) => Buffer.from(text).toString("hex");
const PIN = "/pin";
const MAP = { map_type: "hash", key_size: 4, value_size: 8, max_entries: 1000 };

const post = (
  path: string,
  body: object | undefined,
  command: string,
  args: OperationArgs,
  status: number,
) => ({ method: "POST", path, ...(body && { body: JSON.stringify(body) }), command, args, status });
const get = (path: string, command: string, args: OperationArgs) => ({
  method: "GET",
  path,
  command,
  args,
  status: 200,
});
const put = (path: string, body: object, command: string, args: OperationArgs, status: number) => ({
  method: "PUT",
  path,
  body: JSON.stringify(body),
  command,
  args,
  status,
});
const del = (path: string, command: string, args: OperationArgs) => ({
  method: "DELETE",
  path,
  command,
  args,
  status: 204,
});

/** Headers of an element, and the placeholders for the values of the reply. */
const TELLING = { etag: '"{hex}"', "bpf-map-revision": "{revision}" };

/** Name -> requests. `{fd}` and `{n}` come last in a path: the bare handler takes them from there. */
function shapes(fd: number): Record<string, RequestShape[]> {
  const element = `/v1/fds/${fd}/elements/${hex(KEY)}`;
  const value = { value: hex(VALUE) };
  const mapArgs = ["hash", 4, 8, 1000, 0, "", "0", "", "", "", 0, 0, 0, 0];
  return {
    lookup: [get(element, "map_lookup_elem", [fd, KEY, 0, "", 0])],
    update: [put(element, value, "map_update_elem", [fd, KEY, VALUE, 0, ""], 204)],
    "obj_get + close": [
      post("/v1/fds", { path: PIN }, "obj_get", [PIN, 0], 201),
      del("/v1/fds/{fd}", "close", ["$"]),
    ],
    "pin + unlink": [
      put("/v1/fs?path=/p{n}", { type: "pin", fd }, "obj_pin", ["/p$", fd, 0], 201),
      del("/v1/fs?path=/p{n}", "unlink", ["/p$"]),
    ],
    "info by fd": [get(`/v1/fds/${fd}`, "obj_get_info_by_fd", [fd])],
    "next key": [get(`/v1/fds/${fd}/next-key?key=${hex(KEY)}`, "map_get_next_key", [fd, KEY])],
    "map_create + close": [
      post("/v1/maps", MAP, "map_create", mapArgs, 201),
      del("/v1/fds/{fd}", "close", ["$"]),
    ],
    "session renew": [post("/v1/session/renew", undefined, "session_renew", [], 200)],
    "fs stat": [get(`/v1/fs?path=${PIN}`, "stat", [PIN, 1, 1, "0", "", 1000])],
  };
}

/** Makes a map with two elements and a pin, and returns its fd. */
export async function furnish(base: string, token: string): Promise<number> {
  const created = await ask(base, token, "POST", "/v1/maps", JSON.stringify(MAP));
  const { fd } = JSON.parse(created) as { fd: number };
  for (const key of [KEY, "key1"]) {
    const body = JSON.stringify({ value: hex(VALUE) });
    await ask(base, token, "PUT", `/v1/fds/${fd}/elements/${hex(key)}`, body);
  }
  await ask(base, token, "PUT", `/v1/fs?path=${PIN}`, JSON.stringify({ type: "pin", fd }));
  return fd;
}

/** Sends each request to the service once; the bare handler gives the same answers. */
export async function operations(
  base: string,
  token: string,
  fd: number,
): Promise<BenchOperation[]> {
  const list: BenchOperation[] = [];
  for (const [name, requests] of Object.entries(shapes(fd))) {
    let opened = "";
    const steps: BareStep[] = [];
    for (const { method, path, body, command, args, status } of requests) {
      const prefix = path.replace(/\{\w+\}$/, "");
      const target = path.replace("{fd}", opened).replace("{n}", "0");
      const { text, headers: given } = await tell(base, token, method, target, body);
      const headers = Object.entries(TELLING).filter(([header]) => given.has(header));
      opened = /"fd":(\d+)/.exec(text)?.[1] ?? "";
      let answer = text;
      if (name === "lookup") answer = text.replace(hex(VALUE), "{hex}");
      if (status === 201 && opened) answer = text.replace(`"fd":${opened}`, '"fd":{fd}');
      steps.push({ method, prefix, command, args, status, headers: headers.flat(), answer });
    }
    list.push({ name, requests, steps });
  }
  return list;
}
