/** The log of BPF_BTF_LOAD (kernel/bpf/log.c): every character is one byte of it. */

/** Bits of btf_log_level: with this one the log keeps its beginning, else its end. */
const LOG_FIXED = 8;
const PIECE_BYTES = 1023;

export interface LogRequest {
  /** btf_log_level; 0 asks for no log. */
  level: number;
  /** btf_log_size; left out for a buffer that is as long as the log. */
  size?: number | undefined;
}

export interface FinishedLog {
  /** What the caller's buffer has. */
  text: string;
  /** Bytes that the whole log takes, its NUL included. */
  trueSize: number;
  /** The log is longer than the caller's buffer. */
  isCut: boolean;
}

/** Decodes bytes as UTF-8, and those that are none as \xff. */
function decode(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (!text.includes("\ufffd")) return text;
  let decoded = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) decoded += `\\x${bytes.toString("hex", at, at + 1)}`;
    else decoded += bytes.toString("utf8", at, at + length);
    at += Math.max(1, length);
  }
  return decoded;
}

/** The length of the character at `at`, or 0 if the bytes there are not UTF-8. */
function sequenceLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4; length++) {
    const part = bytes.subarray(at, at + length);
    const text = part.toString("utf8");
    if (part.length === length && Buffer.from(text).equals(part)) return length;
  }
  return 0;
}

export class BtfLog {
  readonly isNeeded: boolean;
  readonly #request: LogRequest;
  readonly #parts: string[] = [];

  constructor(request: LogRequest) {
    this.#request = request;
    this.isNeeded = request.level !== 0;
  }

  /** Writes a piece, which the kernel cuts to its own buffer (BPF_VERIFIER_TMP_LOG_SIZE). */
  write(piece: string): void {
    if (this.isNeeded) this.#parts.push(piece.slice(0, PIECE_BYTES));
  }

  /** bpf_vlog_finalize() */
  finish(): FinishedLog {
    const whole = Buffer.from(this.#parts.join(""), "latin1");
    const trueSize = whole.length > 0 ? whole.length + 1 : 0;
    const { level, size = trueSize } = this.#request;
    const isCut = trueSize > size;
    const room = Math.max(0, size - 1);
    const kept = (level & LOG_FIXED) !== 0 ? whole.subarray(0, room) : whole.subarray(-room);
    const shown = isCut ? kept : whole;
    // A buffer is read up to its first NUL.
    const end = shown.indexOf(0);
    return { text: decode(end < 0 ? shown : shown.subarray(0, end)), trueSize, isCut };
  }
}
