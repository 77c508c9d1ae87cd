import { MAX_NAME, SchemaError } from "../limits.ts";

/** Splits a C-like text into tokens, one at a time, and locates errors by line and column. */

export interface CToken {
  readonly kind: "name" | "number" | "mark" | "end";
  readonly text: string;
  readonly at: number;
}

export const MAX_TEXT = 64 << 10;

const BLANK = /\s+|\/\/[^\n]*/y;
const WORD = /([A-Za-z_]\w*)|(\d\w*)|<<|[{}()[\];:,=*-]/y;
const KEYWORDS = new Set([
  ...["struct", "union", "enum", "typedef", "const", "volatile", "restrict", "static", "extern"],
  ...["char", "short", "int", "long", "signed", "unsigned", "float", "double", "void", "bool"],
  ...["_Bool", "__int128", "sizeof", "__attribute__", "__packed", "__aligned"],
]);

export class CTokens {
  readonly #text: string;
  #at = 0;
  #next: CToken;

  constructor(text: string) {
    if (Buffer.byteLength(text) > MAX_TEXT) {
      throw new SchemaError(`must have at most ${MAX_TEXT} bytes`);
    }
    this.#text = text;
    this.#next = this.#readToken();
  }

  get next(): CToken {
    return this.#next;
  }

  get isAtEnd(): boolean {
    return this.#next.kind === "end";
  }

  take(): CToken {
    const token = this.#next;
    this.#next = this.#readToken();
    return token;
  }

  accept(text: string): boolean {
    if (this.#next.text !== text) return false;
    this.take();
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) throw this.unexpectedToken(`"${text}"`);
  }

  /** Accepts a name that is not a keyword of C. */
  acceptName(): CToken | undefined {
    const { kind, text } = this.#next;
    return kind === "name" && !KEYWORDS.has(text) ? this.take() : undefined;
  }

  unexpectedToken(expected: string): SchemaError {
    const found = this.isAtEnd ? "the end" : JSON.stringify(this.#next.text);
    return this.errorAt(this.#next, `expected ${expected}, found ${found}`);
  }

  errorAt(token: Pick<CToken, "at">, message: string, code?: SchemaError["code"]): SchemaError {
    const before = this.#text.slice(0, token.at);
    const line = before.split("\n").length;
    const column = token.at - before.lastIndexOf("\n");
    return new SchemaError(`line ${line}, column ${column}: ${message}`, code);
  }

  /** Adds the position of the token to an error. */
  locateErrors<T>(token: CToken, build: () => T): T {
    try {
      return build();
    } catch (error) {
      if (error instanceof SchemaError) throw this.errorAt(token, error.message, error.code);
      throw error;
    }
  }

  #readToken(): CToken {
    this.#skipBlank();
    const at = this.#at;
    if (at === this.#text.length) return { kind: "end", text: "", at };
    WORD.lastIndex = at;
    const [text, name, number] = WORD.exec(this.#text) ?? [];
    if (text === undefined) {
      throw this.errorAt({ at }, `unexpected character ${this.#characterAt(at)}`);
    }
    if (text.length > MAX_NAME)
      throw this.errorAt(
        { at },
        `a word must have at most ${MAX_NAME} characters, got ${text.length}`,
      );
    this.#at += text.length;
    return { kind: name ? "name" : number ? "number" : "mark", text, at };
  }

  #characterAt(at: number): string {
    return JSON.stringify(String.fromCodePoint(this.#text.codePointAt(at) ?? 0));
  }

  #skipBlank(): void {
    for (;;) {
      BLANK.lastIndex = this.#at;
      if (BLANK.test(this.#text)) this.#at = BLANK.lastIndex;
      else if (this.#text.startsWith("/*", this.#at)) this.#at = this.#endOfComment();
      else return;
    }
  }

  #endOfComment(): number {
    const end = this.#text.indexOf("*/", this.#at + 2);
    if (end < 0) throw this.errorAt({ at: this.#at }, "unterminated comment");
    return end + 2;
  }
}
