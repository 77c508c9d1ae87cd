import { describe, expect, it } from "vitest";
import { RETURN_ZERO_HEX, wide } from "../support/insns.ts";
import { type TestSession, testService } from "../support/service.ts";

/** How a program names its maps (kernel/bpf/verifier.c resolve_pseudo_ldimm64). */

const service = await testService();
const BAD_FD = 999;

/** ld_imm64 r1 with a source of map fd (1), value of a map (2), or index into fd_array (5). */
const load = (source: number, first: number, second = 0): string =>
  wide(1, source, first, second).toString("hex");

const fd = (n: number) => load(1, n);
const value = (n: number, offset: number) => load(2, n, offset);

async function array(session: TestSession, max_entries: number): Promise<number> {
  const { body } = await session.post("/v1/maps", {
    ...{ map_type: "array", key_size: 4, value_size: 4, max_entries },
  });
  return body.fd;
}

const progLoad = (session: TestSession, insns: string, more: object = {}) =>
  session.post("/v1/progs", { insns: insns + RETURN_ZERO_HEX, ...more });

it("a caller without privilege gets EPERM before a long program is checked", async () => {
  const session = await service.session(service.namespace(), { uid: 1000, capabilities: [] });
  const { script } = service.kernel;
  const whole = script.run.bind(script);
  const commands: string[] = [];
  script.run = (namespace, command, ...args) => {
    // A request that takes long on a busy machine renews its session.
    if (command !== "session_renew") commands.push(command);
    return whole(namespace, command, ...args);
  };
  const { body } = await progLoad(session, fd(BAD_FD).repeat(10_000));
  script.run = whole;
  expect([body.errno, body.detail]).toEqual(["EPERM", "loading a program needs CAP_BPF"]);
  expect(commands).toEqual(["prog_admit"]);
});

describe("a program's maps", () => {
  it("a program's maps are looked up once per fd, however often it names them", async () => {
    const session = await service.session(service.namespace());
    const map = await array(session, 1);
    const loaded = await progLoad(session, fd(map).repeat(50_000));
    expect([loaded.status, loaded.body.fd]).toEqual([201, 4]);
    const { body } = await session.get("/v1/fds/4");
    expect([body.insn_cnt, body.map_ids]).toEqual([100_002, [1]]);
    expect((await session.get(`/v1/fds/${map}`)).body.refcnt).toBe(2);
  });

  it("a program's maps fail in the order of the instructions", async () => {
    const session = await service.session(service.namespace());
    const [one, four] = [await array(session, 1), await array(session, 4)];
    const refused = async (...insns: string[]) =>
      (await progLoad(session, insns.join(""))).body.errno;
    expect(await refused(fd(four), fd(BAD_FD), value(four, 0))).toBe("EBADF");
    expect(await refused(value(one, 0), fd(BAD_FD), value(one, 9))).toBe("EBADF");
    expect(await refused(value(four, 0), fd(BAD_FD))).toBe("ENOTSUPP");
    expect(await refused(value(one, 4), fd(BAD_FD))).toBe("EINVAL");
    expect(await refused(fd(-1))).toBe("EBADF");
    expect(await refused(fd(2))).toBe("EINVAL");
  });

  it("a program names maps through fd_array too, EPROTO without one", async () => {
    const session = await service.session(service.namespace());
    const map = await array(session, 1);
    expect((await progLoad(session, load(5, 1))).body.errno).toBe("EPROTO");
    const loaded = await progLoad(session, load(5, 1), { fd_array: [BAD_FD, map] });
    expect(loaded.status).toBe(201);
    expect((await session.get(`/v1/fds/${loaded.body.fd}`)).body.map_ids).toEqual([1]);
  });

  it("the log reports rejected maps in the kernel's words", async () => {
    const session = await service.session(service.namespace());
    const { body } = await progLoad(session, fd(BAD_FD), { log_level: 1 });
    expect([body.errno, body.log]).toEqual([
      "EBADF",
      `fd ${BAD_FD} is not pointing to valid bpf_map`,
    ]);
  });
});

