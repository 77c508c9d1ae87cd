import { describe, expect, it } from "vitest";
import { HELPERS } from "../../domain/compiler/abi.ts";
import { SK_BUFF } from "../../domain/runtime/contexts/skb_input.ts";
import { createHelpers } from "../../domain/runtime/helpers/helpers.ts";
import { hex, toHex } from "../support/bytes.ts";
import { answer, FRAME, fault, machine, run, type Setting } from "../support/runtime_jobs.ts";

/** Helpers return, and do to a packet, what Linux 6.18 did for the same calls. */

const ETH = "0a0b0c0d0e0f1a1b1c1d1e1f";
const REST = toHex(FRAME).slice(28);

/** A call with r1 = ctx; "fp" is the address of 16 bytes on the stack. */
function call(helper: string, ...args: (number | "fp")[]): string {
  const set = args.map((arg, i) => {
    const reg = `r${i + 2}`;
    if (arg === "fp") return `${reg} = r10\n${reg} += -16`;
    return arg > 0x7fffffff ? `${reg} = ${arg} ll` : `${reg} = ${arg}`;
  });
  return `*(u64 *)(r10 -16) = 0x55667788
    *(u64 *)(r10 -8) = 0x44332211
    r6 = r1
    ${set.join("\n")}
    call ${helper}`;
}
const EXIT = "\n exit";
const then = (field: number) => `\n r0 = *(u32 *)(r6 +${field})\n exit`;

/** The return value of a call, and the packet's length after it. */
async function ask(helper: string, args: (number | "fp")[], setting?: Setting) {
  const { retval, data } = await run(call(helper, ...args) + EXIT, setting);
  return [retval | 0, data.length];
}
const packet = async (text: string, setting?: Setting) => toHex((await run(text, setting)).data);

const [EFAULT, EINVAL, ENOMEM, EACCES] = [-14, -22, -12, -13];

describe("bytes of a packet", () => {
  it("bpf_skb_load_bytes() loads bytes only when all are there", async () => {
    const load = "bpf_skb_load_bytes#26";
    for (const [offset, size, expected] of [
      [0, 4, 0],
      [50, 4, 0],
      [51, 4, EFAULT],
      [54, 1, EFAULT],
      [-1, 4, EFAULT],
      [65536, 1, EFAULT],
    ] as const) {
      expect(await ask(load, [offset, "fp", size])).toEqual([expected, 54]);
    }
    const sf = { prog_type: "socket_filter" };
    expect(await ask(load, [36, "fp", 4], sf)).toEqual([0, 54]);
    expect(await ask(load, [37, "fp", 4], sf)).toEqual([EFAULT, 54]);
    const first = `${call(load, 14, "fp", 4)}\nr0 = *(u32 *)(r10 -16)${EXIT}`;
    expect(await answer(first)).toBe(0x28000045);
    const failed = `${call(load, 51, "fp", 4)}\nr0 = *(u32 *)(r10 -16)${EXIT}`;
    expect(await answer(failed)).toBe(0);
  });

  it("bpf_skb_load_bytes_relative() counts from the link or the network header", async () => {
    const load = "bpf_skb_load_bytes_relative#68";
    for (const [offset, header, expected] of [
      [0, 0, 0],
      [0, 2, EFAULT],
      [50, 0, 0],
      [51, 0, EFAULT],
      [36, 1, 0],
      [37, 1, EFAULT],
      [65535, 0, EFAULT],
    ] as const) {
      for (const prog_type of header === 2 ? ["sched_cls"] : ["sched_cls", "socket_filter"]) {
        expect(await ask(load, [offset, "fp", 4, header], { prog_type })).toEqual([expected, 54]);
      }
    }
  });

  it("bpf_skb_store_bytes() stores bytes into the packet", async () => {
    const store = "bpf_skb_store_bytes#9";
    for (const [offset, flags, expected] of [
      [50, 0, 0],
      [51, 0, EFAULT],
      [0, 3, 0],
      [0, 4, EINVAL],
      [65536, 0, EFAULT],
      [-1, 0, EFAULT],
    ] as const) {
      expect(await ask(store, [offset, "fp", 4, flags])).toEqual([expected, 54]);
    }
    const stored = await packet(call(store, 0, "fp", 8, 0) + EXIT);
    expect(stored).toBe(`8877665500000000${toHex(FRAME).slice(16)}`);
  });
});

