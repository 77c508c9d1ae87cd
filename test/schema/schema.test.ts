import { describe, expect, it } from "vitest";
import { Errno } from "../../domain/errno.ts";
import { decode } from "../../domain/schema/decode.ts";
import { encode } from "../../domain/schema/encode.ts";
import { compileSchema, parseSchema, type SchemaAttr } from "../../domain/schema/schema.ts";

/** A map's schema, from the request's field to its stored form and back. */

const DECLARATIONS = `
struct flow { __be32 saddr, daddr; __be16 ports[2]; };
typedef struct { u64 packets, bytes; } stats_t;
`;
/**
 * struct stats { unsigned int packets; unsigned int bytes; } x; typedef struct stats stats_t; stats_t y;
 * by gcc -g -c stats.c && pahole -J stats.o (1.24): its .BTF. stats is type 1, unsigned int type 2.
 */
const BTF =
  "n+sBABgAAAAAAAAAQAAAAEAAAAAqAAAAAQAAAAIAAAQIAAAABwAAAAIAAAAAAAAADwAAAAIAAAAgAAAAFQAAAAAAAAEE" +
  "AAAAIAAAACIAAAAAAAAIAQAAAABzdGF0cwBwYWNrZXRzAGJ5dGVzAHVuc2lnbmVkIGludABzdGF0c190AA==";

const schema = (given: SchemaAttr, key_size: number, value_size: number) =>
  parseSchema(compileSchema(given, key_size, value_size).stored);

function refusal(given: SchemaAttr, key_size = 4, value_size = 8): Errno {
  try {
    compileSchema(given, key_size, value_size);
  } catch (error) {
    if (error instanceof Errno) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("compileSchema", () => {
  it("compileSchema keeps both types and converts JSON", () => {
    const { key, value } = schema(
      { key: "__be32", value: "struct { u64 packets; u64 bytes; }" },
      4,
      16,
    );
    if (!key || !value) throw new Error("a type is missing");
    const bytes = encode(value, { packets: 10, bytes: 1500 }, "value");
    expect(bytes.toString("hex")).toBe("0a00000000000000dc05000000000000");
    expect(decode(value, bytes)).toEqual({ packets: 10, bytes: 1500 });
    expect(decode(key, Buffer.from("0a000001", "hex"))).toBe(0x0a000001);
  });

  it("compileSchema stores the same text for the same types, however written", () => {
    const text = '{"value":{"kind":"int","size":4,"signed":false}}';
    expect(compileSchema({ value: "u32" }, 4, 4).stored).toBe(text);
    expect(compileSchema({ value: " typedef unsigned t; t /* n */" }, 4, 4).stored).toBe(text);
    expect(compileSchema({ value: "unsigned int", btf: BTF }, 4, 4).stored).toBe(text);
    expect(compileSchema({ btf: BTF, btf_value_type_id: 2, btf_key_type_id: 0 }, 4, 4).stored).toBe(
      text,
    );
  });

  it("compileSchema finds a name in the declarations", () => {
    const given = { declarations: DECLARATIONS, key: "struct flow", value: "stats_t[2]" };
    const { key, value } = schema(given, 12, 32);
    expect([key?.size, value?.size]).toEqual([12, 32]);
  });

  it("compileSchema finds a name or an id in the BTF, and C's built-in names", () => {
    const stats = schema({ value: "struct { u32 packets, bytes; }" }, 4, 8).value;
    expect(schema({ btf: BTF, value: "struct stats" }, 4, 8).value).toEqual(stats);
    expect(schema({ btf: BTF, value: " stats_t\n" }, 4, 8).value).toEqual(stats);
    expect(schema({ btf: BTF, btf_value_type_id: 3 }, 4, 8).value).toEqual(stats);
    expect(schema({ btf: BTF, key: "u32", value: "stats_t" }, 4, 8).key?.size).toBe(4);
  });

  it("compileSchema describes the key alone or the value alone", () => {
    expect(schema({ key: "u32" }, 4, 8).value).toBeUndefined();
    expect(schema({ value: "u64" }, 0, 8).key).toBeUndefined();
  });

  it.each<[string, SchemaAttr, string, string]>([
    [
      "a key of another size",
      { key: "u64" },
      "key",
      "the type must have the 4 bytes of key_size, got 8 bytes",
    ],
    [
      "a value of another size",
      { value: "u32" },
      "value",
      "the type must have the 8 bytes of value_size, got 4 bytes",
    ],
    ["an id of another size", { btf: BTF, btf_value_type_id: 2 }, "btf_value_type_id", "4 bytes"],
    ["C with an error", { value: "struct {\n u32 a }" }, "value", 'line 2, column 8: expected ";"'],
    [
      "bad declarations",
      { declarations: "u33 a;", key: "u32" },
      "declarations",
      "line 1, column 1",
    ],
    ["a name of nothing", { value: "struct flow" }, "value", "struct flow is not declared"],
    ["a name not in the BTF", { btf: BTF, value: "struct flow" }, "value", "is not declared"],
    ["no base64", { btf: "n+s*", value: "u64" }, "btf", "must be canonical base64"],
    ["no BTF", { btf: "AAAA", value: "u64" }, "btf", "BTF: must have at least 24 bytes, got 3"],
    [
      "a type id that is none",
      { btf: BTF, btf_key_type_id: 9 },
      "btf_key_type_id",
      "the id of a type must be from 1 to",
    ],
    [
      "an id without BTF",
      { btf_key_type_id: 1 },
      "btf_key_type_id",
      "needs `btf`, which is missing",
    ],
    [
      "an id beside a text",
      { btf: BTF, key: "u32", btf_key_type_id: 2 },
      "btf_key_type_id",
      "together with key",
    ],
    ["nothing", {}, "", "must describe the key, the value or both"],
    ["declarations alone", { declarations: DECLARATIONS }, "", "must describe the key"],
    [
      "ids of 0",
      { btf: BTF, btf_key_type_id: 0, btf_value_type_id: 0 },
      "",
      "must describe the key",
    ],
  ])("compileSchema rejects %s with EINVAL at its field", (_, given, field, message) => {
    const { code, message: detail, field: path } = refusal(given);
    expect([code, path]).toEqual(["EINVAL", field === "" ? "schema" : ["schema", field]]);
    expect(detail).toContain(message);
  });

  it("a schema of more than 64 KiB is E2BIG", () => {
    const members = (n: number) => Array.from({ length: n }, (_, i) => `u64 m${i};`).join("");
    const { code, field } = refusal({ value: `struct { ${members(1000)} }` }, 4, 8000);
    expect([code, field]).toEqual(["E2BIG", "schema"]);
    expect(schema({ value: `struct { ${members(500)} }` }, 4, 4000).value?.size).toBe(4000);
  });
});
