import { isUtf8 } from "node:buffer";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { escapePointer } from "../openapi/json_pointer.ts";
import { quoteText } from "../text.ts";

/**
 * Parses JSON bodies. It rejects ill-formed Unicode, which would otherwise be stored as U+FFFD or as
 * another text than the client sent, and deep bodies before anything recursive touches them.
 */

/** The position of the first byte that does not belong to a UTF-8 text; the octets have one. */
function firstInvalid(octets: Buffer): number {
  const replaced = Buffer.from(octets.toString());
  let at = 0;
  while (octets[at] === replaced[at]) at += 1;
  return at;
}

/** @throws EINVAL */
export function checkUtf8(octets: Buffer): void {
  if (isUtf8(octets)) return;
  throw new InvalidRequest("/body", `is not valid UTF-8 at byte ${firstInvalid(octets)}`);
}

interface IllFormed {
  /** The path to the string, or to the object that has the name. */
  path: (string | number)[];
  text: string;
  isName: boolean;
}

/** Invariant: the value is nested no deeper than the check of the depth allows. */
function findIllFormed(value: unknown): IllFormed | undefined {
  if (typeof value === "string") {
    return value.isWellFormed() ? undefined : { path: [], text: value, isName: false };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const names = Array.isArray(value) ? value.keys() : Object.keys(value);
  for (const name of names) {
    if (typeof name === "string" && !name.isWellFormed()) {
      return { path: [], text: name, isName: true };
    }
    const found = findIllFormed((value as Record<string | number, unknown>)[name]);
    if (found) return { ...found, path: [name, ...found.path] };
  }
  return undefined;
}

/** UTF-8 has no surrogates, so JSON has a lone one only where it has an escape. */
const ESCAPE = Buffer.from("\\u");

/** @param octets the text of the body, which is UTF-8. @throws EINVAL with the pointer */
export function checkSurrogates(octets: Buffer, body: unknown): void {
  const found = octets.includes(ESCAPE) ? findIllFormed(body) : undefined;
  if (!found) return;
  const pointer = ["/body", ...found.path.map(escapePointer)].join("/");
  const what = found.isName ? "has a name that is not" : "must be";
  throw new InvalidRequest(pointer, `${what} well-formed Unicode, got ${quoteText(found.text)}`);
}

const MAX_DEPTH = 32;

/** Of two properties with one name, the last counts. @throws EINVAL */
export function parseJson(octets: Buffer): unknown {
  checkUtf8(octets);
  const text = octets.toString();
  try {
    return JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch (error) {
    throw new InvalidRequest("/body", `is not valid JSON: ${(error as Error).message}`);
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function isDeeper(value: unknown, levels: number): boolean {
  if (!isObject(value)) return false;
  if (levels === 0) return true;
  const parts = Array.isArray(value) ? value : Object.values(value);
  for (const part of parts) if (isDeeper(part, levels - 1)) return true;
  return false;
}

export function isTooDeep(body: unknown): boolean {
  return !Buffer.isBuffer(body) && isDeeper(body, MAX_DEPTH);
}

export const tooDeep = () =>
  new InvalidRequest("/body", `must be nested at most ${MAX_DEPTH} levels deep`);

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const OPENING: ReadonlySet<number> = new Set(Buffer.from("[{"));
const CLOSING: ReadonlySet<number> = new Set(Buffer.from("]}"));

/** The members of an object that is a body, and of those in it; a type may have 4,096 members. */
const MAX_MEMBERS = 8192;
/** Members that are deeper are parts of values in a batch. */
const COUNTED_LEVELS = 2;

/**
 * Checks the levels of a text and its outer members before a parser makes objects of them, which takes
 * longer than all other work on a body. @throws EINVAL
 */
function checkShape(octets: Buffer): void {
  let [levels, members, inString] = [0, 0, false];
  for (let at = 0; at < octets.length; at++) {
    const byte = octets[at] as number;
    if (byte === QUOTE) inString = !inString;
    else if (inString) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === COLON) members += levels <= COUNTED_LEVELS ? 1 : 0;
    else if (OPENING.has(byte)) levels += 1;
    else if (CLOSING.has(byte)) levels -= 1;
    if (levels > MAX_DEPTH) throw tooDeep();
    if (members > MAX_MEMBERS) {
      throw new InvalidRequest("/body", `must have at most ${MAX_MEMBERS} members`);
    }
  }
}

/** Reads a body of any length with all checks that need no schema. @throws EINVAL */
export function readJson(octets: Buffer): unknown {
  if (octets.length === 0) return {};
  checkShape(octets);
  const body = parseJson(octets);
  checkSurrogates(octets, body);
  return body;
}