describe("checksums", () => {
  it("a checksum changes with a field", async () => {
    const sum = async (helper: string, at: number, from: number, to: number, flags: number) => {
      const changed = await run(call(helper, at, from, to, flags) + EXIT);
      return (changed.retval | 0) === 0
        ? toHex(changed.data.subarray(at, at + 2))
        : changed.retval | 0;
    };
    const l3 = (...args: [number, number, number]) => sum("bpf_l3_csum_replace#10", 24, ...args);
    const l4 = (...args: [number, number, number]) => sum("bpf_l4_csum_replace#11", 36, ...args);
    expect(await l3(1, 2, 2)).toBe("feff");
    expect(await l3(0x01020304, 0x0a0b0c0d, 4)).toBe("eded");
    expect(await l3(0, 0x0a0b, 0)).toBe("f4f5");
    expect(await l3(0xffffffff, 0, 4)).toBe("0000");
    expect(await l3(0, 0x12345678, 0)).toBe("5397");
    expect(await l3(1, 2, 0)).toBe(EINVAL);
    expect(await l3(1, 2, 18)).toBe(EINVAL);
    expect(await l4(1, 2, 2)).toBe("0103");
    expect(await l4(0x01020304, 0x0a0b0c0d, 0x14)).toBe("eff0");
    expect(await l4(0, 0x12345678, 0)).toBe("559a");
    expect(await l4(0, 5, 0x60)).toBe("fd02");
    expect(await l4(0, 0x55, 0x80)).toBe("ad02");
    expect(await l4(1, 2, 0x102)).toBe(EINVAL);
    expect(await ask("bpf_l3_csum_replace#10", [25, 1, 2, 2])).toEqual([EFAULT, 54]);
    expect(await ask("bpf_l4_csum_replace#11", [53, 1, 2, 2])).toEqual([EFAULT, 54]);
  });

  it("a UDP checksum is never 0, unless there is none", async () => {
    const udp = async (field: string, from: number, flags: number) => {
      const data = Buffer.concat([FRAME.subarray(0, 36), hex(field), FRAME.subarray(38)]);
      const text = call("bpf_l4_csum_replace#11", 36, from, field === "0000" ? 2 : 0, flags) + EXIT;
      return (await packet(text, { data })).slice(72, 76);
    };
    expect(await udp("0000", 1, 0x22)).toBe("0000");
    expect(await udp("0000", 1, 0x62)).toBe("feff");
    expect(await udp("ffff", 0, 0x02)).toBe("0000");
    expect(await udp("ffff", 0, 0x22)).toBe("ffff");
    expect(await udp("ffff", 0xffff, 0x22)).toBe("ffff");
  });

  it("bpf_csum_update() fails with ENOTSUPP: the device computes no checksum", async () => {
    expect(await ask("bpf_csum_update#40", [1])).toEqual([-524, FRAME.length]);
  });

  it("bpf_csum_diff() returns the difference of two checksums", async () => {
    const diff = (from: number, to: number, seed: number, fromSize: number, toSize: number) =>
      answer(`*(u64 *)(r10 -8) = ${from}
        *(u64 *)(r10 -16) = ${to}
        r1 = r10
        r1 += -8
        r2 = ${fromSize}
        r3 = r10
        r3 += -16
        r4 = ${toSize}
        w5 = ${seed}
        call bpf_csum_diff#28
        exit`);
    expect(await diff(1, 2, 0, 4, 4)).toBe(1);
    expect(await diff(2, 1, 0, 4, 4)).toBe(0xfffe);
    expect(await diff(0x01020304, 0x0a0b0c0d, 0x1234, 4, 4)).toBe(0x2446);
    expect(await diff(5, 6, 0, 0, 4)).toBe(6);
    expect(await diff(5, 6, 0, 4, 0)).toBe(0xfffa);
    expect(await diff(5, 6, 0x12345, 4, 8)).toBe(0x2347);
    expect(await diff(5, 6, -1, 4, 0)).toBe(0xfffa);
    expect(await diff(-5, -6, -7, 8, 4)).toBe(0xfff8);
    expect(await diff(5, 6, 7, 0, 0)).toBe(7);
    expect(await diff(5, 6, -1, 0, 0)).toBe(0xffff);
    for (const [fromSize, toSize, seed, sum] of [
      [0, 1, 0, 0x0d],
      [0, 3, 5, 0x0c1d],
      [3, 0, 0, 0xfcf9],
      [5, 7, 9, 0x121b],
      [8, 2, -1, 0x0807],
    ] as const) {
      expect(await diff(0x01020304, 0x0a0b0c0d, seed, fromSize, toSize)).toBe(sum);
    }
  });
});

