import { expect, it, vi } from "vitest";
import { BPF_FUNC } from "../../domain/isa/helpers/index.ts";
import { call, copy, EXIT, mov, RETURN_ZERO_HEX, wide } from "../support/insns.ts";
import { type TestSession, testService } from "../support/service.ts";

/** BTF objects beside what the traces of Linux hold: holders, repeats, upgrades, long blobs. */

const service = await testService();
const newSession = (more: object = {}) => service.session(service.namespace(), more);

/** type 1 is an int, and in FUNC type 3 a function that returns it. */
const INT = "n+sBABgAAAAAAAAAEAAAABAAAAAFAAAAAQAAAAAAAAEEAAAAIAAAAQBpbnQA";
const FUNC =
  "n+sBABgAAAAAAAAAKAAAACgAAAAKAAAAAQAAAAAAAAEEAAAAIAAAAQAAAAAAAAANAQAAAAUAAAABAAAMAgAAAABpbnQAbWFpbgA=";
const ARRAY = { map_type: "array", key_size: 4, value_size: 4, max_entries: 1 };
const typed = (btf_fd: number) => ({
  ...{ ...ARRAY, btf_fd, btf_key_type_id: 1, btf_value_type_id: 1 },
});
/** BPF_PSEUDO_FUNC */
const PSEUDO_FUNC = 4;