const byId = (id: number, more = "") => ({ asm: `r1 = map[id:${id}]${more}\nr0 = 0\nexit` });

describe("a map that a text names by its id", () => {
  it("a map named by id is held by the program and gains no user", async () => {
    const session = await service.session(service.namespace());
    const { body } = await session.post("/v1/maps", {
      ...{ map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 1 },
    });
    const one = (await session.post("/v1/progs", byId(body.id))).body;
    await session.del(`/v1/fds/${body.fd}`);
    const two = await session.post("/v1/progs", byId(body.id));
    expect(two.status).toBe(201);
    const { holders, ...info } = (await session.get(`/v1/maps/${body.id}`)).body;
    expect([info.refcnt, info.usercnt, holders.progs]).toEqual([2, 0, [one.id, two.body.id]]);
  });

  it("a text may name one map by id and by fd and address its value", async () => {
    const session = await service.session(service.namespace());
    const [one, two] = [await array(session, 1), await array(session, 1)];
    const { body } = await session.get(`/v1/fds/${two}`);
    const asm = [`r1 = map[fd:${one}]`, `r2 = map[id:${body.id}][0]+0`, `r3 = map[fd:${two}]`];
    const loaded = await session.post("/v1/progs", { asm: [...asm, "r0 = 0", "exit"] });
    expect((await session.get(`/v1/fds/${loaded.body.fd}`)).body.map_ids).toEqual([1, 2]);
    const outside = await session.post("/v1/progs", byId(body.id, "[0]+4"));
    expect(outside.body.errno).toBe("EINVAL");
  });

  it("a map named by id gives EPERM before ENOENT, as BPF_MAP_GET_FD_BY_ID does", async () => {
    const namespace = service.namespace();
    const root = await service.session(namespace);
    await array(root, 1);
    const capabilities = ["CAP_BPF", "CAP_NET_ADMIN"];
    const user = await service.session(namespace, { uid: 1000, gid: 1000, capabilities });
    expect((await user.post("/v1/progs", byId(1))).body.errno).toBe("EPERM");
    expect((await user.post("/v1/progs", byId(9))).body.errno).toBe("EPERM");
    const { status, body } = await root.post("/v1/progs", byId(9));
    expect([status, body.errno, body.detail]).toEqual([404, "ENOENT", "no map has id 9"]);
  });
});

describe("the detail of a rejected program", () => {
  it.each([
    ["a register never written", ["r0 = 1", "r0 = r3", "exit"], "insn 1, r0 = r3: R3 !read_ok"],
    [
      "a value that may be missing",
      [
        "*(u32 *)(r10 -4) = 0",
        "r1 = map[id:1]",
        "r2 = r10",
        "r2 += -4",
        "call map_lookup_elem",
      ].concat("r0 = *(u32 *)(r0 +0)", "exit"),
      "insn 6, r0 = *(u32 *)(r0 +0): R0 invalid mem access 'map_value_or_null'",
    ],
    ["a text that ends too early", ["r0 = 0"], "last insn is not an exit or jmp"],
    ["an index of no fd", ["r1 = map[idx:1]", "exit"], "insn 0, r1 = map[idx:1]"],
  ])(
    "a rejection names its instruction in one line at every log_level: %s",
    async (_, asm, detail) => {
      const session = await service.session(service.namespace());
      const map = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 1 };
      const { fd } = (await session.post("/v1/maps", map)).body;
      for (const log_level of [0, 1, 2]) {
        const { body } = await session.post("/v1/progs", { asm, log_level, fd_array: [fd] });
        expect(body.detail).toBe(detail);
        expect(body.log).toContain(detail.split(": ")[1] ?? "");
      }
    },
  );

  it("a rejected program given as bytes names the place too", async () => {
    const session = await service.session(service.namespace());
    const { body } = await session.post("/v1/progs", {
      insns: `fe00000000000000${RETURN_ZERO_HEX}`,
    });
    expect(body.detail).toMatch(/^insn 0, .*: unknown opcode fe$/);
  });
});