describe("changing a struct sk_buff", () => {
  it("bpf_skb_change_tail() changes the length of the packet", async () => {
    const tail = (length: number, flags = 0, prog_type = "sched_cls") =>
      ask("bpf_skb_change_tail#38", [length, flags], { prog_type });
    for (const length of [14, 33, 54, 100, 16064]) expect(await tail(length)).toEqual([0, length]);
    for (const length of [0, 13, 16065, -1]) expect(await tail(length)).toEqual([EINVAL, 54]);
    expect(await tail(54, 1)).toEqual([EINVAL, 54]);
    expect(await tail(0, 0, "lwt_xmit")).toEqual([0, 14]);
    const grown = await packet(call("bpf_skb_change_tail#38", 56, 0) + EXIT);
    expect(grown).toBe(`${toHex(FRAME)}0000`);
  });

  it("bpf_skb_change_head() makes room before the packet", async () => {
    const head = (room: number, flags = 0) => ask("bpf_skb_change_head#43", [room, flags]);
    for (const room of [0, 1, 14, 16010]) expect(await head(room)).toEqual([0, 54 + room]);
    for (const room of [16011, -1]) expect(await head(room)).toEqual([EINVAL, 54]);
    expect(await head(8, 1)).toEqual([EINVAL, 54]);
    const grown = call("bpf_skb_change_head#43", 8, 0);
    expect(await packet(grown + EXIT)).toBe("00".repeat(8) + toHex(FRAME));
    expect(await answer(grown + then(0))).toBe(62);
    const lwt = await packet(call("bpf_skb_change_head#43", 14, 0) + EXIT, {
      prog_type: "lwt_xmit",
    });
    expect(lwt).toBe("00".repeat(28) + REST);
  });

  it("a tail change ends GSO, and a GSO packet may be longer", async () => {
    const ctx = Buffer.alloc(192);
    ctx.writeUInt32LE(7, SK_BUFF.gso_segs);
    ctx.writeUInt32LE(100, SK_BUFF.gso_size);
    const tail = call("bpf_skb_change_tail#38", 40, 0);
    expect(await answer(tail + then(SK_BUFF.gso_size), { ctx })).toBe(0);
    const after = Buffer.from((await run(tail + EXIT, { ctx })).ctx ?? []);
    expect(after.readUInt32LE(SK_BUFF.gso_segs)).toBe(0);
    expect(after.readUInt32LE(SK_BUFF.gso_size)).toBe(100);
    const head = (room: number) => ask("bpf_skb_change_head#43", [room, 0], { ctx });
    expect(await head(65535)).toEqual([0, 65589]);
    expect(await head(-1)).toEqual([EINVAL, 54]);
    expect(await head(1 << 22)).toEqual([ENOMEM, 54]);
    const moved = call("bpf_skb_change_head#43", 8, 0);
    expect(await answer(moved + then(SK_BUFF.gso_segs), { ctx })).toBe(7);
  });

  it("the packet moves, and its old bytes cannot be accessed", async () => {
    const text = `${call("bpf_skb_change_head#43", 8, 0)}
      r0 = *(u8 *)(r7 +0)
      exit`.replace("r6 = r1", "r6 = r1\nr7 = *(u32 *)(r1 +76)");
    expect(await fault(text)).toMatchObject({ reason: "memory", pc: 7 });
  });

  it("bpf_skb_pull_data() succeeds only when the packet is long enough", async () => {
    for (const [length, expected] of [
      [0, 0],
      [54, 0],
      [55, ENOMEM],
      [-1, ENOMEM],
    ] as const) {
      expect(await ask("bpf_skb_pull_data#39", [length])).toEqual([expected, 54]);
    }
  });

  it("bpf_skb_vlan_push() puts the first tag beside the packet, the second into it", async () => {
    const push = (protocol: number, tci: number) => call("bpf_skb_vlan_push#18", protocol, tci);
    expect(await packet(push(0x81, 5) + EXIT)).toBe(toHex(FRAME));
    const fields = async (text: string, setting?: Setting) => {
      const seen = [];
      for (const field of [0, 16, 20, 24, 28]) seen.push(await answer(text + then(field), setting));
      return seen;
    };
    expect(await fields(push(0x81, 0x1005))).toEqual([54, 8, 1, 0x1005, 129]);
    expect(await fields(push(0xa888, 5))).toEqual([54, 8, 1, 5, 43144]);
    expect(await fields(push(0x81, 5), { repeat: 2 })).toEqual([58, 129, 1, 5, 129]);
    const twice = await packet(push(0x81, 5) + EXIT, { repeat: 2 });
    expect(twice).toBe(`${ETH}810000050800${REST}`);
    const again = "\nr1 = r6\nr2 = 0x81\nr3 = 5\ncall bpf_skb_vlan_push#18";
    const thrice = push(0x81, 5) + again + again;
    const cut = `${thrice}\nr1 = r6\nr2 = 14\nr3 = 0\ncall bpf_skb_change_tail#38`;
    expect(await answer(cut + EXIT)).toBe(0);
    const load = `${thrice}
      r1 = r6
      r2 = 0
      r3 = r10
      r3 += -16
      r4 = 4
      r5 = 1
      call bpf_skb_load_bytes_relative#68
      r0 = *(u32 *)(r10 -16)`;
    expect(await answer(load + EXIT)).toBe(0x00810500);
    const data = hex(`${ETH}810020050800${REST}`);
    const pop = call("bpf_skb_vlan_pop#19");
    expect(await fields(pop, { data })).toEqual([54, 8, 0, 0, 0]);
    expect(await packet(pop + EXIT, { data })).toBe(toHex(FRAME));
    expect(await packet(pop + EXIT)).toBe(toHex(FRAME));
    const popped = async (tagged: string) => {
      const { retval, data } = await run(pop + EXIT, { data: hex(ETH + tagged) });
      return [retval | 0, toHex(data).slice(ETH.length)];
    };
    for (const short of ["8100", "81000005"]) expect(await popped(short)).toEqual([ENOMEM, short]);
    expect(await popped("810000058100")).toEqual([ENOMEM, "8100"]);
    const seen = { data: hex(`${ETH}8100000500050102`) };
    expect(await answer(pop + then(16), seen)).toBe(0x0400);
    expect(await answer(pop + then(16), { data: hex(`${ETH}810000050005ffff`) })).toBe(0x0100);
    expect(await fields(pop, { data: hex(`${ETH}81000005810000060800`) })).toEqual([
      ...[14, 8, 1, 6, 129],
    ]);
  });

  it("bpf_set_hash() sets the hash of the packet", async () => {
    const set = call("bpf_set_hash#48", 77);
    expect(await answer(set + then(68))).toBe(77);
    expect(await answer(`${set}\nr1 = r6\ncall bpf_get_hash_recalc#34${EXIT}`)).toBe(77);
    expect(await answer(`${set}\nr1 = r6\ncall bpf_set_hash_invalid#41${then(68)}`)).toBe(0);
    const hash = call("bpf_get_hash_recalc#34");
    const flow = await answer(hash + EXIT);
    expect(flow).not.toBe(0);
    expect(await answer(hash + then(68))).toBe(flow);
    const longer = Buffer.concat([FRAME, hex("ff")]);
    expect(await answer(hash + EXIT, { data: longer })).toBe(flow);
  });
});

