/** A client small enough to copy: a session is a process, its methods are bpf(2) commands and system calls. */

export type MapInfo = { refcnt: number; usercnt: number; entries: number };
/** Bytes as hex or a typed literal ("u32:0"); a slot of a program array is written as fd, read as id. */
export type Value = string | { fd: number } | { id: number };
export type Made = { fd: number; id: number };
type Named = { path: string } | { map_id: number } | { prog_id: number };
type Problem = { status: number; errno?: string; detail: string; reason?: string };

export class BpfError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(`${problem.errno ?? problem.status}: ${problem.detail}`);
    this.problem = problem;
  }
}

async function send<T>(method: string, url: string, who: Record<string, string>, body?: object) {
  const headers = body ? { ...who, "content-type": "application/json" } : who;
  const response = await fetch(url, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new BpfError(JSON.parse(text));
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;

export function session(base: string, token: string) {
  const authorization = `Bearer ${token}`;
  const call = <T = void>(method: string, path: string, body?: object) =>
    send<T>(method, base + path, { authorization }, body);
  return {
    ...{ token, call },
    mapCreate: (attr: object) => call<Made>("POST", "/v1/maps", attr),
    progLoad: (prog_name: string, insns: string) =>
      call<Made>("POST", "/v1/progs", { prog_name, insns, license: "GPL" }),
    open: (what: Named) => call<Made>("POST", "/v1/fds", what),
    close: (fd: number) => call("DELETE", `/v1/fds/${fd}`),
    update: (fd: number, key: string, value: Value) =>
      call("PUT", `/v1/fds/${fd}/elements/${key}`, { value }),
    lookup: async (fd: number, key: string) =>
      (await call<{ value: Value }>("GET", `/v1/fds/${fd}/elements/${key}`)).value,
    pin: (path: string, fd: number) => call("PUT", at(path), { type: "pin", fd }),
    mkdir: (path: string) => call("PUT", at(path), { type: "directory", mode: "0755" }),
    unlink: (path: string) => call("DELETE", at(path)),
    renew: () => call("POST", "/v1/session/renew"),
    exit: () => call("DELETE", "/v1/session"),
  };
}

export type Session = ReturnType<typeof session>;
export async function newSession(base: string, asked: object, apiKey?: string): Promise<Session> {
  const who = apiKey ? { "x-api-key": apiKey } : undefined;
  const { token } = await send<{ token: string }>("POST", `${base}/v1/sessions`, who ?? {}, asked);
  return session(base, token);
}
