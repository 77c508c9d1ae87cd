import { randomBytes } from "node:crypto";

/** JSON in pieces, for answers of which a thread has written the long parts. */

/** Stands for a text within another; no text contains it. */
const MARK = randomBytes(16).toString("hex");

/** The texts that JSON.stringify() meets, in their order. */
let met: JsonText[] | undefined;

/** A value that is JSON already. */
export class JsonText {
  readonly pieces: readonly Buffer[];

  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
  }

  toJSON(): unknown {
    if (met === undefined) return JSON.parse(Buffer.concat(this.pieces).toString());
    met.push(this);
    return MARK;
  }
}

/** JSON.stringify() of a value in which there may be texts; only a value with texts gives pieces. */
export function stringify(value: object): string | readonly Buffer[] {
  const texts: JsonText[] = [];
  met = texts;
  let outer: string;
  try {
    outer = JSON.stringify(value);
  } finally {
    met = undefined;
  }
  if (texts.length === 0) return outer;
  const between = outer.split(`"${MARK}"`).map((part) => Buffer.from(part));
  return between.flatMap((part, i) => [part, ...(texts[i]?.pieces ?? [])]);
}