describe("changing a struct xdp_buff", () => {
  const xdp = (helper: string, offset: number, setting = {}) =>
    ask(helper, [offset], { prog_type: "xdp", ...setting });

  it("bpf_xdp_adjust_head() moves the head as far as there is room", async () => {
    const head = (offset: number) => xdp("bpf_xdp_adjust_head#44", offset);
    for (const offset of [-216, -215, -1, 0, 1, 40])
      expect(await head(offset)).toEqual([0, 54 - offset]);
    for (const offset of [-256, -217, 41, 54]) expect(await head(offset)).toEqual([EINVAL, 54]);
    const text = call("bpf_xdp_adjust_head#44", -8) + EXIT;
    expect(await packet(text, { prog_type: "xdp" })).toBe("00".repeat(8) + toHex(FRAME));
    expect(await packet(text, { prog_type: "xdp", repeat: 3 })).toBe(
      "00".repeat(24) + toHex(FRAME),
    );
  });

  it("bpf_xdp_adjust_tail() works within the page or the last fragment", async () => {
    const tail = (offset: number, data = FRAME) => xdp("bpf_xdp_adjust_tail#65", offset, { data });
    for (const offset of [-40, -1, 0, 100, 3466])
      expect(await tail(offset)).toEqual([0, 54 + offset]);
    for (const offset of [-41, -54, 3467]) expect(await tail(offset)).toEqual([EINVAL, 54]);
    const big = Buffer.concat([FRAME, Buffer.alloc(3946)]);
    for (const offset of [-1, -480, -481, -1000, 1, 3500]) {
      expect(await tail(offset, big)).toEqual([0, 4000 + offset]);
    }
    expect(await tail(4000, big)).toEqual([EINVAL, 4000]);
  });

  it("XDP metadata moves with the head", async () => {
    const meta = (offset: number) => xdp("bpf_xdp_adjust_meta#54", offset);
    for (const offset of [-216, -36, -4, 0]) expect(await meta(offset)).toEqual([0, 54 - offset]);
    for (const offset of [-256, -220, 4]) expect(await meta(offset)).toEqual([EINVAL, 54]);
    for (const offset of [-215, -3]) expect(await meta(offset)).toEqual([EACCES, 54]);
    const twice = async (first: number, second: number) => {
      const text = `${call("bpf_xdp_adjust_meta#54", first)}
        r1 = r6
        r2 = ${second}
        call bpf_xdp_adjust_meta#54`;
      const { retval, data } = await run(text + EXIT, { prog_type: "xdp" });
      return [retval | 0, data.length];
    };
    for (const [second, size] of [
      [-8, 70],
      [4, 58],
      [8, 54],
      [-208, 270],
    ] as const) {
      expect(await twice(-8, second)).toEqual([0, size]);
    }
    for (const second of [12, -212]) expect(await twice(-8, second)).toEqual([EINVAL, 62]);
    expect(await twice(-4, -2)).toEqual([EACCES, 58]);
    const both = (head: number) => `${call("bpf_xdp_adjust_meta#54", -8)}
      r1 = *(u32 *)(r6 +8)
      *(u64 *)(r1 +0) = -1
      r1 = r6
      r2 = ${head}
      call bpf_xdp_adjust_head#44
      exit`;
    const setting = { prog_type: "xdp", ctx: Buffer.alloc(24) };
    setting.ctx.writeUInt32LE(54, 4);
    const four = await run(both(4), setting);
    expect(toHex(four.data)).toBe("ff".repeat(8) + toHex(FRAME).slice(8));
    expect(Buffer.from(four.ctx ?? []).readUInt32LE(0)).toBe(8);
    expect(Buffer.from(four.ctx ?? []).readUInt32LE(4)).toBe(58);
    const there = await run(
      both(4).replace("exit", "r1 = r6\nr2 = -4\ncall bpf_xdp_adjust_head#44\nexit"),
      setting,
    );
    expect(toHex(there.data)).toBe(`${"ff".repeat(8)}${"ff".repeat(4)}${toHex(FRAME).slice(8)}`);
  });

  it("bpf_xdp_load_bytes() and bpf_xdp_store_bytes() cross the end of the page", async () => {
    const bytes = async (helper: string, offset: number, data = FRAME) =>
      (await ask(helper, [offset, "fp", 4], { prog_type: "xdp", data }))[0];
    for (const helper of ["bpf_xdp_load_bytes#189", "bpf_xdp_store_bytes#190"]) {
      expect(await bytes(helper, 50)).toBe(0);
      expect(await bytes(helper, 51)).toBe(EINVAL);
      expect(await bytes(helper, 65535)).toBe(EINVAL);
      expect(await bytes(helper, 65536)).toBe(EFAULT);
      expect(await bytes(helper, -1)).toBe(EFAULT);
    }
    const data = Buffer.concat([FRAME, Buffer.alloc(4000)]);
    const text = `${call("bpf_xdp_store_bytes#190", 3518, "fp", 4)}
      r1 = r6
      r2 = 3519
      r3 = r10
      r3 += -8
      r4 = 4
      call bpf_xdp_load_bytes#189
      r0 = *(u32 *)(r10 -8)
      exit`;
    const stored = await run(text, { prog_type: "xdp", data });
    expect(stored.retval).toBe(0x00556677);
    expect(toHex(stored.data.subarray(3516, 3524))).toBe("0000887766550000");
  });
});

