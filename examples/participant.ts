import { on } from "node:events";
import { type DemoSession, newSession } from "./client.ts";

/** What the demo's processes have in common: their session, and words to and from the demo. */

const orders = on(process, "message");
process.once("disconnect", () => process.exit());

export function join(label: string, ttl_ms = 60_000): Promise<DemoSession> {
  const { BPF_URL = "http://127.0.0.1:8080", BPF_NAMESPACE = "default", BPF_API_KEY } = process.env;
  return newSession(BPF_URL, { namespace: BPF_NAMESPACE, label, ttl_ms }, BPF_API_KEY);
}

export function tell(message: object): void {
  process.send?.(message);
}

/** Waits until the demo says this word. */
export async function order(word: string): Promise<void> {
  const { value } = await orders.next();
  if (value[0] !== word) throw new Error(`told to ${value[0]}, not to ${word}`);
}

export async function leave(session: DemoSession): Promise<void> {
  await session.exit();
  process.disconnect?.();
}
