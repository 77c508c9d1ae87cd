import { formatListing, type ListingPage, listLines } from "../../domain/asm/listing.ts";
import { type Handler, type HandlerResponse, ok, pathNumber, query } from "../handler.ts";

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

const progInsns: Handler = async ({ kernel }, request) => {
  const id = pathNumber(request, "id");
  const limit = query<number>(request, "limit");
  const format = query<"json" | "text" | "raw">(request, "format");
  const page = await kernel.progInsns(request.call, id, query(request, "start"), limit);
  const { insn_cnt, insns, next } = page;
  const url = (start: number) =>
    `/v1/progs/${id}/instructions?format=${format}&start=${start}&limit=${limit}`;
  if (format === "text") return plain(formatListing(page), page, url);
  if (format === "raw") return plain(`${insns.toString("hex")}\n`, page, url);
  return ok({ insn_cnt, instructions: listLines(page), ...(next === undefined ? {} : { next }) });
};

export const listings = { progInsns };
