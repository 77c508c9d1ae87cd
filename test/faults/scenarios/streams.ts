import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../../support/redis_servers.ts";
import { checkLiveness } from "../checks.ts";
import { insist, type OpenedSession, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { forEachAtOnce } from "../sleepers.ts";
import { rawConnection, rawHead } from "../slow.ts";
import { quietWorld } from "../world.ts";

/** Thousands of streams wait for records, and clients do not read what they asked for. */

const RING = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
const LARGE = { map_type: "array", key_size: 4, value_size: 262_144, max_entries: 60 };
const STREAMS = { short: 300, full: 10_000 };
/** Streams of one namespace; the service has a limit for them. */
const OF_EACH = 500;
const IDLE_MS = { short: 2000, full: 20_000 };
const MOST_CPU = 0.05;
const OPENED_TOGETHER = 50;
const READERS = { short: 20, full: 300 };
/** Clients that read nothing are cut within this time. */
const CUT_MS = 60_000;
const SETTLE_MS = 15_000;
/** MiB that all of them may cost: 256 that wait to be read, and what is not collected yet. */
const MOST_MIB = 768;

interface Stream {
  socket: Socket;
  text: string;
}

function openStream({ client }: OpenedSession): Promise<Stream> {
  const { base, token = "" } = client;
  const socket = rawConnection(base);
  const stream = { socket, text: "" };
  socket.write(rawHead({ base, token, method: "GET", target: "/v1/fds/3/records/events" }));
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk) => {
      stream.text += chunk.toString("latin1");
      if (stream.text.startsWith("HTTP/1.1 200")) resolve(stream);
      else reject(new Error(stream.text.slice(0, 300)));
    });
    socket.once("close", () => reject(new Error("a stream was closed at its start")));
  });
}

async function openStreams(sessions: readonly OpenedSession[], count: number): Promise<Stream[]> {
  const streams: Stream[] = [];
  while (streams.length < count) {
    const more = Math.min(OPENED_TOGETHER, count - streams.length);
    const from = streams.length;
    const opened = Array.from({ length: more }, (_, i) =>
      openStream(sessions[Math.floor((from + i) / OF_EACH)] as OpenedSession),
    );
    streams.push(...(await Promise.all(opened)));
  }
  return streams;
}

const idleStreams: FaultScenario = {
  name: "idle-streams",
  fault: "10,000 idle streams of records (short: 300); then a record for some",
  least: { short: { hits: 300, operations: 300 }, full: { hits: 10_000, operations: 10_000 } },
  run: (form: FaultForm) =>
    quietWorld(form, async ({ bases, replicas }) => {
      const count = STREAMS[form];
      const sessions: OpenedSession[] = [];
      for (const namespace of newNamespaces(Math.ceil(count / OF_EACH))) {
        const session = await openSession(bases, namespace);
        await insist(() => session.client.post("/v1/maps", RING));
        sessions.push(session);
      }
      const [replica] = replicas;
      const problems: string[] = [];
      const streams = await openStreams(sessions, count);
      await delay(1000);
      const before = replica?.cpu() ?? 0;
      await delay(IDLE_MS[form]);
      const share = ((replica?.cpu() ?? 0) - before) / IDLE_MS[form];
      if (form === "full" && share > MOST_CPU) {
        problems.push(`idle streams take ${(100 * share).toFixed(1)} % of a core`);
      }
      const [first] = sessions;
      await insist(() => first?.client.post("/v1/fds/3/records", { records: ["u32:7"] }) as never);
      const woken = streams.slice(0, OF_EACH);
      const isWoken = ({ text }: Stream) => text.includes("data: 07000000");
      await until("all streams of the ring have the record", () => woken.every(isWoken));
      problems.push(...(await checkLiveness(bases[0] ?? "", newNamespaces(1)[0] ?? "")));
      for (const { socket } of streams) socket.destroy();
      const memory = Math.round((replica?.memory() ?? 0) / 2 ** 20);
      const figures = `${(100 * share).toFixed(1)} % of a core, ${memory} MiB in all`;
      return { hits: streams.length, operations: streams.length, figures, problems };
    }),
};

const slowReaders: FaultScenario = {
  name: "slow-readers",
  fault: "300 clients (short: 20) ask for 15 MiB each and read nothing",
  least: { short: { hits: 20, operations: 20 }, full: { hits: 300, operations: 300 } },
  run: (form: FaultForm) =>
    quietWorld(form, async ({ bases, replicas }) => {
      const { client } = await openSession(bases, newNamespaces(1)[0] ?? "");
      const { base, token = "" } = client;
      await insist(() => client.post("/v1/maps", LARGE));
      const body = JSON.stringify({ op: "lookup", count: LARGE.max_entries });
      const headers = { "content-type": "application/json", "content-length": body.length };
      const target = "/v1/fds/3/batch/read-bytes";
      const request = rawHead({ base, token, method: "POST", target, headers }) + body;
      const [replica] = replicas;
      const [memory, files] = [replica?.memory() ?? 0, replica?.openFiles() ?? 0];
      const sockets: Socket[] = [];
      const problems: string[] = [];
      let operations = 0;
      const opened = Array.from({ length: READERS[form] }, () => rawConnection(base));
      // At once, because an answer that finds no room waits for seconds.
      await forEachAtOnce(opened, async (socket) => {
        socket.write(request);
        await once(socket, "data");
        sockets.push(socket.pause());
        const answer = await client.get("/v1/fds/3");
        if (answer.fate === "done") operations += 1;
        else problems.push(`beside slow readers: ${answer.status}`);
      });
      const grown = () => Math.round(((replica?.memory() ?? 0) - memory) / 2 ** 20);
      let figures = `${grown()} MiB of memory at first`;
      if (form === "full") {
        await delay(SETTLE_MS);
        const held = grown();
        figures += `, ${held} MiB after ${SETTLE_MS / 1000} s`;
        if (held > MOST_MIB) problems.push(`${held} MiB of memory are held`);
        const began = performance.now();
        const isCut = () => (replica?.openFiles() ?? 0) < files + sockets.length / 10;
        await until("slow readers are cut", isCut, CUT_MS);
        figures += `, cut within ${Math.ceil((performance.now() - began) / 1000)} s`;
      }
      for (const socket of sockets) socket.destroy();
      problems.push(...(await checkLiveness(base, newNamespaces(1)[0] ?? "")));
      return { hits: sockets.length, operations, figures, problems };
    }),
};

export const STREAM_FAULTS = [idleStreams, slowReaders];
