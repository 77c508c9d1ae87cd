import { on } from "node:events";
import { type DemoSession, newSession } from "./client.ts";

/** Shared by the demo's processes: their session, orders from the demo and reports to it. */

const orders = on(process, "message");
process.once("disconnect", () => process.exit());

export function join(label: string, ttl_ms = 60_000): Promise<DemoSession> {
  const { BPF_URL = "http://127.0.0.1:8080", BPF_NAMESPACE = "default", BPF_API_KEY } = process.env;
  return newSession(BPF_URL, { namespace: BPF_NAMESPACE, label, ttl_ms }, BPF_API_KEY);
}

export function report(message: object): void {
  process.send?.(message);
}

/** Waits for this order. @throws when another one arrives */
export async function awaitOrder(order: string): Promise<void> {
  const { value } = await orders.next();
  if (value[0] !== order) throw new Error(`expected the order ${order}, got ${value[0]}`);
}

export async function leave(session: DemoSession): Promise<void> {
  await session.exit();
  process.disconnect?.();
}
