import { expect, it } from "vitest";
import { type RawAnswer, raw } from "./raw.ts";
import { asm, FRAME, increment, map, returns } from "./run_world.ts";
import { type Session, testService } from "./service.ts";

/** The fast lane runs programs as the general way does: status, type and body, for right and wrong. */

const service = await testService();
const SEED = { time_ns: "1", random: 2, cpu: 0 };

/** fd 3 an array, 4 a program that counts in it, 5 one that returns 7; pinned as /p and /q. */
async function world(): Promise<Session> {
  const session = await service.session(service.namespace());
  const counter = await map(session, "array", 1);
  const programs = [await asm(session, increment(counter.fd, 0)), await asm(session, returns(7))];
  for (const [i, { fd }] of programs.entries()) {
    await session.put(`/v1/fs?path=/${"pq"[i]}`, { type: "pin", fd });
  }
  return session;
}

const FIELDS = [
  ...[{}, { data_in: FRAME }, { data_in: FRAME, seed: SEED }, { data_in: "00" }, { data_in: 1 }],
  ...[
    { data_in: FRAME, repeat: 0 },
    { data_in: FRAME, repeat: 3 },
    { data_in: FRAME, repeat: -1 },
  ],
  ...[{ data_in: FRAME, data_size_out: 3 }, { data_in: FRAME, flags: 1 }, { data_in: "zz" }],
  ...[
    { data_in: FRAME, ctx_in: {} },
    { data_in: FRAME, ctx_in: { mark: 3, cb: [1] } },
  ],
  ...[
    { data_in: FRAME, ctx_in: { nonsense: 1 } },
    { data_in: FRAME, ctx_in: { ifindex: 9 } },
  ],
  ...[
    { data_in: FRAME, ctx_in: "00" },
    { data_in: FRAME, ctx_in: { mark: "4294967296" } },
  ],
  ...[{ data_in: FRAME, seed: { cpu: 64 } }, { data_in: FRAME, unknown: 1 }, { data_in: null }],
  ...[{ data_in: `str:${"x".repeat(20_000)}` }, { data_in: FRAME, seed: { time_ns: "-1" } }],
];
const TEXTS = ["", "{", "[]", "null", "1", '{"data_in":"00"}x', `\ufeff{"data_in":"${FRAME}"}`];

/** What differs from run to run and from request to request aside. */
function told({ status, headers, text }: RawAnswer) {
  const same = text
    .replaceAll(/"request_id":"[^"]*"/g, "")
    .replaceAll(/"duration_ns":\d+/g, "")
    .replaceAll(/"seed":\{[^}]*\}/g, "");
  return { status, same, type: headers["content-type"], cache: headers["cache-control"] };
}

async function bothWays(path: string, body: string): Promise<void> {
  const [one, two] = [await world(), await world()];
  const send = (session: Session, to: string) =>
    raw(
      service.base,
      "POST",
      to,
      { authorization: `Bearer ${session.token}`, "content-type": "application/json" },
      body,
    );
  const fast = told(await send(one, path));
  const general = told(await send(two, `${path}?format=hex`));
  expect(fast, `${path} ${body.slice(0, 200)}`).toEqual(general);
  expect((await one.get("/v1/fds/3/elements")).body).toEqual(
    (await two.get("/v1/fds/3/elements")).body,
  );
  for (const session of [one, two]) await session.del("/v1/session");
}

it.each([3, 4, 5, 99])("every body, by fd %i", async (fd) => {
  const bodies = [...FIELDS.map((fields) => JSON.stringify(fields)), ...TEXTS];
  for (const body of bodies) await bothWays(`/v1/fds/${fd}/test-run`, body);
});

it.each(["/p", "/q", "/", "/none", ""])("every body, by path '%s'", async (path) => {
  const bodies = [...FIELDS.map((fields) => JSON.stringify({ path, ...fields })), ...TEXTS];
  for (const body of bodies) await bothWays("/v1/run", body);
});
