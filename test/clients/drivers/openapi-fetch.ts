import createClient from "openapi-fetch";
import type { components, paths } from "../generated/openapi-fetch/schema.ts";
import {
  BASE,
  FRAME,
  firstEvent,
  given,
  hexOf,
  type IsErrno,
  NAMESPACE,
  NINE,
  print,
} from "./support.ts";

/** The program with openapi-fetch, on the types of openapi-typescript. */

const isErrno: IsErrno<components["schemas"]["Errno"]> = true;
const input = { namespace: NAMESPACE, label: "clients" };

const created = await createClient<paths>({ baseUrl: BASE }).POST("/v1/sessions", { body: input });
const { session, token } = given(created.data);
print("session", session.label);
const headers = { authorization: `Bearer ${token}` };
const client = createClient<paths>({ baseUrl: BASE, headers });

const map = await client.POST("/v1/maps", {
  body: { map_type: "hash", key_size: 4, value_size: 8, max_entries: 16, map_name: "counts" },
});
const { fd } = given(map.data);
print("map", fd);

const ELEMENT = "/v1/fds/{fd}/elements/{key}";
const one = { path: { fd, key: "u32:1" } };
const two = { path: { fd, key: "u32:2" } };
await client.PUT(ELEMENT, { params: one, body: { value: "u64:7" } });
const looked = await client.GET(ELEMENT, { params: one });
print("lookup", given(looked.data).value);

const bytes = await client.GET(`${ELEMENT}/bytes`, { params: one, parseAs: "arrayBuffer" });
print("bytes", hexOf(given(bytes.data)));
await client.PUT(`${ELEMENT}/bytes`, {
  params: two,
  headers: { "content-type": "application/octet-stream" },
  body: "",
  bodySerializer: () => NINE,
});
const stored = await client.GET(ELEMENT, { params: two });
print("stored", given(stored.data).value);

const path = "/counts";
await client.PUT("/v1/fs", { params: { query: { path } }, body: { type: "pin", fd } });
const node = await client.GET("/v1/fs", { params: { query: { path } } });
print("pin", given(node.data).type);
const opened = await client.POST("/v1/fds", { body: { path } });
print("open", given(opened.data).fd, given(opened.data).kind);

const params = { path: { fd } };
const updated = await client.POST("/v1/fds/{fd}/batch", {
  params,
  body: { op: "update", keys: ["u32:3", "u32:4"], values: ["u64:3", "u64:4"] },
});
const read = await client.POST("/v1/fds/{fd}/batch", { params, body: { op: "lookup", count: 2 } });
print("batch", given(updated.data).count, given(read.data).count);

const missing = await client.GET(ELEMENT, { params: { path: { fd, key: "u32:99" } } });
if (isErrno) print("errno", missing.response.status, missing.error?.errno);

const program = await client.POST("/v1/progs", { body: { prog_type: "xdp", asm: "r0 = 2\nexit" } });
const ran = await client.POST("/v1/fds/{fd}/test-run", {
  params: { path: { fd: given(program.data).fd } },
  body: { data_in: FRAME },
});
print("run", given(ran.data).retval);

const ring = await client.POST("/v1/maps", { body: { map_type: "ringbuf", max_entries: 4096 } });
const records = { path: { fd: given(ring.data).fd } };
await client.POST("/v1/fds/{fd}/records", { params: records, body: { records: ["str:hi"] } });
const events = await client.GET("/v1/fds/{fd}/records/events", {
  params: records,
  parseAs: "stream",
});
print("event", await firstEvent(given(events.data)));

const exit = await client.DELETE("/v1/session");
if (exit.response.status === 204) print("exit");
