/**
 * C-like declarations. A text is read once, from left to right; what it may cost is bounded by its
 * length and by limits.ts.
 *
 *   text       = { ["typedef"] specifiers [declarator {"," declarator}] ";" }
 *   specifiers = words of an integer | typedef | record | enum | tag, with qualifiers
 *   record     = ("struct" | "union") [tag] "{" {specifiers [field {"," field}] ";"} "}"
 *   field      = declarator | [name] ":" width
 *   declarator = {"*"} [name] {"[" length "]"}
 */

import { MAX_DEPTH } from "../limits.ts";
import { opaqueAlias } from "../spin_lock.ts";
import type { RecordType, Type } from "../type.ts";
import { asLock, LOCK, MemberCheck, named } from "../type_builders.ts";
import { attributes } from "./attribute.ts";
import { count } from "./constant.ts";
import { type Base, basicType, complete, declarator, qualifiers } from "./declarator.ts";
import { enumerate } from "./enum.ts";
import {
  type Aligned,
  badWidth,
  type FieldAttributes,
  type LaidOutField,
  layOut,
} from "./layout.ts";
import { builtinTag, builtinTypedef, isWord } from "./names.ts";
import { Scope } from "./scope.ts";
import { type CToken, CTokens } from "./tokens.ts";

class Parser {
  readonly #tokens: CTokens;
  readonly #scope: Scope;
  #depth = 0;

  constructor(text: string, scope: Scope) {
    this.#tokens = new CTokens(text);
    this.#scope = scope;
  }

  declarations(): Base | undefined {
    let last: Base | undefined;
    while (!this.#tokens.ended) {
      last = this.#item();
      if (!this.#tokens.ended) this.#tokens.expect(";");
    }
    return last;
  }

  lastType(): Type {
    const last = this.declarations();
    if (!last) throw this.#tokens.unexpected("a type");
    return complete(this.#tokens, last).type;
  }

  #item(): Base {
    const typedef = this.#tokens.accept("typedef");
    let last = this.#specifiers();
    if (!typedef && (this.#tokens.ended || this.#tokens.next.text === ";")) return last;
    const base = last;
    do {
      const token = this.#tokens.next;
      const declared = declarator(this.#tokens, this.#scope.constants, base);
      const { packed, align = declared.align } = this.#attributes();
      if (packed) throw this.#tokens.fault(token, 'packed has its place after the "}" of a struct');
      const type = typedef ? named(declared.name, declared.type) : declared.type;
      if (typedef) this.#declare(this.#scope.typedefs, token, declared.name, { type, align });
      last = { token, aligned: { type, align } };
    } while (this.#tokens.accept(","));
    return last;
  }

  #declare<T>(names: Map<string, T>, token: CToken, name: string, value: T): void {
    if (name === "") throw this.#tokens.fault(token, "expected a name to declare");
    if (names.has(name)) throw this.#tokens.fault(token, `${name} is declared twice`);
    names.set(name, value);
  }

  #specifiers(): Base {
    const isQualified = qualifiers(this.#tokens);
    const token = this.#tokens.next;
    const base = this.#named(token) ?? basicType(this.#tokens);
    const { aligned } = base;
    if (!qualifiers(this.#tokens) && !isQualified) return base;
    return { ...base, aligned: aligned && { ...aligned, type: opaqueAlias(aligned.type) } };
  }

  #named(token: CToken): Base | undefined {
    const { text } = token;
    if (text === "struct" || text === "union") return this.#record(this.#tokens.take(), text);
    if (text === "enum") return this.#enum(this.#tokens.take());
    if (this.#tokens.accept("void")) {
      return { token, aligned: undefined, missing: "void has no size" };
    }
    if (token.kind !== "name" || isWord(text)) return undefined;
    const aligned = this.#scope.typedefs.get(text) ?? builtinTypedef(text);
    if (!aligned) throw this.#tokens.unexpected("a type");
    this.#tokens.take();
    return { token, aligned };
  }

  #tagged(
    token: CToken,
    keyword: string,
    body: (attributes: FieldAttributes, name: string) => Aligned,
  ): Base {
    const attributes = this.#attributes();
    const tag = this.#tokens.acceptName();
    const name = tag ? `${keyword} ${tag.text}` : "";
    if (tag && !this.#tokens.accept("{")) {
      const aligned = this.#scope.tags.get(name) ?? builtinTag(name);
      return { token: tag, aligned, missing: `${name} is not declared` };
    }
    if (!tag) this.#tokens.expect("{");
    const aligned = body(attributes, name);
    if (tag) this.#declare(this.#scope.tags, tag, name, aligned);
    return { token, aligned, anonymous: !tag && keyword !== "enum" };
  }

  #record(token: CToken, keyword: RecordType["kind"]): Base {
    return this.#tagged(token, keyword, (attributes, name) => {
      if (++this.#depth > MAX_DEPTH)
        throw this.#tokens.fault(token, `nested deeper than ${MAX_DEPTH}`);
      const fields = this.#fields();
      this.#depth--;
      const all = this.#attributes(attributes);
      const laid = this.#tokens.blame(token, () => layOut(keyword, fields, all));
      return name === LOCK ? { ...laid, type: asLock(laid.type) } : laid;
    });
  }

  #enum(token: CToken): Base {
    return this.#tagged(token, "enum", (attributes) => {
      const build = enumerate(this.#tokens, this.#scope.constants);
      const { packed = false } = this.#attributes(attributes);
      return this.#tokens.blame(token, () => build(packed));
    });
  }

  #fields(): LaidOutField[] {
    const fields: LaidOutField[] = [];
    const check = new MemberCheck();
    const keep = (token: CToken, field: LaidOutField) => {
      const padding = field.name === "" && field.width !== undefined;
      if (!padding) this.#tokens.blame(token, () => check.take(field.name, field.type));
      fields.push(field);
    };
    while (!this.#tokens.accept("}")) {
      const base = this.#specifiers();
      const token = this.#tokens.next;
      if (base.anonymous && this.#tokens.accept(";")) {
        keep(token, { ...complete(this.#tokens, base), name: "", attributes: {} });
        continue;
      }
      do keep(this.#tokens.next, this.#field(base));
      while (this.#tokens.accept(","));
      this.#tokens.expect(";");
    }
    return fields;
  }

  #field(base: Base): LaidOutField {
    const { name, type, align } = declarator(this.#tokens, this.#scope.constants, base);
    const token = this.#tokens.next;
    if (!this.#tokens.accept(":")) {
      if (name === "") throw this.#tokens.unexpected("a member's name");
      return { name, type, align, attributes: this.#attributes() };
    }
    const width = count(this.#tokens, this.#scope.constants, [name === "" ? 0 : 1, 64]);
    const bad = badWidth(type, width);
    if (bad) throw this.#tokens.fault(token, bad);
    return { name, type, align, width, attributes: {} };
  }

  #attributes(found: FieldAttributes = {}): FieldAttributes {
    return attributes(this.#tokens, this.#scope.constants, found);
  }
}

/** Adds what the text declares to the scope. @throws SchemaError with line and column. */
export function declareC(text: string, scope: Scope): void {
  new Parser(text, scope).declarations();
}

/** The type that the text is, or the last that it declares. @throws SchemaError with line and column. */
export function parseC(text: string, scope?: Scope): Type {
  return new Parser(text, new Scope(scope)).lastType();
}
