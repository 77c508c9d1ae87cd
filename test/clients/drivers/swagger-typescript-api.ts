import { Api, type Errno, type Problem } from "../generated/swagger-typescript-api/api.ts";
import { BASE, FRAME, firstEvent, hexOf, type IsErrno, NAMESPACE, NINE, print } from "./support.ts";

/** The program with swagger-typescript-api. */

const isErrno: IsErrno<Errno> = true;

const securityWorker = (token: string | null) =>
  token === null ? {} : { headers: { authorization: `Bearer ${token}` } };
const api = new Api<string>({ baseUrl: BASE, securityWorker });
const bpf = api.v1;

const created = await bpf.sessionCreate({ namespace: NAMESPACE, label: "clients" });
print("session", created.data.session.label);
api.setSecurityData(created.data.token);

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

const bytes = await bpf.mapLookupBytes(fd, "u32:1");
print("bytes", hexOf(await bytes.arrayBuffer()));
// It writes every body as JSON, so the bytes are put in by the fetch that it can be given.
const octets = new Api<string>({
  baseUrl: BASE,
  securityWorker,
  customFetch: (url, init) => fetch(url, { ...init, body: NINE }),
});
octets.setSecurityData(created.data.token);
const headers = { "content-type": "application/octet-stream" };
await octets.v1.mapUpdateBytes(fd, "u32:2", new File([NINE], "nine"), {}, { headers });
const stored = await bpf.mapLookup(fd, "u32:2");
print("stored", stored.data.value);

const path = "/counts";
await bpf.fsCreate({ path }, { type: "pin", fd });
const node = await bpf.fsStat({ path });
print("pin", node.data.type);
const opened = await bpf.fdOpen({ path });
print("open", opened.data.fd, opened.data.kind);

const keys = ["u32:3", "u32:4"];
const updated = await bpf.mapBatch(fd, { op: "update", keys, values: ["u64:3", "u64:4"] });
const read = await bpf.mapBatch(fd, { op: "lookup", count: 2 });
print("batch", updated.data.count, read.data.count);

try {
  await bpf.mapLookup(fd, "u32:99");
} catch (response) {
  const { status, error } = response as { status: number; error: Problem };
  if (isErrno) print("errno", status, error.errno);
}

const program = await bpf.progLoad({ prog_type: "xdp", asm: "r0 = 2\nexit" });
const run = await bpf.progTestRun(program.data.fd, { data_in: FRAME });
print("run", run.data.retval);

const ring = await bpf.mapCreate({ map_type: "ringbuf", max_entries: 4096 });
await bpf.ringWrite(ring.data.fd, { records: ["str:hi"] });
const events = await bpf.ringEvents(ring.data.fd);
print("event", await firstEvent(events.body));

const exit = await bpf.sessionExit();
if (exit.status === 204) print("exit");
