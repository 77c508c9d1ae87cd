import type { Client, RequestConfig } from "../generated/kubb/.kubb/fetch.ts";
import { setConfig } from "../generated/kubb/.kubb/fetch.ts";
import * as bpf from "../generated/kubb/index.ts";
import { BASE, FRAME, firstEvent, hexOf, type IsErrno, NAMESPACE, NINE, print } from "./support.ts";

/** The program with Kubb and its client for fetch. */

const isErrno: IsErrno<bpf.Errno> = true;

const JSON_BODY = { "Content-Type": "application/json" };
setConfig({ baseURL: BASE, headers: JSON_BODY });
const created = await bpf.sessionCreate({ namespace: NAMESPACE, label: "clients" });
print("session", created.data.session.label);
const authorization = `Bearer ${created.data.token}`;
setConfig({ baseURL: BASE, headers: { ...JSON_BODY, authorization } });

const map = await bpf.mapCreate({
  map_type: "hash",
  key_size: 4,
  value_size: 8,
  max_entries: 16,
  map_name: "counts",
});
const { fd } = map.data;
print("map", fd);

await bpf.mapUpdate(fd, "u32:1", { value: "u64:7" });
const looked = await bpf.mapLookup(fd, "u32:1");
print("lookup", looked.data.value);

/** Its own client writes and reads JSON only, so bytes and events take one that keeps the response. */
function rawClient() {
  let response = new Response();
  const request = async <TData, _TError, TBody>(config: RequestConfig<TBody>) => {
    const { url, method = "GET", data, headers } = config;
    const body = data instanceof Blob ? data : null;
    const init = {
      method,
      body,
      headers: { authorization, ...Object.fromEntries(new Headers(headers)) },
    };
    response = await fetch(new URL(url ?? "", BASE), init);
    const { status, statusText } = response;
    return { data: undefined as TData, status, statusText, headers: response.headers };
  };
  const client: Client = request;
  return { client, response: () => response };
}
const { client, response } = rawClient();
await bpf.mapLookupBytes(fd, "u32:1", undefined, undefined, { client });
print("bytes", hexOf(await response().arrayBuffer()));
await bpf.mapUpdateBytes(fd, "u32:2", new Blob([NINE]), undefined, undefined, { client });
const stored = await bpf.mapLookup(fd, "u32:2");
print("stored", stored.data.value);

const path = "/counts";
await bpf.fsCreate({ type: "pin", fd }, { path });
const node = await bpf.fsStat({ path });
print("pin", node.data.type);
const opened = await bpf.fdOpen({ path });
print("open", opened.data.fd, opened.data.kind);

const keys = ["u32:3", "u32:4"];
const updated = await bpf.mapBatch(fd, { op: "update", keys, values: ["u64:3", "u64:4"] });
const read = await bpf.mapBatch(fd, { op: "lookup", count: 2 });
print("batch", updated.data.count, read.data.count);

// It takes the body of an error for that of a success.
const missing = await bpf.mapLookup(fd, "u32:99");
const problem: unknown = missing.data;
if (isErrno) print("errno", missing.status, (problem as bpf.Problem).errno);

const program = await bpf.progLoad({ prog_type: "xdp", asm: "r0 = 2\nexit" });
const run = await bpf.progTestRun(program.data.fd, { data_in: FRAME });
print("run", run.data.retval);

const ring = await bpf.mapCreate({ map_type: "ringbuf", max_entries: 4096 });
await bpf.ringWrite(ring.data.fd, { records: ["str:hi"] });
await bpf.ringEvents(ring.data.fd, undefined, undefined, { client });
print("event", await firstEvent(response().body));

const exit = await bpf.sessionExit();
if (exit.status === 204) print("exit");
