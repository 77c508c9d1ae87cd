/** What every program prints. The programs differ in how their clients are called, and in nothing else. */

export const TRANSCRIPT: readonly (readonly [step: string, shows: string])[] = [
  ["session clients", "a session"],
  ["map 3", "a map"],
  ["lookup 0700000000000000", "an update, and a lookup as JSON"],
  ["bytes 0700000000000000", "a lookup as bytes"],
  ["stored 0900000000000000", "an update as bytes"],
  ["pin map", "a pin"],
  ["open 4 map", "an open"],
  ["batch 2 2", "batches: an update and a lookup"],
  ["errno 404 ENOENT", "an errno as a type"],
  ["run 2", "a program, and its test run"],
  ["event 6869", "a stream of events"],
  ["exit", "the end"],
];
