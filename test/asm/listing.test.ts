import { describe, expect, it } from "vitest";
import { type TestReply, type TestSession, testService } from "../support/service.ts";

/** Listings of programs, which load again as the same program. */

const service = await testService();
const newSession = () => service.session(service.namespace());

async function map(session: TestSession, map_type: string, map_name: string, more: object = {}) {
  const sizes = { key_size: 4, value_size: 8, max_entries: 1 };
  const { body } = await session.post("/v1/maps", { map_type, map_name, ...sizes, ...more });
  return body as { fd: number; id: number };
}

async function load(session: TestSession, asm: string, more: object = {}) {
  const { status, body } = await session.post("/v1/progs", {
    ...{ prog_type: "socket_filter", license: "GPL", asm, ...more },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return body as { fd: number; id: number };
}

const show = (session: TestSession, id: number, query = "") =>
  session.get(`/v1/progs/${id}/instructions${query}`);
const text = async (session: TestSession, id: number, query = "") =>
  String((await show(session, id, `?format=text${query}`)).body);
const raw = async (session: TestSession, id: number, query = "") =>
  String((await show(session, id, `?format=raw${query}`)).body).trimEnd();

/** What bpftool printed of this program, loaded into Linux 6.18, less the symbol that its JIT gave the callee. */
const BPFTOOL = `\
   0: (18) r6 = map[id:1]
   2: (18) r7 = map[id:2][0]+4
   4: (85) call pc+10
   5: (25) if r0 > 0x5 goto pc+7
   6: (7b) *(u64 *)(r10 -8) = r0
   7: (db) lock *(u64 *)(r10 -8) += r0
   8: (18) r0 = 0x1122334455667788
  10: (74) w0 >>= 3
  11: (bf) r1 = r0
  12: (dc) r0 = be16 r0
  13: (b7) r0 = 0
  14: (95) exit
  15: (79) r0 = *(u64 *)(r10 -16)
  16: (87) r0 = -r0
  17: (95) exit
`;
const INSNS =
  "1816000001000000000000000000000018270000020000000000000004000000851000000a000000" +
  "25000700050000007b0af8ff00000000db0af8ff00000000180000008877665500000000443322117400000003000000" +
  "bf01000000000000dc00000010000000b7000000000000009500000000000000" +
  "79a0f0ff0000000087000000000000009500000000000000";

const byFd = (listing: string, fds: readonly number[]) =>
  listing.replace(/map\[id:(\d+)\]/g, (_, id: string) => `map[fd:${fds[Number(id) - 1]}]`);

/** The program above, with the maps that it names. */
async function golden() {
  const session = await newSession();
  const seen = await map(session, "hash", "seen");
  const counters = await map(session, "array", "counters");
  const { id } = await load(session, byFd(BPFTOOL, [seen.fd, counters.fd]));
  return { session, id, fds: [seen.fd, counters.fd] };
}

describe("a listing", () => {
  it("a listing has bpftool's format and names the maps in comments", async () => {
    const { session, id } = await golden();
    const answer = await show(session, id, "?format=text");
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const listing = String(answer.body);
    expect(listing.replaceAll(/ {2}\/\/ .*/g, "")).toBe(BPFTOOL);
    expect(listing).toContain("   0: (18) r6 = map[id:1]  // seen\n");
    expect(listing).toContain("   2: (18) r7 = map[id:2][0]+4  // counters\n");
  });

  it("the raw form is what BPF_OBJ_GET_INFO_BY_FD dumps, with maps by id", async () => {
    const { session, id } = await golden();
    expect(await raw(session, id)).toBe(INSNS);
  });

  it.each(["by id, as it names them", "by fd"])(
    "a listing loads as a program again, its maps %s",
    async (how) => {
      const { session, id, fds } = await golden();
      const listing = await text(session, id);
      const again = await load(session, how === "by fd" ? byFd(listing, fds) : listing);
      expect(await raw(session, again.id)).toBe(INSNS);
      const tags = [id, again.id].map(
        async (of) => (await session.get(`/v1/progs/${of}`)).body.tag,
      );
      expect(new Set(await Promise.all(tags)).size).toBe(1);
    },
  );

  it("a JSON listing resolves jumps and calls and names maps and helpers", async () => {
    const session = await newSession();
    const { fd, id: map_id } = await map(session, "hash", "seen");
    const { id } = await load(
      session,
      `r1 = map[fd:${fd}]
       r2 = r10
       r2 += -4
       *(u32 *)(r10 -4) = 0
       call map_lookup_elem
       if r0 == 0 goto out
       call f
       out: r0 = 0
       exit
       f: r0 = 1
       exit`,
    );
    const { body } = await show(session, id);
    expect(body.insn_cnt).toBe(12);
    expect(body.next_cursor).toBeUndefined();
    const { instructions } = body;
    const at = (index: number) =>
      instructions.find((insn: { index: number }) => insn.index === index);
    expect(at(0)).toEqual({
      ...{ index: 0, insn: `1811000001000000${"0".repeat(16)}` },
      ...{ text: `(18) r1 = map[id:${map_id}]`, map_id, map_name: "seen" },
    });
    expect(at(1)).toBeUndefined();
    expect(at(5)).toMatchObject({
      ...{ text: "(85) call bpf_map_lookup_elem#1", helper: "bpf_map_lookup_elem" },
    });
    expect(at(6)).toMatchObject({ text: "(15) if r0 == 0x0 goto pc+1", target: 8 });
    expect(at(7)).toMatchObject({ text: "(85) call pc+2", target: 10 });
    expect(at(9)).toEqual({ index: 9, insn: "9500000000000000", text: "(95) exit" });
  });

  it("a listing names maps by id however the program named them, even by a closed fd", async () => {
    const session = await newSession();
    const [first, second] = [await map(session, "array", "a"), await map(session, "array", "")];
    const asm = `r1 = map[idx:1]\nr2 = map[idx:1]+4\nr3 = map[fd:${first.fd}]\nr0 = 0\nexit`;
    const { id } = await load(session, asm, { fd_array: [first.fd, second.fd] });
    await session.del(`/v1/fds/${first.fd}`);
    await session.del(`/v1/fds/${second.fd}`);
    expect((await text(session, id)).split("\n").slice(0, 3)).toEqual([
      `   0: (18) r1 = map[id:${second.id}]`,
      `   2: (18) r2 = map[id:${second.id}][0]+4`,
      `   4: (18) r3 = map[id:${first.id}]  // a`,
    ]);
  });
});

const LONG = 2500;
const long = (session: TestSession) => load(session, `${"r1 = 1 ll\n".repeat(LONG)}r0 = 0\nexit`);

/** All pages, by following `next_cursor`. */
async function pages(session: TestSession, id: number, limit: number) {
  const found: TestReply["body"][] = [];
  for (let cursor: string | undefined = "0"; cursor; cursor = found.at(-1).next_cursor) {
    found.push((await show(session, id, `?cursor=${cursor}&limit=${limit}`)).body);
  }
  return found;
}

describe("pages", () => {
  it.each([999, 1000, 1])(
    "pages of %i instructions hold each instruction once and split none",
    async (limit) => {
      const session = await newSession();
      const { id } =
        limit > 1 ? await long(session) : await load(session, "r1 = 1 ll\nr0 = 0\nexit");
      const all = await pages(session, id, limit);
      const insns = all.flatMap(({ instructions }) =>
        instructions.map((i: { insn: string }) => i.insn),
      );
      expect(insns.join("")).toBe(await wholeRaw(session, id));
      for (const { instructions } of all) expect(instructions.length).toBeLessThanOrEqual(limit);
    },
  );

  it("pages of text name the next page in a Link header", async () => {
    const session = await newSession();
    const { id } = await long(session);
    let path: string | undefined = `/v1/progs/${id}/instructions?format=text&limit=2001`;
    let listing = "";
    for (let page = 0; path !== undefined; page++) {
      expect(page).toBeLessThan(10);
      const answer: TestReply = await session.get(path);
      listing += answer.body;
      path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    expect(listing).toBe(await text(session, id, "&limit=10000"));
    expect(listing.split("\n")).toHaveLength(LONG + 3);
  });

  it("pages start at an instruction, never within one", async () => {
    const session = await newSession();
    const { id } = await long(session);
    const wrong = { "?start=1": "start", "?cursor=1": "cursor", "?cursor=x": "cursor" };
    for (const [query, name] of Object.entries({ ...wrong, "?start=0&cursor=0": "start" })) {
      const { body } = await show(session, id, query);
      expect(body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: `/query/${name}` }] });
    }
    const { body } = await show(session, id, `?start=${2 * LONG + 1}`);
    expect(body.instructions).toEqual([
      { index: 2 * LONG + 1, insn: "9500000000000000", text: "(95) exit" },
    ]);
    const beyond = await show(session, id, "?start=1000000");
    expect(beyond.body).toEqual({ insn_cnt: 2 * LONG + 2, instructions: [] });
    for (const query of ["?limit=0", "?limit=10001", "?start=1000001", "?format=xml"]) {
      expect((await show(session, id, query)).status, query).toBe(400);
    }
  });
});

