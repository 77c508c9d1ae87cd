/** What the programs in TypeScript share. The transcript that they print is compared with transcript.ts. */

const [base, namespace] = process.argv.slice(2);
if (base === undefined || namespace === undefined) throw new Error("usage: driver BASE NAMESPACE");

export const BASE = base;
export const NAMESPACE = namespace;

/** An Ethernet frame without payload. */
export const FRAME = "00".repeat(14);
/** The value of the second element, 9 as a u64. */
export const NINE = new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0]);

export function print(step: string, ...values: unknown[]): void {
  process.stdout.write(`${[step, ...values].join(" ")}\n`);
}

/** @throws if the client has no data, which it has for every success. */
export function given<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw new Error("the client has no data");
  return value;
}

export const hexOf = (bytes: ArrayBuffer) => Buffer.from(bytes).toString("hex");

/** True only for a type that lists the errnos, so that a client can compare with no other name. */
export type IsErrno<T> = string extends T ? never : "ENOENT" extends T ? true : never;

/** The data of the first event of a stream, which is then closed. */
export async function firstEvent(stream: ReadableStream<Uint8Array> | null): Promise<string> {
  let text = "";
  for await (const chunk of given(stream)) {
    text += Buffer.from(chunk).toString();
    const data = /^data: ?(.*)$/m.exec(text)?.[1];
    if (data !== undefined && text.includes("\n\n")) return data;
  }
  throw new Error("the stream ended before an event");
}
