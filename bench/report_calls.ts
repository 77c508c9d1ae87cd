import { type CallTimes, callRatio, HAND, HAND_PACKED, LIBRARY, SCRIPT } from "./calls.ts";
import { EVALSHA_COMMIT } from "./history.ts";
import { median } from "./load.ts";
import { type Longest, type LongestCalls, longestCall } from "./longest.ts";
import { type ReleaseCosts, SESSIONS, SHARED } from "./release.ts";
import { atLeast, atMost, type Chapter, digits, head, row } from "./table.ts";

/** Writes the part of bench/RESULTS.md on the cost of calls by the count of Redis. */

const LOOKUP_TARGET = 1;
const UPDATE_TARGET = 1.2;
const LOOKUP_BEFORE_TARGET = 0.4;
const BEFORE_TARGET = 0.55;
const HELD = ["obj_get", "close", "close that frees", "pin", "unlink", "map_create", "renew"];
const LONGEST_TARGET = 5000;
const RELEASE_TARGET = 20_000;
const SHARE_TARGET = 1;

const least = (values: number[]) => Math.min(...values);

function callTargets(calls: CallTimes): string[] {
  const hand = (op: string) => callRatio(calls, op, LIBRARY, HAND);
  const before = (op: string) => callRatio(calls, op, LIBRARY, SCRIPT);
  const byHand = (op: string) => `Redis usec per ${op} / ${HAND}`;
  const script = (op: string) => `Redis usec per ${op} / ${SCRIPT}`;
  return [
    atMost(byHand("lookup"), LOOKUP_TARGET, hand("lookup")),
    atMost(byHand("update"), UPDATE_TARGET, hand("update")),
    atMost(script("lookup"), LOOKUP_BEFORE_TARGET, before("lookup")),
    ...HELD.map((op) => atMost(script(op), BEFORE_TARGET, before(op))),
  ];
}

function callTable(calls: CallTimes): string[] {
  const others = [SCRIPT, HAND, HAND_PACKED].filter((name) => calls[name]);
  const cell = (operation: string, name: string) => {
    const values = calls[name]?.[operation];
    if (!values) return "-";
    return `x${callRatio(calls, operation, LIBRARY, name).toFixed(2)} (${digits(median(values))})`;
  };
  const lines = Object.entries(calls[LIBRARY] ?? {}).map(([operation, values]) =>
    row(operation, `(${digits(median(values))})`, ...others.map((name) => cell(operation, name))),
  );
  const columns = [LIBRARY, ...others.map((name) => `library / ${name}`)];
  return [...head("", ...columns), ...lines, ""];
}

function longestTable({ limited, others }: LongestCalls): string[] {
  const line = ([what, repetitions]: [string, number[][]]) =>
    row(what, ...[least, median].map((pick) => digits(longestCall(repetitions, pick))));
  const lines = (cases: Longest) => Object.entries(cases).map(line);
  return [...head("usec", "minimum", "median"), ...lines(limited), ...lines(others), ""];
}

export function callsChapter(calls: CallTimes): Chapter {
  return {
    targets: callTargets(calls),
    sections: [
      "## What a call costs Redis",
      "",
      "usec per call by Redis' own count, pipelined, the median of the rounds in brackets. A ratio (x) is the",
      `library's figure to the contender's. "${SCRIPT}" is the script of commit ${EVALSHA_COMMIT}, the last that`,
      "the service ran by EVALSHA. The functions written by hand do one operation with the reads and writes",
      "and checks of domain/lua and nothing else: one reads the layout of that commit a field at a time,",
      "the other reads today's packed fields. The target is held against the first.",
      "",
      ...callTable(calls),
    ],
  };
}

export function longestChapter(longest: LongestCalls): Chapter {
  const targets = Object.entries(longest.limited).map(([what, repetitions]) => {
    const ms = longestCall(repetitions, median) / 1000;
    return atMost(`ms of Redis, longest call: ${what}`, LONGEST_TARGET / 1000, ms);
  });
  return {
    targets,
    sections: [
      "### The longest calls",
      "",
      "What the limits allow. A case repeats the same calls; of each call the minimum and the median of its",
      "repetitions count, and the table shows the longest call of the case. A long program is sent and read",
      "in steps, each of which is a call.",
      "",
      ...longestTable(longest),
    ],
  };
}

export function releaseChapter(costs: ReleaseCosts): Chapter {
  const lines = Object.entries(costs).map(([what, { perSecond, commands, share, sweep }]) =>
    row(what, ...[perSecond, commands, share, sweep].map(digits)),
  );
  const { perSecond = Number.NaN } = costs[SHARED] ?? {};
  const shares = Object.values(costs).map(({ share }) => share);
  const columns = ["sessions a CPU second", "Redis commands a session", "ms a share", "ms a sweep"];
  return {
    targets: [
      atLeast(`sessions with ${SHARED} released a second of Redis' CPU`, RELEASE_TARGET, perSecond),
      atMost(
        "ms of Redis, an update that releases a share for others",
        SHARE_TARGET,
        Math.max(...shares),
      ),
    ],
    sections: [
      "### The release of due sessions",
      "",
      `${SESSIONS} sessions that are due together. A share is what one update of another session does for them, the`,
      "update included; a sweep is one step of a sweeper. Both are means by the count of Redis.",
      "",
      ...[...head("each session has", ...columns), ...lines, ""],
    ],
  };
}
