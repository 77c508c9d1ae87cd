import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import { formatConstantBy } from "../../domain/asm/grammar.ts";
import { disasm } from "../../domain/isa/disasm.ts";
import { isHelper } from "../../domain/isa/helpers/index.ts";
import {
  classOf,
  decode,
  type Insn,
  isExit,
  isHelperCall,
  isKfuncCall,
  isKnown,
} from "../../domain/isa/insn.ts";
import {
  BPF_LDX,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  LD_IMM64,
} from "../../domain/isa/opcodes.ts";
import { checkInsn } from "../../domain/verifier/insns/insn_checks.ts";
import { randomBelow } from "../support/random.ts";
import { withShortTitle } from "../support/titles.ts";

/** Assembler and disassembler; the notation is that of print_bpf_insn() (kernel/bpf/disasm.c). */

const hex = async (text: string) => (await assemble(text, "asm")).insns.toString("hex");
const byFd = formatConstantBy("fd");
const toText = (code: string, how = byFd) => {
  const [insn, next] = decode(Buffer.from(code, "hex"));
  return disasm(insn as Insn, next, how);
};

/** Every instruction as Linux 6.18 printed it at log_level 2. */
const KERNEL: [code: string, text: string][] = JSON.parse(
  readFileSync(join(import.meta.dirname, "asm_kernel.json"), "utf8"),
);

describe("the notation", () => {
  it("the notation of the kernel is parsed and printed", async () => {
    expect(KERNEL.length).toBeGreaterThan(500);
    for (const [code, text] of KERNEL) {
      expect(toText(code)).toBe(text);
      expect(await hex(text), text).toBe(code);
    }
  });

  it("a mov and a ld_imm64 that differ in text need no opcode", async () => {
    for (const [code, text] of KERNEL.filter(([code]) => !code.startsWith("18"))) {
      expect(await hex(text.slice("(xx) ".length)), text).toBe(code);
    }
    expect(await hex("r1 = 0x7fffffff")).toBe("b7010000ffffff7f");
    expect(await hex("r1 = 0x80000000")).toBe(`1801000000000080${"0".repeat(16)}`);
    expect(await hex("r1 = -0x80000001")).toBe("18010000ffffff7f00000000ffffffff");
    expect(await hex("r1 = 5 ll")).toBe(`1801000005000000${"0".repeat(16)}`);
    expect(await hex("r1 = 0xffffffffffffffff")).toBe("18010000ffffffff00000000ffffffff");
  });
});

const CODES = [...Array(256).keys()].filter((code) =>
  isKnown({ code, dst: 0, src: 0, off: 0, imm: 0 }),
);
const OFFSETS = [0, 0, 0, 1, 8, 16, 32, -1, 32767, -32768];
const IMMS = [
  0,
  0,
  1,
  16,
  32,
  64,
  0x41,
  0x50,
  0xa0,
  0xe1,
  0xf1,
  0x100,
  0x110,
  -1,
  2 ** 31 - 1,
  -(2 ** 31),
];

/** Random fields, most of which are not an instruction. */
function anything(below: (n: number) => number): Insn {
  const pick = (from: readonly number[]) => from[below(from.length)] as number;
  return {
    code: pick(CODES),
    dst: below(2) * below(11),
    src: below(2) * below(11),
    off: below(4) ? pick(OFFSETS) : below(65536) - 32768,
    imm: below(4) ? pick(IMMS) : below(2 ** 32) | 0,
  };
}

/** Linux ignores off of an exit, so the text leaves it out. */
const unseen = (insn: Insn): boolean => isExit(insn) && insn.off !== 0;

/** The service has no BTF objects and no kernel functions, so the text cannot name them. */
const nameless = (insn: Insn): boolean =>
  isKfuncCall(insn) ||
  (insn.code === LD_IMM64 &&
    (insn.src === BPF_PSEUDO_BTF_ID || insn.src > BPF_PSEUDO_MAP_IDX_VALUE));

/** The bytes, or undefined for an instruction whose fields Linux rejects. */
function legal(insn: Insn, second: number): string | undefined {
  const isLoad = classOf(insn) === BPF_LDX && insn.imm !== 0;
  const isUnknown = isHelperCall(insn) && !isHelper(insn.imm);
  if (
    isLoad ||
    isUnknown ||
    unseen(insn) ||
    nameless(insn) ||
    checkInsn(insn, { funcInfo: true }, 0) !== null
  )
    return undefined;
  const out = Buffer.alloc(insn.code === LD_IMM64 ? 16 : 8);
  out.writeUInt8(insn.code, 0);
  out.writeUInt8((insn.src << 4) | insn.dst, 1);
  out.writeInt16LE(insn.off, 2);
  out.writeInt32LE(insn.imm, 4);
  const hasSecond = [0, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_MAP_IDX_VALUE].includes(insn.src);
  if (out.length === 16 && hasSecond) out.writeInt32LE(second, 12);
  return out.toString("hex");
}

