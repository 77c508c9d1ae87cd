import { describe, expect, it } from "vitest";
import { hex, toHex } from "../support/bytes.ts";
import { answer, FRAME, fault, outcome, run, type Setting } from "../support/runtime_jobs.ts";

/** Contexts and packets of test runs. The numbers are what Linux 6.18 gave for the same programs. */

const ETH = "0a0b0c0d0e0f1a1b1c1d1e1f";
const REST = FRAME.subarray(14);
const IPV6 = hex(
  `${ETH}86dd 60${"00".repeat(7)} ${Buffer.from([...Array(40).keys()]).toString("hex")}`,
);
const ARP = hex(`${ETH}0806${"00".repeat(20)}`);
const VLAN = Buffer.concat([hex(`${ETH}8100 2005 0800`), REST]);
const LLC = hex(`${ETH}0004${"00".repeat(20)}`);
const MULTICAST = Buffer.concat([hex("01"), FRAME.subarray(1)]);
const HOST = Buffer.concat([hex("000000000000"), FRAME.subarray(6)]);

const field = (offset: number, size = 32) => `r0 = *(u${size} *)(r1 +${offset})\n exit`;
const at = async (offset: number, setting?: Setting) => (await run(field(offset), setting)).retval;

function context(size: number, fields: Record<number, number>): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [offset, value] of Object.entries(fields)) bytes.writeUInt32LE(value, Number(offset));
  return bytes;
}
const skb = (fields: Record<number, number>) => context(192, fields);
const md = (...fields: number[]) =>
  context(24, Object.fromEntries(fields.map((n, i) => [4 * i, n])));
const nonzero = (bytes: Uint8Array | undefined) => {
  const from = Buffer.from(bytes ?? []);
  const all = Array.from({ length: from.length / 4 }, (_, i) => [4 * i, from.readUInt32LE(4 * i)]);
  return Object.fromEntries(all.filter(([, value]) => value !== 0));
};
const refusal = async (setting: Setting) => {
  const ended = await outcome("r0 = 0\nexit", setting);
  return ended.kind === "refused" ? `${ended.errno} ${ended.field}` : ended.kind;
};

