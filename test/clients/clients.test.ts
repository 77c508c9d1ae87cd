import { describe, expect, it } from "vitest";
import { readText } from "../support/documents.ts";
import { GENERATORS } from "./generators.ts";
import { CLIENTS_DOCUMENT, rowOf, rowsIn, withTable } from "./table.ts";

/** docs/clients.md shows what `npm run clients` found, and its commands are those that were run. */

const DOCUMENT = readText(CLIENTS_DOCUMENT);
const BASE = "http://127.0.0.1:8080";

describe("docs/clients.md", () => {
  it.each(GENERATORS.map((generator) => [generator.name, generator] as const))(
    "the table has a row of %s in which every step succeeded",
    (_, generator) => {
      expect(rowsIn(DOCUMENT)).toContain(rowOf({ generator }));
    },
  );

  it("the table has no other rows", () => {
    expect(rowsIn(DOCUMENT).length).toBe(GENERATORS.length);
  });

  it("a new table replaces the old one and keeps the text around it", () => {
    const row = "| a | b | c | d | e | f | g | h |";
    const changed = withTable(DOCUMENT, [row]);
    expect(rowsIn(changed)).toEqual([row]);
    expect(withTable(changed, rowsIn(DOCUMENT))).toBe(DOCUMENT);
  });

  it("every command of the document is one that npm run clients runs", () => {
    const commands = [...DOCUMENT.matchAll(/^npx (.+)$/gm)].map(([, line]) => line);
    const known = GENERATORS.map(({ command, packages: [name] }) =>
      [name, ...command(BASE, "client").slice(1)].join(" "),
    );
    expect(commands.length).toBeGreaterThan(3);
    expect(commands.filter((line) => !known.includes(line ?? ""))).toEqual([]);
  });

  it("a failed step stands in the row instead of the count", () => {
    const [generator] = GENERATORS;
    if (!generator) throw new Error("there are no generators");
    expect(rowOf({ generator, failed: "a pin: printed nothing" })).toContain("| a pin: printed");
    expect(rowOf({ generator })).toContain("| 12 of 12 |");
  });
});
