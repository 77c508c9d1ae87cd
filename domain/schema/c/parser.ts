import { MAX_DEPTH } from "../limits.ts";
import { opaqueAlias } from "../spin_lock.ts";
import type { RecordType, Type } from "../type.ts";
import { applyTypedef, LOCK, MemberCheck, markAsLock } from "../type_builders.ts";
import { parseAttributes } from "./attribute.ts";
import { parseCount } from "./constant.ts";
import {
  type Base,
  parseBasicType,
  parseDeclarator,
  requireComplete,
  skipQualifiers,
} from "./declarator.ts";
import { parseEnumBody } from "./enum.ts";
import {
  type Aligned,
  type FieldAttributes,
  findWidthError,
  type LaidOutField,
  layOutRecord,
} from "./layout.ts";
import { builtinTag, builtinTypedef, isTypeWord } from "./names.ts";
import { Scope } from "./scope.ts";
import { type CToken, CTokens } from "./tokens.ts";

/**
 * Parses C-like declarations, once and from left to right; the length of the text and limits.ts bound
 * the cost.
 *
 *   text       = { ["typedef"] specifiers [declarator {"," declarator}] ";" }
 *   specifiers = words of an integer | typedef | record | enum | tag, with qualifiers
 *   record     = ("struct" | "union") [tag] "{" {specifiers [field {"," field}] ";"} "}"
 *   field      = declarator | [name] ":" width
 *   declarator = {"*"} [name] {"[" length "]"}
 */

class Parser {
  readonly #tokens: CTokens;
  readonly #scope: Scope;
  #depth = 0;

  constructor(text: string, scope: Scope) {
    this.#tokens = new CTokens(text);
    this.#scope = scope;
  }

  declarations(): Base | undefined {
    let lastType: Base | undefined;
    while (!this.#tokens.isAtEnd) {
      lastType = this.#parseItem();
      if (!this.#tokens.isAtEnd) this.#tokens.expect(";");
    }
    return lastType;
  }

  lastType(): Type {
    const lastType = this.declarations();
    if (!lastType) throw this.#tokens.unexpectedToken("a type");
    return requireComplete(this.#tokens, lastType).type;
  }

  #parseItem(): Base {
    const typedef = this.#tokens.accept("typedef");
    let lastType = this.#parseSpecifiers();
    if (!typedef && (this.#tokens.isAtEnd || this.#tokens.next.text === ";")) return lastType;
    const base = lastType;
    do {
      const token = this.#tokens.next;
      const declared = parseDeclarator(this.#tokens, this.#scope.constants, base);
      const { packed, align = declared.align } = this.#parseAttributes();
      if (packed) throw this.#tokens.errorAt(token, 'packed must stand after the "}" of a struct');
      const type = typedef ? applyTypedef(declared.name, declared.type) : declared.type;
      if (typedef)
        this.#addDeclaration(this.#scope.typedefs, token, declared.name, { type, align });
      lastType = { token, aligned: { type, align } };
    } while (this.#tokens.accept(","));
    return lastType;
  }

  #addDeclaration<T>(names: Map<string, T>, token: CToken, name: string, value: T): void {
    if (name === "") throw this.#tokens.errorAt(token, "the name to declare is missing");
    if (names.has(name)) throw this.#tokens.errorAt(token, `duplicate declaration of ${name}`);
    names.set(name, value);
  }

  #parseSpecifiers(): Base {
    const isQualified = skipQualifiers(this.#tokens);
    const token = this.#tokens.next;
    const base = this.#parseNamedType(token) ?? parseBasicType(this.#tokens);
    const { aligned } = base;
    if (!skipQualifiers(this.#tokens) && !isQualified) return base;
    return { ...base, aligned: aligned && { ...aligned, type: opaqueAlias(aligned.type) } };
  }

  #parseNamedType(token: CToken): Base | undefined {
    const { text } = token;
    if (text === "struct" || text === "union") return this.#parseRecord(this.#tokens.take(), text);
    if (text === "enum") return this.#parseEnum(this.#tokens.take());
    if (this.#tokens.accept("void")) {
      return { token, aligned: undefined, missing: "void has no size" };
    }
    if (token.kind !== "name" || isTypeWord(text)) return undefined;
    const aligned = this.#scope.typedefs.get(text) ?? builtinTypedef(text);
    if (!aligned) throw this.#tokens.unexpectedToken("a type");
    this.#tokens.take();
    return { token, aligned };
  }

  #parseTagged(
    token: CToken,
    keyword: string,
    body: (attributes: FieldAttributes, name: string) => Aligned,
  ): Base {
    const attributes = this.#parseAttributes();
    const tag = this.#tokens.acceptName();
    const name = tag ? `${keyword} ${tag.text}` : "";
    if (tag && !this.#tokens.accept("{")) {
      const aligned = this.#scope.tags.get(name) ?? builtinTag(name);
      return { token: tag, aligned, missing: `${name} is not declared` };
    }
    if (!tag) this.#tokens.expect("{");
    const aligned = body(attributes, name);
    if (tag) this.#addDeclaration(this.#scope.tags, tag, name, aligned);
    return { token, aligned, anonymous: !tag && keyword !== "enum" };
  }

  #parseRecord(token: CToken, keyword: RecordType["kind"]): Base {
    return this.#parseTagged(token, keyword, (attributes, name) => {
      if (++this.#depth > MAX_DEPTH)
        throw this.#tokens.errorAt(token, `must be nested at most ${MAX_DEPTH} deep`);
      const fields = this.#parseFields();
      this.#depth--;
      const merged = this.#parseAttributes(attributes);
      const laidOut = this.#tokens.locateErrors(token, () => layOutRecord(keyword, fields, merged));
      return name === LOCK ? { ...laidOut, type: markAsLock(laidOut.type) } : laidOut;
    });
  }

  #parseEnum(token: CToken): Base {
    return this.#parseTagged(token, "enum", (attributes) => {
      const build = parseEnumBody(this.#tokens, this.#scope.constants);
      const { packed = false } = this.#parseAttributes(attributes);
      return this.#tokens.locateErrors(token, () => build(packed));
    });
  }

