/** What the demo prints: steps, counts, and claims that it checks itself. */

type Print = (line: string) => void;

const print: Print = (line) => process.stdout.write(`${line}\n`);

export const heading = (text: string) => print(`\n${text}`);

/** @param call the system call or bpf command of this step. */
export function say(who: string, call: string, text: string): void {
  print(`  ${who.padEnd(8)} ${call.padEnd(22)} ${text}`);
}

export class Claims {
  readonly #print: Print;
  #held = 0;
  readonly #broken: string[] = [];

  constructor(to: Print = print) {
    this.#print = to;
  }

  claim(text: string, condition: boolean): void {
    if (condition) this.#held += 1;
    else this.#broken.push(text);
    this.#print(`    ${condition ? "✓" : "✗"} ${text}`);
  }

  /** A run without claims proves nothing, so it fails, too. */
  summary(): { text: string; exitCode: 0 | 1 } {
    if (this.#broken.length > 0) {
      const list = this.#broken.map((text) => `\n  ✗ ${text}`).join("");
      const all = this.#held + this.#broken.length;
      return { text: `${this.#broken.length} of ${all} claims are broken:${list}`, exitCode: 1 };
    }
    if (this.#held === 0) return { text: "no claim was checked", exitCode: 1 };
    return { text: `all ${this.#held} claims hold`, exitCode: 0 };
  }
}
