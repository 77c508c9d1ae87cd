import { einval } from "../domain/errno.ts";
import { fdBytes, parseBytes } from "./bytes.ts";
import type { Asked, Context } from "./handler.ts";

/** How keys and values are written in requests and answers: `?format=` names the form of answers. */

/** A value in a body: bytes as text, the fd of an object for a slot, or JSON by the map's schema. */
export type ValueBody = unknown;

export interface Form {
  key(text: string, pointer: string): Buffer;
  value(body: ValueBody, pointer: string): Buffer;
  showKey(key: Buffer): unknown;
  showValue(value: Buffer): unknown;
}

function isSlot(body: unknown): body is { fd: number } {
  if (typeof body !== "object" || body === null || Object.keys(body).join() !== "fd") return false;
  const { fd } = body as { fd: unknown };
  return typeof fd === "number" && Number.isInteger(fd) && fd >= 0 && fd < 2 ** 31;
}

export function isBytes(body: unknown): boolean {
  return typeof body === "string" || isSlot(body);
}

/** Literals or plain hex; {fd} for a slot. @throws EINVAL */
export function valueBytes(body: ValueBody, pointer: string): Buffer {
  if (typeof body === "string") return parseBytes(body, pointer);
  if (!isSlot(body)) throw einval("a string of bytes or {fd} is wanted", pointer);
  return fdBytes(body.fd);
}

function plain(encoding: "hex" | "base64"): Form {
  const show = (bytes: Buffer) => bytes.toString(encoding);
  return { key: parseBytes, value: valueBytes, showKey: show, showValue: show };
}

const FORMS = { hex: plain("hex"), base64: plain("base64") };

export async function formOf({ kernel }: Context, { req, call }: Asked): Promise<Form> {
  const { format = "hex" } = req.query as { format?: keyof typeof FORMS | "json" };
  return FORMS[format as "hex"];
}

/** {id} for what is in a slot of an array of objects. */
export function shown(form: Form, value: Buffer, isId: boolean): unknown {
  return isId ? { id: value.readUInt32LE() } : form.showValue(value);
}