describe("bpf_redirect()", () => {
  it("bpf_redirect() returns what the program type expects", async () => {
    const redirect = (flags: number, prog_type: string) =>
      answer(`r1 = 1\nr2 = ${flags}\ncall bpf_redirect#23\nexit`, { prog_type });
    expect(await redirect(0, "sched_cls")).toBe(7);
    expect(await redirect(1, "sched_cls")).toBe(7);
    expect(await redirect(2, "sched_cls")).toBe(2);
    expect(await redirect(0, "xdp")).toBe(4);
    expect(await redirect(1, "xdp")).toBe(0);
  });
});

describe("time, CPU and random numbers", () => {
  const seed = { time_ns: "12345678901234", random: 7, cpu: 3 };
  const ask = async (helper: string, shift = 0) =>
    (await run(`call ${helper}\nr0 >>= ${shift}\nexit`, { seed })).retval;

  it("time, CPU and random numbers are fixed for a run", async () => {
    for (const clock of [
      "bpf_ktime_get_ns#5",
      "bpf_ktime_get_boot_ns#125",
      "bpf_ktime_get_coarse_ns#160",
      "bpf_ktime_get_tai_ns#208",
    ]) {
      expect(await ask(clock)).toBe(Number(12345678901234n & 0xffffffffn));
      expect(await ask(clock, 32)).toBe(Number(12345678901234n >> 32n));
    }
    expect(await ask("bpf_get_smp_processor_id#8")).toBe(3);
    expect(await ask("bpf_get_numa_node_id#42")).toBe(0);
    expect(await ask("bpf_jiffies64#118")).toBe((2 ** 32 - 75_000 + 3_086_419) % 2 ** 32);
    const two = "call bpf_get_prandom_u32#7\nr6 = r0\ncall bpf_get_prandom_u32#7\nr0 ^= r6\nexit";
    const once = (await run(two, { seed })).retval;
    expect(once).not.toBe(0);
    expect((await run(two, { seed })).retval).toBe(once);
    expect((await run(two, { seed: { ...seed, random: 8 } })).retval).not.toBe(once);
  });
});