describe("random instructions", () => {
  it("random instructions of every opcode survive a round trip through text", async () => {
    const below = randomBelow(4);
    const codes: string[] = [];
    while (codes.length < 20_000) {
      const code = legal(anything(below), below(2 ** 32) | 0);
      if (code !== undefined) codes.push(code);
    }
    expect(new Set(codes.map((code) => code.slice(0, 2))).size).toBe(CODES.length);
    const text = codes.map((code) => toText(code)).join("\n");
    const back = await hex(text);
    let at = 0;
    for (const code of codes) {
      expect(back.slice(at, at + code.length), toText(code)).toBe(code);
      at += code.length;
    }
    expect(at).toBe(back.length);
  });
});

const lines = (...text: string[]) => text.join("\n");

describe("spellings that the assembler accepts", () => {
  it.each([
    [
      "comments and empty lines",
      lines("; one", "", "r0 = 0 // two", "exit # three"),
      lines("r0 = 0", "exit"),
    ],
    [
      "a listing of bpftool",
      lines("   0: (b7) r0 = 0", "   1: (95) exit"),
      lines("r0 = 0", "exit"),
    ],
    ["Windows' line ends", "r0 = 0\r\nexit\r\n", lines("r0 = 0", "exit")],
    [
      "no blanks, and more of them",
      lines("r0=-5", "*( u8*)(r10 - 1 )  =  7"),
      lines("r0 = -5", "*(u8 *)(r10 -1) = 7"),
    ],
    [
      "hex",
      lines("r1 += 0x10", "w1 = 0xffffffff", "*(u32 *)(r1 +0x4) = 0x7"),
      lines("r1 += 16", "w1 = -1", "*(u32 *)(r1 +4) = 7"),
    ],
    [
      "a lower half by its whole register",
      lines("w1 += r2", "if w1 == r2 goto pc+0"),
      lines("w1 += w2", "if w1 == w2 goto pc+0"),
    ],
    [
      "jumps ahead and back",
      lines("top: r0 = 0", "if r0 == 0 goto end", "goto top", "end:", "exit"),
      lines("r0 = 0", "if r0 == 0x0 goto pc+1", "goto pc-3", "exit"),
    ],
    [
      "a ld_imm64 that a jump counts for two",
      lines("goto end", "r1 = 1 ll", "end: exit"),
      lines("goto pc+2", "r1 = 1 ll", "exit"),
    ],
    [
      "far jumps, jumps that may, and distances without pc",
      lines("gotol end", "may_goto end", "if w1 s> -1 goto +0", "end: exit"),
      lines("gotol pc+2", "may_goto pc+1", "if w1 s> 0xffffffff goto pc+0", "exit"),
    ],
    [
      "helpers by every name",
      lines(
        "call bpf_map_lookup_elem#1",
        "call map_lookup_elem#1",
        "call map_lookup_elem",
        "call 1",
      ),
      lines(...Array(4).fill("call bpf_map_lookup_elem")),
    ],
    [
      "subprograms, and their addresses",
      lines("call f", "r2 = subprog[f]", "exit", "f: exit"),
      lines("call pc+3", "r2 = subprog[+2]", "exit", "exit"),
    ],
    [
      "a subprogram with a helper's name",
      lines("call redirect", "exit", "redirect: exit"),
      lines("call pc+1", "exit", "exit"),
    ],
    [
      "two labels on one line",
      lines("a: b: exit", "goto a", "goto b"),
      lines("exit", "goto pc-2", "goto pc-3"),
    ],
    [
      "packets",
      lines("r0 = *(u16 *)skb[12]", "r0 = *(u8 *)skb[r7 + -3]"),
      lines("r0 = *(u16*)skb[ +12 ]", "r0 = *(u8 *)skb[r7 -3]"),
    ],
  ])("the assembler accepts %s", async (_, text, plain) => {
    expect(await hex(text)).toBe(await hex(plain));
  });

  it("maps and map values are named by fd or by index into fd_array", async () => {
    const zero = "0".repeat(16);
    expect(await hex("r1 = map[fd:3]")).toBe(`1811000003000000${zero}`);
    expect(await hex("r1 = map[fd:3][0]+8")).toBe("18210000030000000000000008000000");
    expect(await hex("r1 = map[idx:2]")).toBe(`1851000002000000${zero}`);
    expect(await hex("r1 = map[idx:2]+4")).toBe("18610000020000000000000004000000");
  });

  it("an empty text gives no instruction", async () => {
    expect(await hex("")).toBe("");
    expect(await hex("\n ; but a comment\n")).toBe("");
  });
});

