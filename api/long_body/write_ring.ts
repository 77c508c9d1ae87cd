import type { RingPage, RingRecord } from "../../domain/commands/ring.ts";
import { codecFrom } from "../codec/value_codec.ts";
import type { HandlerRequest } from "../handler.ts";
import { JsonText } from "../json_text.ts";
import { type EventText, event } from "../sse.ts";
import { writeOne } from "./write_elements.ts";

/** Writes the records of ring buffers, as JSON or as events; a thread writes the data of long ones. */

export type RingEncoding = "hex" | "base64";

const writeData = (request: HandlerRequest, data: Buffer, encoding: RingEncoding) =>
  writeOne(request, codecFrom({ format: encoding }), data, { isRemoved: true });

export async function writeRing(
  request: HandlerRequest,
  { records, position, missed, dropped }: RingPage,
  encoding: RingEncoding,
): Promise<object> {
  const written: object[] = [];
  for (const record of records) {
    written.push({ ...record, data: await writeData(request, record.data, encoding) });
  }
  return { records: written, position, ...(missed > 0 ? { missed } : {}), dropped };
}

async function recordEvent(
  request: HandlerRequest,
  { position, data }: RingRecord,
  encoding: RingEncoding,
): Promise<EventText[]> {
  const written = await writeData(request, data, encoding);
  if (!(written instanceof JsonText)) return [event({ id: position, data: String(written) })];
  // The text of a thread is a string of JSON, whose quotes an event has not.
  const digits = written.pieces.map((piece) => piece.subarray(1, -1));
  return [`id: ${position}\ndata: `, ...digits, "\n\n"];
}

/** Joins neighbouring texts, so that the events of short records are written at once. */
function joinTexts(texts: readonly EventText[]): EventText[] {
  const joined: EventText[] = [];
  for (const text of texts) {
    const last = joined.at(-1);
    if (typeof text === "string" && typeof last === "string")
      joined[joined.length - 1] = last + text;
    else joined.push(text);
  }
  return joined;
}

/** @param dropped how many dropped records the reader knows of. */
export async function writeRingEvents(
  request: HandlerRequest,
  page: RingPage,
  dropped: number,
  encoding: RingEncoding,
): Promise<EventText[]> {
  const { missed } = page;
  const events: EventText[] = [];
  if (missed > 0) events.push(event({ event: "missed", data: JSON.stringify({ missed }) }));
  for (const record of page.records) {
    events.push(...(await recordEvent(request, record, encoding)));
  }
  if (page.dropped > dropped) {
    events.push(event({ event: "drops", data: JSON.stringify({ dropped: page.dropped }) }));
  }
  return joinTexts(events);
}
