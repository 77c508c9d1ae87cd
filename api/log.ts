import { createRequire } from "node:module";
import type { Logger as Pino } from "pino";
import type { LEVELS } from "./config.ts";
import { escapeText } from "./text.ts";

/** Log lines: one JSON object a line on stderr, by pino. They never hold tokens or bodies. */

type Level = (typeof LEVELS)[number];

const require = createRequire(import.meta.url);

function createPino(threshold: Level): Pino {
  const { pino } = require("pino") as typeof import("pino");
  const options = {
    level: threshold,
    base: null,
    messageKey: "message",
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  // Written at once: the line of a failed start must be out before the process exits.
  const destination = pino.destination({ dest: 2, sync: true });
  // pino escapes C0 only; an escape is valid in each string of the JSON.
  return pino(options, { write: (line) => destination.write(`${escapeText(line.trimEnd())}\n`) });
}

/** At level "error" only errors are written. */
export function createLog(threshold: Level) {
  let pino: Pino | undefined;
  return (level: Level, message: string, more: Record<string, unknown> = {}): void => {
    // Loaded with the first line: a start that has nothing to say does not wait for it.
    pino ??= createPino(threshold);
    pino[level](more, message);
  };
}

export type Logger = ReturnType<typeof createLog>;