  #parseFields(): LaidOutField[] {
    const fields: LaidOutField[] = [];
    const check = new MemberCheck();
    const addField = (token: CToken, field: LaidOutField) => {
      const isPadding = field.name === "" && field.width !== undefined;
      if (!isPadding)
        this.#tokens.locateErrors(token, () => check.addMember(field.name, field.type));
      fields.push(field);
    };
    while (!this.#tokens.accept("}")) {
      const base = this.#parseSpecifiers();
      const token = this.#tokens.next;
      if (base.anonymous && this.#tokens.accept(";")) {
        addField(token, { ...requireComplete(this.#tokens, base), name: "", attributes: {} });
        continue;
      }
      do addField(this.#tokens.next, this.#parseField(base));
      while (this.#tokens.accept(","));
      this.#tokens.expect(";");
    }
    return fields;
  }

  #parseField(base: Base): LaidOutField {
    const { name, type, align } = parseDeclarator(this.#tokens, this.#scope.constants, base);
    const token = this.#tokens.next;
    if (!this.#tokens.accept(":")) {
      if (name === "") throw this.#tokens.unexpectedToken("a member's name");
      return { name, type, align, attributes: this.#parseAttributes() };
    }
    const width = parseCount(this.#tokens, this.#scope.constants, [name === "" ? 0 : 1, 64]);
    const error = findWidthError(type, width);
    if (error) throw this.#tokens.errorAt(token, error);
    return { name, type, align, width, attributes: {} };
  }

  #parseAttributes(found: FieldAttributes = {}): FieldAttributes {
    return parseAttributes(this.#tokens, this.#scope.constants, found);
  }
}

/** Adds what the text declares to the scope. @throws SchemaError with line and column. */
export function declareC(text: string, scope: Scope): void {
  new Parser(text, scope).declarations();
}

/** Returns the type of the text, or the last type declared. @throws SchemaError with the position. */
export function parseC(text: string, scope?: Scope): Type {
  return new Parser(text, new Scope(scope)).lastType();
}
