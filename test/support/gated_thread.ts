/** A module for background threads whose requests end when the test opens their gate. */

export interface GatedRequest {
  /** One Int32 that is 0 until the gate is open; a request without a gate ends at once. */
  gate?: SharedArrayBuffer;
  answer: number;
}

export const GATED = import.meta.url;

/** Answers after the gate has opened. */
export function handleRequest({ gate, answer }: GatedRequest): number {
  if (gate) Atomics.wait(new Int32Array(gate), 0, 0);
  return answer;
}

export function openGate(gate: SharedArrayBuffer): void {
  const word = new Int32Array(gate);
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
}
