import { client } from "../generated/hey-api/client.gen.ts";
import * as bpf from "../generated/hey-api/sdk.gen.ts";
import type { Errno } from "../generated/hey-api/types.gen.ts";
import { BASE, FRAME, given, hexOf, type IsErrno, NAMESPACE, NINE, print } from "./support.ts";

/** The program with @hey-api/openapi-ts. */

const isErrno: IsErrno<Errno> = true;

client.setConfig({ baseUrl: BASE });
const created = await bpf.sessionCreate({ body: { namespace: NAMESPACE, label: "clients" } });
const { session, token } = given(created.data);
print("session", session.label);
client.setConfig({ auth: token });

const map = await bpf.mapCreate({
  body: { map_type: "hash", key_size: 4, value_size: 8, max_entries: 16, map_name: "counts" },
});
const { fd } = given(map.data);
print("map", fd);

const one = { fd, key: "u32:1" };
const two = { fd, key: "u32:2" };
await bpf.mapUpdate({ path: one, body: { value: "u64:7" } });
const looked = await bpf.mapLookup({ path: one });
print("lookup", given(looked.data).value);

const bytes = await bpf.mapLookupBytes({ path: one });
print("bytes", hexOf(await given(bytes.data).arrayBuffer()));
await bpf.mapUpdateBytes({
  path: two,
  body: new Blob([NINE], { type: "application/octet-stream" }),
});
const stored = await bpf.mapLookup({ path: two });
print("stored", given(stored.data).value);

const query = { path: "/counts" };
await bpf.fsCreate({ query, body: { type: "pin", fd } });
const node = await bpf.fsStat({ query });
print("pin", given(node.data).type);
const opened = await bpf.fdOpen({ body: query });
print("open", given(opened.data).fd, given(opened.data).kind);

const updated = await bpf.mapBatch({
  path: { fd },
  body: { op: "update", keys: ["u32:3", "u32:4"], values: ["u64:3", "u64:4"] },
});
const read = await bpf.mapBatch({ path: { fd }, body: { op: "lookup", count: 2 } });
print("batch", given(updated.data).count, given(read.data).count);

const missing = await bpf.mapLookup({ path: { fd, key: "u32:99" } });
if (isErrno) print("errno", missing.response?.status, missing.error?.errno);

const program = await bpf.progLoad({ body: { prog_type: "xdp", asm: "r0 = 2\nexit" } });
const ran = await bpf.progTestRun({
  path: { fd: given(program.data).fd },
  body: { data_in: FRAME },
});
print("run", given(ran.data).retval);

const ring = await bpf.mapCreate({ body: { map_type: "ringbuf", max_entries: 4096 } });
const records = { fd: given(ring.data).fd };
await bpf.ringWrite({ path: records, body: { records: ["str:hi"] } });
const { stream } = await bpf.ringEvents({ path: records });
for await (const event of stream) {
  print("event", event);
  break;
}

const exit = await bpf.sessionExit();
if (exit.response?.status === 204) print("exit");
