import { describe, expect, it } from "vitest";
import { type Session, testService } from "./service.ts";

/** How a program names its maps (kernel/bpf/verifier.c resolve_pseudo_ldimm64). */

const service = await testService();
const BAD_FD = 999;
const EXIT = "b7000000000000009500000000000000";

/** ld_imm64 r1 with a source of map fd (1), value of a map (2), or index into fd_array (5). */
function load(source: number, first: number, second = 0): string {
  const insn = Buffer.alloc(16);
  insn.set([0x18, (source << 4) | 1]);
  insn.writeInt32LE(first, 4);
  insn.writeInt32LE(second, 12);
  return insn.toString("hex");
}

const fd = (n: number) => load(1, n);
const value = (n: number, offset: number) => load(2, n, offset);

async function array(session: Session, max_entries: number): Promise<number> {
  const { body } = await session.post("/v1/maps", {
    ...{ map_type: "array", key_size: 4, value_size: 4, max_entries },
  });
  return body.fd;
}

const progLoad = (session: Session, insns: string, more: object = {}) =>
  session.post("/v1/progs", { insns: insns + EXIT, ...more });

describe("a program's maps", () => {
  it("are looked up once per fd, however often the program names them", async () => {
    const session = await service.session(service.namespace());
    const map = await array(session, 1);
    const loaded = await progLoad(session, fd(map).repeat(50_000));
    expect([loaded.status, loaded.body.fd]).toEqual([201, 4]);
    const { body } = await session.get("/v1/fds/4");
    expect([body.insn_cnt, body.map_ids]).toEqual([100_002, [1]]);
    expect((await session.get(`/v1/fds/${map}`)).body.refcnt).toBe(2);
  });

  it("fail in the order of the instructions", async () => {
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

  it("are named through fd_array too: EPROTO without one", async () => {
    const session = await service.session(service.namespace());
    const map = await array(session, 1);
    expect((await progLoad(session, load(5, 1))).body.errno).toBe("EPROTO");
    const loaded = await progLoad(session, load(5, 1), { fd_array: [BAD_FD, map] });
    expect(loaded.status).toBe(201);
    expect((await session.get(`/v1/fds/${loaded.body.fd}`)).body.map_ids).toEqual([1]);
  });

  it("that are refused are told in the log, in the kernel's words", async () => {
    const session = await service.session(service.namespace());
    const { body } = await progLoad(session, fd(BAD_FD), { log_level: 1 });
    expect([body.errno, body.log]).toEqual([
      "EBADF",
      `fd ${BAD_FD} is not pointing to valid bpf_map`,
    ]);
  });
});