describe("struct __sk_buff", () => {
  it("struct __sk_buff has length, type and protocol of the packet", async () => {
    const seen = async (data: Buffer, prog_type = "sched_cls") => [
      await at(0, { data, prog_type }),
      await at(4, { data, prog_type }),
      await at(16, { data, prog_type }),
    ];
    expect(await seen(FRAME)).toEqual([54, 3, 8]);
    expect(await seen(IPV6)).toEqual([62, 3, 56710]);
    expect(await seen(ARP)).toEqual([34, 3, 1544]);
    expect(await seen(VLAN)).toEqual([58, 3, 129]);
    expect(await seen(LLC)).toEqual([34, 3, 1024]);
    expect(await seen(MULTICAST)).toEqual([54, 2, 8]);
    expect(await seen(HOST)).toEqual([54, 0, 8]);
    for (const type of ["socket_filter", "cgroup_skb", "lwt_in", "lwt_out", "lwt_xmit"]) {
      expect(await seen(FRAME, type), type).toEqual([40, 3, 8]);
    }
    expect(await seen(hex(`${ETH}0806`), "socket_filter")).toEqual([0, 3, 1544]);
  });

  it("struct __sk_buff defaults to zeros except for the interface", async () => {
    expect(await at(40)).toBe(1);
    for (const offset of [
      8, 12, 20, 24, 28, 32, 36, 44, 48, 64, 68, 72, 84, 152, 160, 164, 176, 184,
    ]) {
      expect(await at(offset), String(offset)).toBe(0);
    }
  });

  it("struct __sk_buff has the given fields", async () => {
    const given = {
      8: 0x11,
      32: 0x22,
      36: 1,
      40: 1,
      48: 1,
      64: 5,
      160: 0x100,
      164: 7,
      176: 99,
      184: 9,
    };
    const ctx = skb(given);
    for (const [offset, value] of Object.entries(given))
      expect(await at(Number(offset), { ctx })).toBe(value);
    expect(nonzero((await run("r0 = 0\nexit", { ctx })).ctx)).toEqual(given);
    expect(nonzero((await run("r0 = 0\nexit", { ctx: skb({}) })).ctx)).toEqual({ 40: 1, 160: 54 });
    expect((await run("r0 = 0\nexit")).ctx).toBeUndefined();
  });

  it("struct __sk_buff shows socket addresses to a cgroup program", async () => {
    const prog_type = "cgroup_skb";
    expect(await at(88, { prog_type })).toBe(2);
    expect(await at(92, { prog_type })).toBe(0x200000a);
    expect(await at(96, { prog_type })).toBe(0x100000a);
    expect(await at(88, { prog_type, data: IPV6 })).toBe(10);
    expect(await at(100, { prog_type, data: IPV6 })).toBe(0x13121110);
    expect(await at(116, { prog_type, data: IPV6 })).toBe(0x03020100);
  });

  it("struct __sk_buff returns writable fields after all repetitions", async () => {
    const set = [8, 32, 48, 52, 64]
      .map((offset) => `*(u32 *)(r1 +${offset}) = ${offset}`)
      .join("\n");
    const text = `${set}\n*(u32 *)(r1 +44) = 7\n*(u32 *)(r1 +72) = 7\n*(u64 *)(r1 +152) = 77
      r0 = *(u32 *)(r1 +44)
      exit`;
    const { retval, ctx } = await run(text, { ctx: skb({}) });
    expect(retval).toBe(7);
    expect(nonzero(ctx)).toEqual({ 8: 8, 32: 32, 40: 1, 48: 48, 52: 52, 64: 64, 152: 77, 160: 54 });
    const count = "r0 = *(u32 *)(r1 +8)\nr0 += 1\n*(u32 *)(r1 +8) = r0\nexit";
    const counted = await run(count, { ctx: skb({}), repeat: 5 });
    expect([counted.retval, counted.ctx?.[8]]).toEqual([5, 5]);
  });

  it("struct __sk_buff has no other writable field and ends after 192 bytes", async () => {
    const write = (offset: number) => `r0 = 0\n*(u32 *)(r1 +${offset}) = 1\nexit`;
    for (const offset of [0, 4, 16, 36, 68, 76, 80, 140, 160, 164, 176, 184, 192]) {
      expect(await fault(write(offset))).toMatchObject({ reason: "memory", pc: 1, program: 100 });
    }
    for (const offset of [8, 32, 44, 72, 152]) {
      expect(await fault(write(offset), { prog_type: "socket_filter" })).toMatchObject({ pc: 1 });
    }
    expect(await answer(write(48), { prog_type: "socket_filter" })).toBe(0);
    expect(await fault(field(192))).toMatchObject({ pc: 0 });
    expect(await fault(field(-8))).toMatchObject({ pc: 0 });
  });

  it("a context is rejected where bpf_prog_test_run_skb() rejects it", async () => {
    const sized = (size: number) => Buffer.concat([ARP, Buffer.alloc(4000)]).subarray(0, size);
    expect(await refusal({ data: undefined })).toBe("EINVAL data_in");
    expect(await refusal({ data: sized(13) })).toBe("EINVAL data_in");
    expect(await refusal({ data: sized(14) })).toBe("done");
    expect(await refusal({ data: sized(3712) })).toBe("done");
    expect(await refusal({ data: sized(3713) })).toBe("EINVAL data_in");
    for (const [data, least] of [
      [FRAME, 34],
      [IPV6, 54],
    ] as const) {
      expect(await refusal({ data: data.subarray(0, least - 1) })).toBe("EINVAL data_in");
      expect(await refusal({ data: data.subarray(0, least) })).toBe("done");
    }
    const good = [8, 32, 36, 40, 48, 52, 56, 60, 64, 152, 156, 164, 176, 184, 188];
    for (let offset = 0; offset < 192; offset += 4) {
      const expected = good.includes(offset) ? "done" : "EINVAL ctx_in";
      expect(await refusal({ ctx: skb({ [offset]: 1 }) }), String(offset)).toBe(expected);
    }
    expect(await refusal({ ctx: skb({ 40: 99 }) })).toBe("ENODEV ctx_in");
    for (const [wire, expected] of [
      [53, "EINVAL ctx_in"],
      [54, "done"],
      [65536, "done"],
      [65537, "EINVAL ctx_in"],
    ] as const) {
      expect(await refusal({ ctx: skb({ 160: wire }) })).toBe(expected);
    }
    expect(await refusal({ ctx: skb({ 164: 0xffff }) })).toBe("done");
    expect(await refusal({ ctx: skb({ 164: 0x10000 }) })).toBe("EINVAL ctx_in");
    expect(await refusal({ ctx: Buffer.alloc(200) })).toBe("done");
    expect(await refusal({ ctx: Buffer.alloc(200, 1) })).toBe("E2BIG ctx_in");
    expect(await at(8, { ctx: skb({ 8: 1 }).subarray(0, 12) })).toBe(1);
  });
});

