/** Checks that the title of a test is a complete sentence on one line. */

export const TITLE_LENGTH = 120;
const CELL_LENGTH = 50;

function shorten(cell: unknown): string {
  const text = (typeof cell === "string" ? cell : JSON.stringify(cell)).replaceAll(/\s+/g, " ");
  return text.length <= CELL_LENGTH ? text : `${text.slice(0, CELL_LENGTH - 1)}…`;
}

/** Puts a short form of the first cell before each row, to use in the title of the test. */
export const withShortTitle = <Row extends readonly [unknown, ...unknown[]]>(
  rows: readonly Row[],
): [title: string, ...row: Row][] => rows.map((row) => [shorten(row[0]), ...row]);

/** @returns why `title` is not a valid title, or undefined */
export function titleFault(title: string): string | undefined {
  if (title.length > TITLE_LENGTH) return `has ${title.length} characters, over ${TITLE_LENGTH}`;
  if (/[\n\r\t]/.test(title)) return "is not one line";
  if (title.trim().split(/\s+/).length < 3) return "is not a sentence";
  return undefined;
}
