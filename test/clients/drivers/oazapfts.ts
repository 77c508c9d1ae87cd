import { handle, ok } from "@oazapfts/runtime";
import * as bpf from "../generated/oazapfts/bpf.ts";
import { BASE, FRAME, firstEvent, hexOf, type IsErrno, NAMESPACE, NINE, print } from "./support.ts";

/** The program with oazapfts. */

const isErrno: IsErrno<bpf.Errno> = true;

bpf.defaults.baseUrl = BASE;
const created = await ok(bpf.sessionCreate({ namespace: NAMESPACE, label: "clients" }));
print("session", created.session.label);
bpf.defaults.headers = { authorization: `Bearer ${created.token}` };

const { fd } = await ok(
  bpf.mapCreate({
    map_type: "hash",
    key_size: 4,
    value_size: 8,
    max_entries: 16,
    map_name: "counts",
  }),
);
print("map", fd);

await ok(bpf.mapUpdate(fd, "u32:1", { value: "u64:7" }));
const { value } = await ok(bpf.mapLookup(fd, "u32:1"));
print("lookup", value);

/** It reads every response as text, so what is no text is taken from the response that its fetch gets. */
async function responseOf(call: (fetch: typeof globalThis.fetch) => Promise<unknown>) {
  return new Promise<Response>((resolve, reject) => {
    const keep = async (...args: Parameters<typeof fetch>) => {
      resolve(await fetch(...args));
      return new Response();
    };
    call(keep).catch(reject);
  });
}
const bytes = await responseOf((fetch) => bpf.mapLookupBytes(fd, "u32:1", {}, { fetch }));
print("bytes", hexOf(await bytes.arrayBuffer()));
await ok(bpf.mapUpdateBytes(fd, "u32:2", new Blob([NINE], { type: "application/octet-stream" })));
const stored = await ok(bpf.mapLookup(fd, "u32:2"));
print("stored", stored.value);

const path = "/counts";
await ok(bpf.fsCreate(path, { type: "pin", fd }));
const node = await ok(bpf.fsStat(path));
print("pin", node.type);
const opened = await ok(bpf.fdOpen({ path }));
print("open", opened.fd, opened.kind);

const keys = ["u32:3", "u32:4"];
const updated = await ok(bpf.mapBatch(fd, { op: "update", keys, values: ["u64:3", "u64:4"] }));
const read = await ok(bpf.mapBatch(fd, { op: "lookup", count: 2 }));
print("batch", updated.count, read.count);

await handle(bpf.mapLookup(fd, "u32:99"), {
  404: ({ errno }) => isErrno && print("errno", 404, errno),
});

const program = await ok(bpf.progLoad({ prog_type: "xdp", asm: "r0 = 2\nexit" }));
const run = await ok(bpf.progTestRun(program.fd, { data_in: FRAME }));
print("run", run.retval);

const ring = await ok(bpf.mapCreate({ map_type: "ringbuf", max_entries: 4096 }));
await ok(bpf.ringWrite(ring.fd, { records: ["str:hi"] }));
const events = await responseOf((fetch) => bpf.ringEvents(ring.fd, {}, { fetch }));
print("event", await firstEvent(events.body));

const exit = await bpf.sessionExit();
if (exit.status === 204) print("exit");