describe("a packet", () => {
  const inside = (off: number, size = 8) => `
    r2 = *(u32 *)(r1 +76)
    r0 = *(u${size} *)(r2 +${off})
    exit`;
  const before = (off: number) => `
    r2 = *(u32 *)(r1 +80)
    r0 = *(u8 *)(r2 -${off})
    exit`;

  it("a packet is accessible from data to data_end, to the byte", async () => {
    expect(await answer(inside(0))).toBe(0x0a);
    expect(await answer(inside(14))).toBe(0x45);
    expect(await answer(before(1))).toBe(0x13);
    expect(await fault(inside(54))).toMatchObject({ reason: "memory", pc: 1 });
    expect(await fault(inside(52, 32))).toMatchObject({ pc: 1 });
    expect(await fault(inside(-1))).toMatchObject({ pc: 1 });
    expect(await answer(inside(0), { prog_type: "cgroup_skb" })).toBe(0x45);
    expect(await fault(inside(-1), { prog_type: "cgroup_skb" })).toMatchObject({ pc: 1 });
  });

  it("a packet is returned, for layer 3 with 14 zeros before it", async () => {
    const { data } = await run("r0 = 0\nexit");
    expect(toHex(data)).toBe(FRAME.toString("hex"));
    for (const prog_type of ["socket_filter", "cgroup_skb", "lwt_xmit"]) {
      const { data } = await run("r0 = 0\nexit", { prog_type });
      expect(toHex(data)).toBe("00".repeat(14) + REST.toString("hex"));
    }
  });

  it("LD_ABS and LD_IND read the packet, and a miss ends the program with 0", async () => {
    const load = (text: string) => `r6 = r1\nr7 = 0\nr0 = 5\n${text}\nexit`;
    const filter = { prog_type: "socket_filter" };
    expect(await answer(load("r0 = *(u16 *)skb[2]"), filter)).toBe(40);
    expect(await answer(load("r0 = *(u16 *)skb[12]"))).toBe(0x0800);
    expect(await answer(load("r7 = 16\nr0 = *(u8 *)skb[r7 +7]"), filter)).toBe(3);
    expect(await answer(load("r0 = *(u16 *)skb[39]"), filter)).toBe(0);
    expect(await answer(load("r0 = *(u8 *)skb[-1048576]"), filter)).toBe(0x45);
    expect(await answer(load("r0 = *(u16 *)skb[-2097140]"), filter)).toBe(0x0800);
  });
});

describe("struct xdp_md", () => {
  const prog_type = "xdp";
  const length = "r2 = *(u32 *)(r1 +0)\nr0 = *(u32 *)(r1 +4)\nr0 -= r2\nexit";
  const linear = async (setting: Setting) => {
    const { retval, data, ctx } = await run(length, { prog_type, ...setting });
    return [
      retval,
      data.length,
      ...(ctx ? [Buffer.from(ctx).readUInt32LE(0), Buffer.from(ctx).readUInt32LE(4)] : []),
    ];
  };
  const big = Buffer.concat([FRAME, Buffer.alloc(80_000)]);

  it("struct xdp_md has one page, and the rest in fragments", async () => {
    expect(await linear({})).toEqual([54, 54]);
    expect(await linear({ data: big.subarray(0, 3520) })).toEqual([3520, 3520]);
    expect(await linear({ data: big.subarray(0, 9000) })).toEqual([3520, 9000]);
    const buffLen = "call bpf_xdp_get_buff_len#188\nexit";
    expect(await answer(buffLen, { prog_type, data: big.subarray(0, 9000) })).toBe(9000);
    expect(await at(12, { prog_type })).toBe(1);
    expect(await at(16, { prog_type })).toBe(0);
  });

  it("struct xdp_md takes metadata and the page's length from the context", async () => {
    const ctx = (...fields: number[]) => ({ ctx: md(...fields) });
    expect(await linear(ctx(0, 54))).toEqual([54, 54, 0, 54]);
    expect(await linear(ctx(8, 54))).toEqual([46, 54, 8, 54]);
    expect(await linear(ctx(0, 20))).toEqual([20, 54, 0, 20]);
    expect(await linear(ctx(40, 50))).toEqual([10, 54, 40, 50]);
    expect(await linear({ data: big.subarray(0, 4000), ...ctx(8, 3529) })).toEqual([
      3520, 4000, 8, 3528,
    ]);
    const refused = async (setting: Setting) => refusal({ prog_type, ...setting });
    for (const bad of [
      [0, 55],
      [3, 54],
      [44, 54],
      [40, 39],
      [0, 54, 1],
      [0, 54, 0, 1, 1],
      [0, 54, 0, 0, 1],
      [0, 54, 0, 0, 0, 1],
    ]) {
      expect(await refused(ctx(...bad)), String(bad)).toBe("EINVAL ctx_in");
    }
    expect(await refused(ctx(0, 54, 0, 9))).toBe("ENODEV ctx_in");
    expect(await refused(ctx(0, 54, 0, 1))).toBe("done");
    expect(await refused({ data: big.subarray(0, 1054), ...ctx(216, 1054) })).toBe("done");
    expect(await refused({ data: big.subarray(0, 1054), ...ctx(220, 1054) })).toBe("EINVAL ctx_in");
    expect(await refused({ data: big.subarray(0, 13) })).toBe("EINVAL data_in");
    expect(await refused({ data: big.subarray(0, 73_000) })).toBe("done");
    expect(await refused({ data: big.subarray(0, 75_000) })).toBe("ENOMEM data_in");
    expect(await refused({ ctx: Buffer.concat([md(0, 54), hex("01")]) })).toBe("E2BIG ctx_in");
  });

  it("struct xdp_md is not writable", async () => {
    expect(await fault("r0 = 0\n*(u32 *)(r1 +16) = 1\nexit", { prog_type })).toMatchObject({
      pc: 1,
    });
  });
});