describe("bpf_trace_printk()", () => {
  async function print(format: string, args: string[] = [], terminated = true) {
    const bytes = Buffer.alloc(Math.ceil((format.length + 1) / 8) * 8, terminated ? 0 : 0x20);
    bytes.write(format, "latin1");
    const stores = Array.from(
      { length: bytes.length / 8 },
      (_, i) => `r1 = 0x${bytes.readBigUInt64LE(8 * i).toString(16)} ll
        *(u64 *)(r10 -${256 - 8 * i}) = r1`,
    );
    const set = args.map((arg, i) => `r${i + 3} = ${arg}`);
    const { retval, trace } = await run(`${stores.join("\n")}
      ${set.join("\n")}
      r1 = r10
      r1 += -256
      r2 = ${terminated ? format.length + 1 : bytes.length}
      call bpf_trace_printk#6
      exit`);
    return trace[0] ?? retval | 0;
  }

  it("bpf_trace_printk() formats as the kernel does", async () => {
    const minus = "-1";
    expect(await print("plain 100%%")).toBe("plain 100%");
    expect(await print("%d %u %x", [minus, minus, "255"])).toBe("-1 4294967295 ff");
    expect(await print("%ld %lu %lx", [minus, "7", minus])).toBe("-1 7 ffffffffffffffff");
    expect(await print("%lld %llu %llX", [minus, minus, minus])).toBe(
      "-1 18446744073709551615 FFFFFFFFFFFFFFFF",
    );
    expect(await print("[%5d|%-5d|%05d]", ["42", "42", minus])).toBe("[   42|42   |-0001]");
    expect(await print("%c%c, %p", ["65", "66", "4096"])).toBe("AB, 0000000000001000");
    expect(await print("%i.", ["3"])).toBe("3.");
  });

  it("bpf_trace_printk() prints a string up to its end, and nothing for a bad address", async () => {
    const text = `r1 = 0x${Buffer.from("%s!\0\0\0\0\0").readBigUInt64LE().toString(16)} ll
      *(u64 *)(r10 -8) = r1
      r1 = 0x${Buffer.from("abc\0defg").readBigUInt64LE().toString(16)} ll
      *(u64 *)(r10 -16) = r1
      r3 = r10
      r3 += -16
      r1 = r10
      r1 += -8
      r2 = 4
      call bpf_trace_printk#6
      exit`;
    expect((await run(text)).trace).toEqual(["abc!"]);
    expect((await run(text.replace("r3 += -16", "r3 = 8"))).trace).toEqual(["!"]);
  });

  it("bpf_trace_printk() rejects what it cannot format", async () => {
    expect(await print("%d")).toBe("0");
    expect(await print("%d %d %d %d", ["1", "2", "3"])).toBe(EINVAL);
    expect(await print("%y", ["1"])).toBe(EINVAL);
    expect(await print("%sx", ["1"])).toBe(EINVAL);
    expect(await print("\x01", ["1"])).toBe(EINVAL);
    expect(await print("no end", [], false)).toBe(EINVAL);
  });

  it("bpf_trace_printk() keeps a thousand lines", async () => {
    const text = `*(u16 *)(r10 -2) = 0x41
      r1 = r10
      r1 += -2
      r2 = 2
      call bpf_trace_printk#6
      exit`;
    expect((await run(text, { repeat: 1500 })).trace.length).toBe(1000);
  });
});

