import type { ServerResponse } from "node:http";
import type { RingPage } from "../../domain/commands/ring.ts";
import { Errno } from "../../domain/errno.ts";
import type { Notifier, Subscription } from "../../domain/redis/notifier.ts";
import { parseBytes } from "../codec/bytes.ts";
import {
  created,
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  ok,
  pathNumber,
  query,
} from "../handler.ts";
import { closeWith, type Events, event } from "../sse.ts";

/** Ring buffers: records put in, and read by position, by long poll, or as events. */

type Encoding = "hex" | "base64";

/** One more page, from a position on. */
type RingReadQuery = (position: number | undefined, limit?: number) => Promise<RingPage>;

function recordsOf(request: HandlerRequest): { records: Buffer[]; flags: number } {
  if (Buffer.isBuffer(request.body))
    return { records: [request.body], flags: query(request, "flags") };
  const { records, flags = 0 } = request.body as { records: string[]; flags?: number };
  return { records: records.map((text, i) => parseBytes(text, ["records", i])), flags };
}

function show({ records, position, missed, dropped }: RingPage, encoding: Encoding): object {
  return {
    records: records.map((record) => ({ ...record, data: record.data.toString(encoding) })),
    position,
    ...(missed > 0 ? { missed } : {}),
    dropped,
  };
}

/** Reads the ring that was read first: its fd may be closed, and the number be another's. */
function follow(first: RingPage, fd: number, read: RingReadQuery): RingReadQuery {
  return async (position, limit) => {
    const page = await read(position, limit);
    if (page.channel !== first.channel) throw new Errno("EBADF", `fd ${fd} was closed`);
    return page;
  };
}

/** Waits until there is a record, the time is up, or the client has gone. */
async function poll(
  first: RingPage,
  wake: Notifier,
  ms: number,
  res: ServerResponse,
  read: RingReadQuery,
) {
  const waiter = wake.open(first.channel);
  closeWith(res, waiter);
  let page = first;
  const end = Date.now() + ms;
  try {
    for (let left = ms; left > 0 && page.records.length === 0; left = end - Date.now()) {
      await waiter.sleep(left);
      if (waiter.closed) break;
      const { missed } = page;
      page = await read(page.position);
      page.missed += missed;
    }
    return { page, stopped: waiter.closed };
  } finally {
    waiter.close();
  }
}

function eventsOf(page: RingPage, dropped: number, encoding: Encoding): string {
  const { missed } = page;
  const news = [
    ...(missed > 0 ? [event({ event: "missed", data: JSON.stringify({ missed }) })] : []),
    ...page.records.map(({ position, data }) =>
      event({ id: position, data: data.toString(encoding) }),
    ),
  ];
  if (page.dropped > dropped) {
    news.push(event({ event: "drops", data: JSON.stringify({ dropped: page.dropped }) }));
  }
  return news.join("");
}

/** What the client has taken is consumed by reading on after it. */
function stream(
  first: RingPage,
  from: number | undefined,
  waiter: Subscription,
  encoding: Encoding,
  read: RingReadQuery,
): Events {
  return {
    waiter,
    async run(out) {
      let [page, taken, dropped] = [first, from, 0];
      for (;;) {
        const look = () => read(taken, 0);
        const news = eventsOf(page, dropped, encoding);
        if (news !== "") await out.send(news, look);
        else if (!(await out.beat(look))) await waiter.sleep();
        if (waiter.closed) return;
        dropped = page.dropped;
        taken = page.position;
        page = await read(taken);
      }
    },
  };
}

const ringOutput: Handler = async ({ kernel }, request) => {
  const { records, flags } = recordsOf(request);
  return created(await kernel.ringOutput(request.call, pathNumber(request, "fd"), records, flags));
};

const ringRead: Handler = async ({ kernel }, request): Promise<HandlerResponse> => {
  const fd = pathNumber(request, "fd");
  const [limit, ms, encoding] = [
    query<number>(request, "limit"),
    query<number>(request, "wait_ms"),
    query<Encoding>(request, "format"),
  ];
  const events = request.accepts(["json", "text/event-stream"]) === "text/event-stream";
  const resumed = events ? request.headers["last-event-id"] : undefined;
  const from =
    resumed === undefined ? query<number | undefined>(request, "position") : Number(resumed);
  const first = await kernel.ringRead(request.call, fd, from, limit);
  const read = follow(first, fd, (position, some = limit) =>
    kernel.ringRead(request.call, fd, position, some),
  );
  if (events) {
    const waiter = kernel.wake.open(first.channel);
    return { status: 200, events: stream(first, from, waiter, encoding, read) };
  }
  if (ms === 0 || first.records.length > 0) return ok(show(first, encoding));
  const { page, stopped } = await poll(first, kernel.wake, ms, request.res, read);
  return { ...ok(show(page, encoding)), ...(stopped ? { headers: { connection: "close" } } : {}) };
};

export const rings = { ringOutput, ringRead };
