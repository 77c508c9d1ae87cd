/** A client small enough to copy: a session stands for a process, its methods are commands and system calls. */

export type MapReply = { map_type: string; refcnt: number; usercnt: number; entries: number };
export type ProgReply = { refcnt: number };
/** Bytes as a typed literal ("u32:0"), or the descriptor of the program for a slot. */
export type ElementReplyValue = string | { fd: number };
export type CreatedReply = { fd: number; id: number };
/** A map or a program of an object file. */
export type Part = CreatedReply & { name: string; reused?: true };
/** `ctx_out` is a struct __sk_buff; `programs` has ids in the order of the tail calls. */
export type TestRunReply = {
  retval: number;
  ctx_out: { mark: number; cb: number[] };
  programs: number[];
};
type ProblemReply = { status: number; errno?: string; detail: string; reason?: string };

export class BpfError extends Error {
  readonly problem: ProblemReply;
  constructor(problem: ProblemReply) {
    super(`${problem.errno ?? problem.status}: ${problem.detail}`);
    this.problem = problem;
  }
}

function content(body: object | undefined): { type?: string; bytes?: string | Buffer } {
  if (body === undefined) return {};
  if (Buffer.isBuffer(body)) return { type: "application/octet-stream", bytes: body };
  return { type: "application/json", bytes: JSON.stringify(body) };
}

async function send<T>(method: string, url: string, who: Record<string, string>, body?: object) {
  const { type, bytes } = content(body);
  const response = await fetch(url, {
    method,
    headers: { ...who, ...(type && { "content-type": type }) },
    ...(bytes && { body: bytes }),
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
  const element = async <T>(fd: number, key: string, format: string) =>
    (await call<{ value: T }>("GET", `/v1/fds/${fd}/elements/${key}${format}`)).value;
  return {
    ...{ token, call },
    elfLoad: (object: Buffer, where: { pin_root: string; pin_progs: string }) =>
      call<{ maps: Part[]; progs: Part[] }>(
        "POST",
        `/v1/elf?${new URLSearchParams(where)}`,
        object,
      ),
    run: (path: string, packet: Buffer) =>
      call<TestRunReply>("POST", "/v1/run", { path, data_in: packet.toString("hex"), ctx_in: {} }),
    mapCreate: (attr: object) => call<CreatedReply>("POST", "/v1/maps", attr),
    open: (path: string) => call<CreatedReply>("POST", "/v1/fds", { path }),
    close: (fd: number) => call("DELETE", `/v1/fds/${fd}`),
    update: (fd: number, key: string, value: ElementReplyValue) =>
      call("PUT", `/v1/fds/${fd}/elements/${key}`, { value }),
    lookup: <T>(fd: number, key: string) => element<T>(fd, key, ""),
    /** Decoded with the map's types of keys and values. */
    lookupJson: <T>(fd: number, key: string) => element<T>(fd, key, "?format=json"),
    unlink: (path: string) => call("DELETE", `${at(path)}&recursive=true`),
    renew: () => call("POST", "/v1/session/renew"),
    exit: () => call("DELETE", "/v1/session"),
  };
}

export type DemoSession = ReturnType<typeof session>;
export async function newSession(
  base: string,
  asked: object,
  apiKey?: string,
): Promise<DemoSession> {
  const who = apiKey ? { "x-api-key": apiKey } : undefined;
  const { token } = await send<{ token: string }>("POST", `${base}/v1/sessions`, who ?? {}, asked);
  return session(base, token);
}