async function loadBtf(session: TestSession, btf: string, more: object = {}) {
  const { status, body } = await session.post("/v1/btfs", { btf, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return body as { fd: number; id: number; log: string };
}

/** A BTF of so many integers, each with a name of its own. */
function integers(count: number): string {
  const names = Array.from({ length: count }, (_, i) => `i${i}`);
  const strings = Buffer.from(`\0${names.join("\0")}\0`);
  const types = names.map((_, i) => {
    const name = strings.indexOf(`\0i${i}\0`) + 1;
    return Buffer.from(Uint32Array.of(name, 1 << 24, 4, (1 << 24) | 32).buffer);
  });
  const header = Uint32Array.of(0x1eb9f, 24, 0, 16 * count, 16 * count, strings.length);
  return Buffer.concat([Buffer.from(header.buffer), ...types, strings]).toString("base64");
}

it("btf_get names the files, maps and programs that hold a BTF object", async () => {
  const session = await newSession();
  const { fd, id } = await loadBtf(session, FUNC);
  await session.post("/v1/maps", typed(fd));
  const prog = { prog_type: "socket_filter", insns: RETURN_ZERO_HEX, prog_btf_fd: fd };
  await session.post("/v1/progs", { ...prog, func_info: "0000000003000000" });
  const { body } = await session.get(`/v1/btfs/${id}`);
  expect(body).toMatchObject({ kind: "btf", btf_size: 74, kernel_btf: false, refcnt: 3 });
  expect(body.holders).toMatchObject({ maps: [1], progs: [1] });
  expect(body.holders.files).toHaveLength(1);
  const { fds } = (await session.get("/v1/fds?kind=btf")).body;
  expect(fds).toEqual([{ fd, kind: "btf", id, file_flags: 8 }]);
});

it("btf_load repeats its answer with the log for an Idempotency-Key", async () => {
  const session = await newSession();
  const send = () =>
    session.post("/v1/btfs", { btf: INT, btf_log_level: 1 }, { "idempotency-key": "k" });
  const first = await send();
  expect(first.body.log).toMatch(/\[1\] INT int size=4/);
  expect((await send()).body).toEqual(first.body);
  expect((await session.get("/v1/btfs")).body.btfs).toHaveLength(1);
});

it("btf_load that finds no fd uses up an id, and one that is refused does not", async () => {
  const session = await newSession({ nofile: 4 });
  await loadBtf(session, INT);
  expect((await session.post("/v1/btfs", { btf: "AAAA" })).body.errno).toBe("EINVAL");
  expect((await session.post("/v1/btfs", { btf: INT })).body.errno).toBe("EMFILE");
  await session.del("/v1/fds/3");
  expect((await loadBtf(session, INT)).id).toBe(3);
});

it("btf_load checks a long blob in a thread, stores it in steps and reads it in steps", async () => {
  const session = await newSession();
  const long = integers(6000);
  const { fd, log } = await loadBtf(session, long, { btf_log_level: 1 });
  expect(log).toMatch(/\[6000\] INT i5999 size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n$/);
  expect((await session.get(`/v1/fds/${fd}?btf_size=1000000`)).body.btf).toBe(long);
  const types = { btf_fd: fd, btf_key_type_id: 6000, btf_value_type_id: 5999 };
  expect((await session.post("/v1/maps", { ...ARRAY, ...types })).status).toBe(201);
  const cut = Buffer.from(long, "base64").subarray(0, -1).toString("base64");
  const { body } = await session.post("/v1/btfs", { btf: cut, btf_log_level: 1 });
  expect(body.errno).toBe("EINVAL");
  expect(body.log).toMatch(/Total section length too long$/);
});

it("obj_get_info_by_fd never joins the bytes of two BTF objects that had the same fd", async () => {
  const session = await newSession();
  const { fd } = await loadBtf(session, integers(6000));
  const { script } = service.kernel;
  const run = script.run.bind(script);
  let reads = 0;
  vi.spyOn(script, "run").mockImplementation(async (...args) => {
    if (args[1] === "obj_get_info_by_fd" && ++reads === 2) {
      await session.del(`/v1/fds/${fd}`);
      await loadBtf(session, integers(6001));
    }
    return run(...args);
  });
  const { status, body } = await session.get(`/v1/fds/${fd}?btf_size=1000000`);
  vi.restoreAllMocks();
  expect(reads).toBe(2);
  expect([status, body.errno]).toEqual([404, "EBADFD"]);
  expect(body.detail).toBe("fd 3 was closed while the BTF object 1 was read");
});

it("prog_load takes a callback whose function func_info describes", async () => {
  const session = await newSession();
  const { fd } = await loadBtf(session, FUNC);
  const main = [wide(2, PSEUDO_FUNC, 6, 0), mov(1, 3), mov(3, 0), mov(4, 0), call(BPF_FUNC.loop)];
  const insns = Buffer.concat([...main, EXIT, mov(0, 0), EXIT]).toString("hex");
  const prog = { prog_type: "sched_cls", insns };
  expect((await session.post("/v1/progs", prog)).body.detail).toMatch(/missing btf func_info/);
  const func_info = "00000000030000000700000003000000";
  const { status, body } = await session.post("/v1/progs", { ...prog, prog_btf_fd: fd, func_info });
  expect(status, JSON.stringify(body)).toBe(201);
  expect((await session.get(`/v1/fds/${body.fd}`)).body.nr_func_info).toBe(2);
});

it("prog_load refuses func_info of the wrong functions before an unknown map", async () => {
  const session = await newSession();
  const { fd } = await loadBtf(session, FUNC);
  const insns = Buffer.concat([wide(1, 1, 999, 0), copy(0, 1), EXIT]).toString("hex");
  const prog = { prog_type: "socket_filter", insns, prog_btf_fd: fd };
  const wrong = { ...prog, func_info: "0000000001000000" };
  expect((await session.post("/v1/progs", wrong)).body.errno).toBe("EINVAL");
  const right = { ...prog, func_info: "0000000003000000" };
  expect((await session.post("/v1/progs", right)).body.errno).toBe("EBADF");
});

it("a sweep frees the BTF object that an older version left without holders", async () => {
  const namespace = service.namespace();
  const session = await service.session(namespace);
  const { fd, id } = await loadBtf(session, INT);
  const map = (await session.post("/v1/maps", typed(fd))).body;
  await session.del(`/v1/fds/${fd}`);
  const root = `bpf:{${namespace}}:`;
  const { redis } = service.kernel.script;
  // Such a version does not know what the map holds.
  await redis.hdel(`${root}map:${map.id}`, "btf_id");
  await session.del(`/v1/fds/${map.fd}`);
  expect((await session.get(`/v1/btfs/${id}`)).status).toBe(200);
  await service.kernel.sweep(namespace);
  await service.kernel.sweep(namespace);
  expect((await session.get(`/v1/btfs/${id}`)).body.errno).toBe("ENOENT");
  expect(await redis.exists(`${root}btf:${id}`, `${root}blob:${id}`, `${root}ids:btf`)).toBe(0);
});

it("an older version that closes the last file of a BTF object frees nothing", async () => {
  const namespace = service.namespace();
  const session = await service.session(namespace);
  const { fd, id } = await loadBtf(session, INT);
  const root = `bpf:{${namespace}}:`;
  const { redis } = service.kernel.script;
  // What refcount.put() of such a version writes before it would free the object.
  const [holder = ""] = await redis.hkeys(`${root}holders:btf:${id}`);
  await redis.hdel(`${root}fds:1`, String(fd));
  await redis.setbit(`${root}fdmap:1`, fd, 0);
  await redis.del(`${root}${holder}`);
  await redis.hdel(`${root}holders:btf:${id}`, holder);
  expect(await redis.hincrby(`${root}btf:${id}`, "refcnt", -1)).toBe(1);
  expect((await session.get("/v1/btfs")).body.btfs).toEqual([]);
  expect((await session.post("/v1/fds", { btf_id: id })).body.errno).toBe("ENOENT");
  await service.kernel.sweep(namespace);
  expect(await redis.exists(`${root}btf:${id}`)).toBe(0);
});
