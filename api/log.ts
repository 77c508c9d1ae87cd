import type { LEVELS } from "./config.ts";

type Level = (typeof LEVELS)[number];

/** One JSON object a line; at level "error" only errors. Never given tokens or bodies. */
export function createLog(threshold: Level) {
  return (level: Level, message: string, more: Record<string, unknown> = {}): void => {
    if (threshold === "error" && level !== "error") return;
    const line = { time: new Date().toISOString(), level, message, ...more };
    process.stderr.write(`${JSON.stringify(line)}\n`);
  };
}

export type Logger = ReturnType<typeof createLog>;
