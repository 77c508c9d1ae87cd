/** Splits and writes the requests of Redis' protocol, for proxies that answer in Redis' place. */

export interface RedisCommand {
  words: string[];
  bytes: Buffer;
}

const CRLF = 2;

/** The number behind a "*" or "$", and where its line ends; undefined for a line that is not complete. */
function lineAt(bytes: Buffer, at: number): { count: number; next: number } | undefined {
  const end = bytes.indexOf("\r\n", at);
  if (end < 0) return undefined;
  return { count: Number(bytes.toString("latin1", at + 1, end)), next: end + CRLF };
}

function commandAt(bytes: Buffer, from: number): RedisCommand | undefined {
  const head = lineAt(bytes, from);
  if (!head) return undefined;
  const words: string[] = [];
  let at = head.next;
  while (words.length < head.count) {
    const size = lineAt(bytes, at);
    if (!size || bytes.length < size.next + size.count + CRLF) return undefined;
    words.push(bytes.toString("latin1", size.next, size.next + size.count));
    at = size.next + size.count + CRLF;
  }
  return { words, bytes: bytes.subarray(from, at) };
}

/** The complete commands, and the bytes of the one that has only begun. */
export function splitCommands(bytes: Buffer): { commands: RedisCommand[]; rest: Buffer } {
  const commands: RedisCommand[] = [];
  let at = 0;
  for (;;) {
    const command = commandAt(bytes, at);
    if (!command) return { commands, rest: bytes.subarray(at) };
    commands.push(command);
    at += command.bytes.length;
  }
}

export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word, "latin1")}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join("")}`, "latin1");
}