describe("bpf_strncmp()", () => {
  it("bpf_strncmp() compares up to the end of a string", async () => {
    const compare = (a: string, b: string, size: number) => {
      const set = [a, b].map((text, i) => {
        const bytes = Buffer.alloc(8);
        bytes.write(text);
        return `r1 = 0x${bytes.readBigUInt64LE().toString(16)} ll\n*(u64 *)(r10 -${8 * (i + 1)}) = r1`;
      });
      return answer(`${set.join("\n")}
        r1 = r10
        r1 += -8
        r2 = ${size}
        r3 = r10
        r3 += -16
        call bpf_strncmp#182
        exit`);
    };
    expect(await compare("abc", "abc", 8)).toBe(0);
    expect(await compare("abc", "abd", 8)).toBeLessThan(0);
    expect(await compare("abc", "abd", 2)).toBe(0);
    expect(await compare("b", "abc", 8)).toBeGreaterThan(0);
  });
});

describe("bpf_spin_lock()", () => {
  it("bpf_spin_lock() and bpf_spin_unlock() return at once: no other run is in between", async () => {
    const text = "r6 = 1\nr1 = r10\nr1 += -8\ncall bpf_spin_lock#93\nr6 += r0\nr1 = r10\nr1 += -8";
    expect(await answer(`${text}\ncall bpf_spin_unlock#94\nr0 += r6\nexit`)).toBe(1);
  });
});

describe("imports of helpers", () => {
  it("every helper that a compiled program may import exists", () => {
    // bpf_for_each_map_elem() is compiled into each program.
    const names = Object.keys(HELPERS).filter((name) => name !== "for_each_map_elem");
    expect(Object.keys(createHelpers(machine)).sort()).toEqual(names.sort());
  });
});

describe("memory arguments", () => {
  it("memory passed to a helper is checked, and the call faults", async () => {
    const format = "r1 = r10\nr1 += -8\nr2 = 9\ncall bpf_trace_printk#6\nr0 = 0\nexit";
    expect(await answer(format.replace("r2 = 9", "r2 = 8"))).toBe(0);
    expect(await fault(format.replace("r1 += -8", "r1 = 8"))).toMatchObject({
      reason: "memory",
      pc: 3,
      detail: "9 bytes at 0x8 cannot be read",
    });
    const load = call("bpf_skb_load_bytes#26", 0, "fp", 4096);
    expect(await fault(load + EXIT)).toMatchObject({ reason: "memory" });
  });
});
