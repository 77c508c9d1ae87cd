import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { testService } from "../support/service.ts";
import { withShortTitle } from "../support/titles.ts";
import { check, verify } from "../support/verify_bytes.ts";

/**
 * The verdicts of Linux 6.18 on programs of a loader with CAP_BPF and CAP_NET_ADMIN, but without CAP_PERFMON
 * (allow_ptr_leaks and allow_uninit_stack of struct bpf_verifier_env). With it all but a few load.
 */

const ARRAY: MapFacts = {
  ...{ map_type: "array", key_size: 4, value_size: 64, max_entries: 1, map_flags: 0 },
};

/** The errno and the end of the log, or null for an accepted program. */
async function judged(text: string, perfmon: boolean, progType = "sched_cls") {
  const { insns } = await assemble(text.replaceAll("; ", "\n"), "");
  const options = { progType, gplCompatible: true, perfmon };
  const { beforeMaps: before, refs, atMap: during } = check(insns, options);
  const facts = refs.map(() => ARRAY);
  const refusal = before ?? during ?? verify(insns, facts, options).refusal;
  return refusal && `${refusal.errno} ${refusal.log.split("\n").at(-1)}`;
}

const KEY = "r1 = map[fd:0]; r2 = r10; r2 += -8; call map_lookup_elem";
const END = "r0 = 0; exit";
const COMPARED = "pointer comparison prohibited";

describe("a loader without CAP_PERFMON", () => {
  it.each(
    withShortTitle([
      ["r0 = r10; exit", "R0 leaks addr as return value"],
      [`*(u64 *)(r10 -8) = 0; ${KEY}; exit`, "R0 leaks addr as return value"],
      [`r2 = map[fd:0][0]+0; *(u64 *)(r2 +0) = r1; ${END}`, "R1 leaks addr into map"],
      [`*(u64 *)(r1 +48) = r10; ${END}`, "R10 leaks addr into ctx"],
      [`r2 = map[fd:0][0]+0; lock *(u64 *)(r2 +0) += r10; ${END}`, "R10 leaks addr into mem"],
      [
        `r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 8; if r4 > r3 goto pc+1
      *(u64 *)(r2 +0) = r10; ${END}`,
        "R10 leaks addr into packet",
      ],
      [`r2 = r10; r3 = 0; call skb_change_tail; ${END}`, "R2 leaks addr into helper function"],
      [`if r1 == 0 goto pc+0; ${END}`, `R1 ${COMPARED}`],
      [`r2 = 5; if r2 == r1 goto pc+0; ${END}`, `R1 ${COMPARED}`],
      [
        `r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); if r2 == r3 goto pc+0; ${END}`,
        `R2 ${COMPARED}`,
      ],
      [`*(u64 *)(r10 -8) = 0; ${KEY}; if r0 == 5 goto pc+0; ${END}`, `R0 ${COMPARED}`],
      [
        `r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r3 -= r2; r0 = r3; exit`,
        "R3 pointer -= pointer prohibited",
      ],
      [`r2 = r10; w2 -= 8; ${END}`, "R2 32-bit pointer arithmetic prohibited"],
      [`r2 = r10; r2 = -r2; ${END}`, "R2 pointer arithmetic prohibited"],
      [`w2 = w10; ${END}`, "R10 partial copy of pointer"],
      [`r2 = (s8)r10; ${END}`, "R10 sign-extension part of pointer"],
      ["r0 = *(u64 *)(r10 -8); exit", "invalid read from stack R10 off=-8 size=8"],
      [
        "*(u32 *)(r10 -8) = 1; r0 = *(u64 *)(r10 -8); exit",
        "invalid read from stack off -8+4 size 8",
      ],
      [`${KEY}; ${END}`, "invalid read from stack R2 off=-8 size=4"],
      [
        `*(u64 *)(r10 -8) = r1; *(u32 *)(r10 -8) = 0; ${END}`,
        "attempt to corrupt spilled pointer on stack",
      ],
      [`*(u64 *)(r10 -8) = r1; ${KEY}; ${END}`, "invalid read from stack R2 off -8+0 size 4"],
      [`call get_current_task; ${END}`, null],
    ]),
  )("a loader without CAP_PERFMON may not load %s", async (_title, text, words) => {
    expect(await judged(text, true)).toBeNull();
    const helper = "EINVAL program of this type cannot use helper bpf_get_current_task#35";
    expect(await judged(text, false)).toBe(words === null ? helper : `EACCES ${words}`);
  });

  it.each([
    `r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); if r2 > r3 goto pc+0; ${END}`,
    `r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +140); if r3 > r2 goto pc+0; ${END}`,
    `*(u64 *)(r10 -8) = r1; *(u64 *)(r10 -8) = 0; ${END}`,
    `*(u64 *)(r10 -8) = 0; ${KEY}; if r0 == 0 goto pc+0; ${END}`,
    `*(u8 *)(r10 -8) = 1; ${KEY}; ${END}`,
    "*(u16 *)(r10 -8) = 16; r1 = 17; lock *(u64 *)(r10 -8) &= r1; r0 = 0; exit",
    `call pc+2; ${END}; r0 = r1; exit`,
  ])(
    "a loader without CAP_PERFMON may load a program that leaks nothing, case %#",
    async (text) => {
      expect(await judged(text, false)).toBeNull();
    },
  );
});

describe("a session's capabilities", () => {
  it("a session's capabilities decide whether its programs may leak addresses", async () => {
    const service = await testService();
    const namespace = service.namespace();
    const load = async (...capabilities: string[]) => {
      const session = await service.session(namespace, { capabilities });
      const asm = ["r0 = r10", "exit"];
      const { body } = await session.post("/v1/progs", { prog_type: "socket_filter", asm });
      return body.errno ?? "loaded";
    };
    expect(await load("CAP_BPF")).toBe("EACCES");
    expect(await load("CAP_BPF", "CAP_PERFMON")).toBe("loaded");
    expect(await load("CAP_SYS_ADMIN")).toBe("loaded");
  });
});
