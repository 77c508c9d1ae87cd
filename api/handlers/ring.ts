import type { Ring, RingPage } from "../../domain/commands/ring.ts";
import type { Subscription } from "../../domain/redis/notifier.ts";
import {
  created,
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  octetsOf,
  ok,
  pathNumber,
  query,
  type ServiceContext,
} from "../handler.ts";
import { readBody } from "../long_body/read_body.ts";
import { type RingEncoding, writeRing, writeRingEvents } from "../long_body/write_ring.ts";
import { closeWith, type Events, type EventText } from "../sse.ts";

/** Ring buffers: write records; read them by position, by long poll, or as events. */

type RingRead = (ring: Ring, position: number | undefined, limit: number) => Promise<RingPage>;

/** Reads a page from a position on. */
type RingReadQuery = (position: number | undefined, limit?: number) => Promise<RingPage>;

/** Reads only one ring, that of the ticket or of the first page: the number of a closed fd is reused. */
function follow(request: HandlerRequest, read: RingRead): RingReadQuery {
  const [fd, usual] = [pathNumber(request, "fd"), query<number>(request, "limit")];
  let mapId = request.ticketMapId;
  return async (position, limit = usual) => {
    const page = await read({ fd, mapId }, position, limit);
    mapId = page.mapId;
    return page;
  };
}

/** Waits where the first page ends. */
function subscribe({ kernel }: ServiceContext, request: HandlerRequest, first: RingPage) {
  const { namespace, sid, hash } = request.call;
  const { mapId, channel } = first;
  return kernel.wake.open({ namespace, sid, hash, fd: pathNumber(request, "fd"), mapId, channel });
}

/** Waits until there is a record, the time is up, or the client disconnects. */
async function poll(first: RingPage, subscription: Subscription, ms: number, read: RingReadQuery) {
  let page = first;
  const end = Date.now() + ms;
  try {
    for (let left = ms; left > 0 && page.records.length === 0; left = end - Date.now()) {
      subscription.known = page;
      await subscription.sleep(left);
      if (subscription.closed) break;
      const { missed } = page;
      page = await read(page.position);
      page.missed += missed;
    }
    if (subscription.refusal && page.records.length === 0) throw subscription.refusal;
    return { page, stopped: subscription.closed };
  } finally {
    subscription.close();
  }
}

interface RingStream {
  first: RingPage;
  from: number | undefined;
  subscription: Subscription;
  read: RingReadQuery;
  /** The events of a page, for a reader that knows of so many dropped records. */
  write(page: RingPage, dropped: number): Promise<EventText[]>;
}

/** Reading after a position consumes what the client has read before it. */
function stream({ first, from, subscription, read, write }: RingStream): Events {
  return {
    subscription,
    async run(out) {
      let [page, position, dropped] = [first, from, 0];
      for (;;) {
        subscription.known = page;
        const events = (await subscription.waitFor(write(page, dropped))) ?? [];
        if (subscription.closed) return;
        if (events.length > 0) await out.send(events);
        else await subscription.sleep();
        if (subscription.closed) return;
        dropped = page.dropped;
        position = page.position;
        page = await read(position);
      }
    },
  };
}

const ringWrite: Handler = async ({ kernel }, request) => {
  const { records, flags } = await readBody(request, "ringWrite");
  return created(await kernel.ringOutput(request.call, pathNumber(request, "fd"), records, flags));
};

const ringWriteBytes: Handler = async ({ kernel }, request) => {
  const [fd, flags] = [pathNumber(request, "fd"), query<number>(request, "flags")];
  return created(await kernel.ringOutput(request.call, fd, [octetsOf(request)], flags));
};

const ringRead: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const [ms, encoding] = [
    query<number>(request, "wait_ms"),
    query<RingEncoding>(request, "format"),
  ];
  const from = query<number | undefined>(request, "position");
  const read = follow(request, (...ring) => kernel.ringRead(request.call, ...ring));
  const first = await read(from);
  if (ms === 0 || first.records.length > 0) return ok(await writeRing(request, first, encoding));
  const subscription = subscribe(context, request, first);
  closeWith(request.res, subscription);
  const { page, stopped } = await poll(first, subscription, ms, read);
  return {
    ...ok(await writeRing(request, page, encoding)),
    ...(stopped ? { headers: { connection: "close" } } : {}),
  };
};

const ringEvents: Handler = async (context, request): Promise<HandlerResponse> => {
  const { kernel } = context;
  const encoding = query<RingEncoding>(request, "format");
  const lastEventId = request.headers["last-event-id"];
  const from =
    lastEventId === undefined
      ? query<number | undefined>(request, "position")
      : Number(lastEventId);
  const read = follow(request, (...ring) => kernel.ringRead(request.call, ...ring));
  const first = await read(from);
  const subscription = subscribe(context, request, first);
  const write = (page: RingPage, dropped: number) =>
    writeRingEvents(request, page, dropped, encoding);
  return { status: 200, events: stream({ first, from, subscription, read, write }) };
};

export const rings = { ringWrite, ringWriteBytes, ringRead, ringEvents };