describe("errors of a text", () => {
  it.each(
    withShortTitle([
      ["r0 = 0\n exti", 2, 2, 'expected an instruction, found "exti": did you mean exit?'],
      ["r0 = 5 r1", 1, 8, 'expected "ll" or the end of the line, found "r1"'],
      ["if r1 == 5", 1, 11, 'expected "goto", found the end of the line'],
      ["r1 = map[ids:5]", 1, 10, 'expected "fd", "id" or "idx", found "ids": did you mean id?'],
      ["R0 = 5", 1, 1, 'found "R0": did you mean r0?'],
      [
        "r0 = XDP_DROP",
        1,
        6,
        'expected a number, a register r0 to r10, "map", "subprog", "*", "-", "(", ' +
          '"atomic_fetch_add" or another word, found "XDP_DROP"',
      ],
      ["r1 += w2", 1, 7, 'expected a number or a register r0 to r10, found "w2"'],
      ["(b7)", 1, 5, "expected an instruction, found the end of the line"],
      ["r0 = @", 1, 6, 'unexpected character "@"'],
      ["r11 = 0", 1, 1, 'found "r11"'],
      ["r1 = be16 r2", 1, 11, "expected the same register as before, found r2"],
      ["r1 = *(u8 *)skb[0]", 1, 1, "expected r0, found r1"],
      ["r1 += 0xffffffff", 1, 7, "must be an integer from -2147483648 to 2147483647, got"],
      ["w1 = 4294967296", 1, 6, "must be an integer from -2147483648 to 4294967295, got"],
      [
        "if r1 == 2147483648 goto pc+0",
        1,
        10,
        "must be an integer from -2147483648 to 2147483647, got",
      ],
      [
        "r1 = 0x10000000000000000",
        1,
        6,
        "must be an integer from -9223372036854775808 to 18446744073709551615, got",
      ],
      [
        "*(u64 *)(r1 +0) = 2147483648",
        1,
        19,
        "must be an integer from -2147483648 to 2147483647, got",
      ],
      ["r1 = *(u8 *)(r2 +32768)", 1, 17, "must be an integer from -32768 to 32767, got"],
      ["goto pc+32768", 1, 6, "must be from -32768 to 32767 instructions, got 32768"],
      [
        "goto far\n".concat("exit\n".repeat(32768), "far: exit"),
        1,
        6,
        'distance to "far" must be from -32768 to 32767 instructions, got 32768',
      ],
      ["goto nowhere", 1, 6, 'unknown label "nowhere"'],
      ["r0 = 0\ncall nothing", 2, 6, 'unknown label or helper "nothing"'],
      ["call map_lookup_element", 1, 6, "did you mean bpf_map_lookup_elem?"],
      ["goto don\ndone: exit", 1, 6, 'unknown label "don": did you mean done?'],
      ["call bpf_loop#1", 1, 6, 'number of bpf_loop must be 181, got "1"'],
      ["a: exit\na: exit", 2, 1, 'duplicate label "a"'],
      ["0: exit\n2: exit", 2, 1, 'instruction number must be 1, got "2"'],
      ["(bf) r0 = 0", 1, 1, "opcode must be b7, got bf"],
    ]),
  )(
    "the error in %s names its place and what was expected",
    async (_title, text, line, column, message) => {
      const refused = expect(assemble(text, "asm")).rejects;
      await refused.toMatchObject({ code: "EINVAL", field: "asm" });
      await refused.toThrow(`line ${line}, column ${column}: `);
      await refused.toThrow(message);
    },
  );
});

const MIB = 2 ** 20;
const fill = (text: string) => text.repeat(MIB / text.length);

describe("long texts", () => {
  it.each([
    "exit\n",
    "\n",
    "a",
    "#",
    "0",
    " ",
    "+ ",
    "goto pc ",
    "r0 = - ",
    "pc+",
    "a: ",
    "call a#1",
    "r0 = +\t",
  ])("a MiB of %j is parsed at once and gives at most an EINVAL", async (text) => {
    const end = await assemble(fill(text), "asm").catch((error) => error.code);
    expect(end === "EINVAL" || end.insns.length % 8 === 0).toBe(true);
    const one = await assemble(`r0 = ${fill(text).replaceAll("\n", " ")}x`, "asm").catch(
      (error) => error,
    );
    expect(one.message.length).toBeLessThan(1000);
  });

  it.each([
    ["r1 = ", "@"],
    ["r1 = +", "-5"],
    ["r1 = +", "-x"],
    ["goto pc", "+5"],
    ["goto pc+", "x"],
    ["a", "!"],
    ["1", "!"],
  ])("a MiB of blanks between %j and %j is parsed at once", async (before, after) => {
    const text = before + fill(" ") + after;
    const end = await assemble(text, "asm").catch((error) => error.code);
    expect(end === "EINVAL" || end.insns.length === 8).toBe(true);
  });

  it("a long text yields to the event loop", async () => {
    let turns = 0;
    let over = false;
    const counting = (async () => {
      for (; !over; turns++) await setImmediate();
    })();
    await assemble(fill("exit\n"), "asm");
    over = true;
    await counting;
    expect(turns).toBeGreaterThan(100);
  });
});

it("every helper's name is accepted, and no two names are alike", async () => {
  let ids = 0;
  for (; isHelper(ids); ids++) {
    const code = Buffer.alloc(8);
    code.writeUInt8(0x85, 0);
    code.writeInt32LE(ids, 4);
    expect(await hex(toText(code.toString("hex")).replace(/#.*/, ""))).toBe(code.toString("hex"));
  }
  expect(ids).toBeGreaterThan(200);
});
