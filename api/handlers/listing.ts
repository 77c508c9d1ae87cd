import { formatListing, type ListingPage, listLines } from "../../domain/asm/listing.ts";
import { type Handler, type HandlerResponse, ok, pageOf, pathNumber, query } from "../handler.ts";

/** The instructions of programs as JSON, as a listing, and in hex. */

const PLAIN = "text/plain; charset=utf-8";

/** A text has no field for `next`, so the Link header has it (RFC 8288). */
function plain(
  text: string,
  { next }: ListingPage,
  url: (start: number) => string,
): HandlerResponse {
  const headers = next === undefined ? {} : { link: `<${url(next)}>; rel="next"` };
  return { status: 200, bytes: Buffer.from(text), type: PLAIN, headers };
}

const progDump: Handler = async ({ kernel }, request) => {
  const id = pathNumber(request, "id");
  const start = query<number | undefined>(request, "start");
  const page = await kernel.progInsns(request.call, id, { ...pageOf(request), start });
  const { insn_cnt, next } = page;
  const cursor = next === undefined ? {} : { next_cursor: String(next) };
  return ok({ insn_cnt, instructions: listLines(page), ...cursor });
};

const progDumpText: Handler = async ({ kernel }, request) => {
  const [id, limit] = [pathNumber(request, "id"), query<number>(request, "limit")];
  const format = query<"text" | "raw">(request, "format");
  const first = query<number | undefined>(request, "start");
  const page = await kernel.progInsns(request.call, id, { limit, start: first });
  const url = (start: number) =>
    `/v1/progs/${id}/instructions/text?format=${format}&start=${start}&limit=${limit}`;
  const text = format === "text" ? formatListing(page) : `${page.insns.toString("hex")}\n`;
  return plain(text, page, url);
};

export const listings = { progDump, progDumpText };