async function wholeRaw(session: TestSession, id: number): Promise<string> {
  const { body } = await session.get(`/v1/progs/${id}`);
  const whole = await raw(session, id, "&limit=10000");
  expect(whole).toHaveLength(body.insn_cnt * 16);
  return whole;
}

describe("rights to read a program", () => {
  it("reading a program by id needs CAP_SYS_ADMIN, as BPF_PROG_GET_FD_BY_ID does", async () => {
    const namespace = service.namespace();
    const root = await service.session(namespace);
    const { id, fd } = await load(root, "r0 = 0\nexit");
    const user = await service.session(namespace, {
      uid: 1000,
      gid: 1000,
      capabilities: ["CAP_BPF"],
    });
    expect((await show(user, id)).body.errno).toBe("EPERM");
    expect((await show(user, 999)).body.errno).toBe("EPERM");
    expect((await show(root, 999)).body.errno).toBe("ENOENT");
    await root.del(`/v1/fds/${fd}`);
    expect((await show(root, id)).body.errno).toBe("ENOENT");
  });
});

describe("the fields of a program's instructions", () => {
  const post = async (body: object) =>
    (await (await newSession()).post("/v1/progs", { prog_type: "socket_filter", ...body })).body;

  it.each([
    ["not at all", {}, "/body/insns", "is missing"],
    ["twice", { insns: "", asm: "" }, "/body/asm", "together with insns"],
    ["as a text with a fault", { asm: "r0 = 0\nexti" }, "/body/asm", "line 2, column 1"],
  ])("a program is rejected when it is given %s", async (_, body, pointer, detail) => {
    const problem = await post(body);
    expect(problem).toMatchObject({ errno: "EINVAL", errors: [{ pointer }] });
    expect(problem.detail).toContain(detail);
  });

  it("an empty text is rejected as an empty program", async () => {
    expect((await post({ asm: " ; nothing\n" })).errno).toBe("E2BIG");
  });
});
