import type { Call } from "../redis/command.ts";
import type { Tokens } from "../token.ts";
import type { Ring, RingPage } from "./ring.ts";

/** Tickets, with which a client that cannot send headers reads the records of one ring buffer. */

export interface TicketInfo {
  ticket: string;
  expires_at: string;
}

type RingRead = (
  call: Call,
  ring: Ring,
  position: number | undefined,
  limit: number,
) => Promise<RingPage>;

export function ticketCommands(tokens: Tokens, ringRead: RingRead) {
  return {
    /** Fails as a read of the ring buffer does. @param ttl ms. */
    async ticketCreate(call: Call, fd: number, ttl: number): Promise<TicketInfo> {
      // A read of no records shows that the session lives and may read.
      const { mapId } = await ringRead(call, { fd }, undefined, 0);
      const expires = Date.now() + ttl;
      const ticket = tokens.writeTicket(call, { fd, mapId, expires });
      return { ticket, expires_at: new Date(expires).toISOString() };
    },
  };
}
