import * as bpf from "../generated/orval/bpf.ts";
import { BASE, FRAME, firstEvent, hexOf, type IsErrno, NAMESPACE, NINE, print } from "./support.ts";

/** The program with orval. Its configuration has the address of the service; the token is an option of each call. */

const isErrno: IsErrno<bpf.Errno> = true;

/** The data of a response whose status says that the command succeeded. */
function done<R extends { status: number; data: unknown }, S extends number>(
  response: R,
  status: S,
): Extract<R, { status: S }>["data"] {
  if (response.status !== status) throw new Error(JSON.stringify(response.data));
  return response.data as Extract<R, { status: S }>["data"];
}

const created = await bpf.sessionCreate({ namespace: NAMESPACE, label: "clients" });
const { session, token } = done(created, 201);
print("session", session.label);
const options = { headers: { authorization: `Bearer ${token}` } };

const map = await bpf.mapCreate(
  { map_type: "hash", key_size: 4, value_size: 8, max_entries: 16, map_name: "counts" },
  options,
);
const { fd } = done(map, 201);
print("map", fd);

await bpf.mapUpdate(fd, "u32:1", { value: "u64:7" }, undefined, options);
const looked = await bpf.mapLookup(fd, "u32:1", undefined, options);
print("lookup", done(looked, 200).value);

const bytes = await bpf.mapLookupBytes(fd, "u32:1", undefined, options);
print("bytes", hexOf(await done(bytes, 200).arrayBuffer()));
await bpf.mapUpdateBytes(
  fd,
  "u32:2",
  new Blob([NINE], { type: "application/octet-stream" }),
  undefined,
  options,
);
const stored = await bpf.mapLookup(fd, "u32:2", undefined, options);
print("stored", done(stored, 200).value);

const path = "/counts";
await bpf.fsCreate({ type: "pin", fd }, { path }, options);
const node = await bpf.fsStat({ path }, options);
print("pin", done(node, 200).type);
const opened = done(await bpf.fdOpen({ path }, options), 201);
print("open", opened.fd, opened.kind);

const batch: bpf.BatchInput = {
  op: "update",
  keys: ["u32:3", "u32:4"],
  values: ["u64:3", "u64:4"],
};
const updated = await bpf.mapBatch(fd, batch, undefined, options);
const read = await bpf.mapBatch(fd, { op: "lookup", count: 2 }, undefined, options);
print("batch", done(updated, 200).count, done(read, 200).count);

const missing = await bpf.mapLookup(fd, "u32:99", undefined, options);
if (isErrno && missing.status === 404) print("errno", missing.status, missing.data.errno);

const program = await bpf.progLoad({ prog_type: "xdp", asm: "r0 = 2\nexit" }, options);
const run = await bpf.progTestRun(done(program, 201).fd, { data_in: FRAME }, undefined, options);
print("run", done(run, 200).retval);

const ring = await bpf.mapCreate({ map_type: "ringbuf", max_entries: 4096 }, options);
const records = done(ring, 201).fd;
await bpf.ringWrite(records, { records: ["str:hi"] }, options);
// Its function for a stream waits for the end, so the stream is read at the address that it makes.
const events = await fetch(new URL(bpf.getRingEventsUrl(records), BASE), options);
print("event", await firstEvent(events.body));

const exit = await bpf.sessionExit(options);
if (exit.status === 204) print("exit");
