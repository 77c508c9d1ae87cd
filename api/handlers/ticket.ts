import { created, type Handler } from "../handler.ts";

/** Tickets for event streams, whose clients in browsers cannot send headers. */

interface TicketBody {
  fd: number;
  ttl_ms?: number;
}

const TTL_MS = 30_000;

const ticketCreate: Handler = async ({ kernel }, request) => {
  const { fd, ttl_ms = TTL_MS } = request.body as TicketBody;
  return created(await kernel.ticketCreate(request.call, fd, ttl_ms));
};

export const tickets = { ticketCreate };
