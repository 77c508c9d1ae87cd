import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fdBytes, parseBytes } from "../../api/codec/bytes.ts";
import { parsePath } from "../../api/codec/paths.ts";
import { Errno } from "../../domain/errno.ts";

/** Literals of keys and values give exact bytes or EINVAL with the place; so do paths. */

const hex = (text: string) => parseBytes(text, "value").toString("hex");

function refusal(run: () => unknown): Errno {
  try {
    run();
  } catch (error) {
    if (error instanceof Errno) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("bytes", () => {
  it.each([
    ["", ""],
    ["00ff", "00ff"],
    ["DEADbeef", "deadbeef"],
    ["hex:0a0B", "0a0b"],
    ["u8:0", "00"],
    ["u8:255", "ff"],
    ["i8:-128", "80"],
    ["u16:513", "0102"],
    ["be16:443", "01bb"],
    ["u32:1", "01000000"],
    ["i32:-1", "ffffffff"],
    ["be32:1", "00000001"],
    ["u32:0xFF", "ff000000"],
    ["u64:18446744073709551615", "ffffffffffffffff"],
    ["i64:-9223372036854775808", "0000000000000080"],
    ["u64:9007199254740993", "0100000000002000"],
    ["be64:1", "0000000000000001"],
    ["ip4:10.1.2.0", "0a010200"],
    ["ip6:::", "00".repeat(16)],
    ["ip6:::1", `${"00".repeat(15)}01`],
    ["ip6:2001:db8::ff00:42:8329", "20010db8000000000000ff0000428329"],
    ["ip6:1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["ip6:::ffff:192.0.2.1", `${"00".repeat(10)}ffffc0000201`],
    ["ip6:64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221"],
    ["ip6:1::", `0001${"00".repeat(14)}`],
    ["mac:01:23:45:67:89:aB", "0123456789ab"],
    ["str:", ""],
    ["str:text", "74657874"],
    ["str:é+b", "c3a92b62"],
    ["b64:AQAAAA==", "01000000"],
    ["b64:+/+/", "fbffbf"],
    ["u32:24+ip4:10.1.2.0", "180000000a010200"],
    ["00+u8:1+ff", undefined],
    ["b64:+/+/+u8:1", "fbffbf01"],
    ["str:a+u8:1", "6101"],
    ["str:+str:", ""],
  ])("the text %j gives its bytes", (text, bytes) => {
    if (bytes === undefined) expect(refusal(() => hex(text)).code).toBe("EINVAL");
    else expect(hex(text)).toBe(bytes);
  });

  const WIDTHS = [8, 16, 32, 64] as const;
  const KINDS = WIDTHS.flatMap((bits) => [
    { kind: `u${bits}`, bits, signed: false, big: false },
    { kind: `i${bits}`, bits, signed: true, big: false },
    ...(bits > 8 ? [{ kind: `be${bits}`, bits, signed: false, big: true }] : []),
  ]);

  /** Reads the number byte by byte, another way than the code that wrote it. */
  function read(bytes: Buffer, signed: boolean, big: boolean): bigint {
    const order = big ? [...bytes] : [...bytes].reverse();
    const value = order.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    return signed ? BigInt.asIntN(8 * bytes.length, value) : value;
  }

  it.each(KINDS)(
    "every number in the range of $kind survives a round trip",
    ({ kind, bits, signed, big }) => {
      const min = signed ? -(2n ** BigInt(bits - 1)) : 0n;
      const max = 2n ** BigInt(signed ? bits - 1 : bits) - 1n;
      const back = (n: bigint) => read(parseBytes(`${kind}:${n}`, ""), signed, big);
      for (const n of [min, min + 1n, max - 1n, max]) expect(back(n)).toBe(n);
      for (const n of [min - 1n, max + 1n, 2n ** 64n, 10n ** 30n]) {
        expect(refusal(() => back(n)).message).toContain(`must be from ${min} to ${max}`);
      }
      fc.assert(
        fc.property(fc.bigInt({ min, max }), (n) => {
          expect(back(n)).toBe(n);
          expect(parseBytes(`${kind}:${n}`, "")).toHaveLength(bits / 8);
          if (n >= 0n) expect(hex(`${kind}:0x${n.toString(16)}`)).toBe(hex(`${kind}:${n}`));
        }),
      );
    },
  );

  it("any bytes survive a round trip as hex, base64 and text, alone and joined", () => {
    const some = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(some, some, fc.string({ unit: "grapheme" }), (a, b, text) => {
        const [x, y] = [a.toString("hex"), b.toString("hex")];
        expect(hex(x)).toBe(x);
        expect(hex(`b64:${a.toString("base64")}`)).toBe(x);
        expect(hex(`hex:${x}+b64:${b.toString("base64")}+u8:7`)).toBe(`${x}${y}07`);
        if (!/\+\w+:/.test(text)) {
          expect(hex(`str:${text}`)).toBe(Buffer.from(text).toString("hex"));
        }
      }),
    );
  });

  it.each([
    ["0", 1, "hex"],
    ["0g", 1, "hex"],
    ["u32:", 1, "must be an integer"],
    ["u32: 1", 1, "must be an integer"],
    ["u32:01", 1, "must be an integer"],
    ["u32:+1", 1, "must be an integer"],
    ["u32:1.0", 1, "must be an integer"],
    ["u32:1e3", 1, "must be an integer"],
    ["u32:-0x1", 1, "must be an integer"],
    ["u8:256", 1, "must be from 0 to 255"],
    ["u8:-1", 1, "must be from 0 to 255"],
    ["u24:1", 1, "hex"],
    ["be8:1", 1, "hex"],
    ["U32:1", 1, "hex"],
    ["ip4:10.0.0", 1, "IPv4"],
    ["ip4:10.0.0.256", 1, "IPv4"],
    ["ip4:010.0.0.1", 1, "IPv4"],
    ["ip6:::1%eth0", 1, "IPv6"],
    ["ip6:1::2::3", 1, "IPv6"],
    ["mac:01:23:45:67:89", 1, "MAC"],
    ["mac:0123456789ab", 1, "MAC"],
    ["b64:AQ", 1, "base64"],
    ["b64:AR==", 1, "base64"],
    ["b64:AQ-_", 1, "base64"],
    ["hex:0", 1, "hex"],
    ["u32:1+u8:300", 7, "must be from"],
    ["u32:1+ip4:1.2.3.4+be16:x", 19, "must be an integer"],
  ])("the text %s is rejected at character %i", (text, at, why) => {
    const error = refusal(() => parseBytes(text, "key"));
    expect(error).toMatchObject({ code: "EINVAL", field: "key" });
    expect(error.message).toMatch(new RegExp(`^at character ${at},`));
    expect(error.message).toContain(why);
  });

  it("any text gives bytes or EINVAL", () => {
    const piece = fc.constantFrom(
      "u32:",
      "ip6:",
      "b64:",
      "str:",
      "+",
      "0x",
      "-",
      ":",
      "::",
      "1",
      "ff",
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(Buffer.isBuffer(parseBytes(text, "/p"))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(Errno);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("an fd is encoded as a little-endian __u32", () => {
    expect(fdBytes(3).toString("hex")).toBe("03000000");
    expect(fdBytes(2147483647).toString("hex")).toBe("ffffff7f");
  });
});

describe("paths", () => {
  it.each([
    "/",
    "",
    "//",
    "/a/../b",
    "/./a",
    "/é",
    "/a b",
    "/a+b",
    "/100%",
    "/%zz",
    "/\u{1f600}",
    "/a.b",
  ])("the path %j passes the check of the API and reaches the kernel", (path) =>
    expect(parsePath(path, "path")).toBe(path),
  );

  it.each([
    ["/a\0b", "control"],
    ["/a\nb", "control"],
    ["/a\u007f", "control"],
    ["/a\u0085", "control"],
    ["/a\u202eb", "bidi"],
    ["/\u2066a", "bidi"],
    ["/a\u2028", "control"],
    ["/%2e%2e/x", "percent"],
    ["/a%2Fb", "percent"],
    ["/%252e", "percent"],
    ["/%c0%af", "percent"],
    ["/\ufffd", "UTF-8"],
    ["/\ud800", "well-formed"],
    ["/e\u0301", "NFC"],
    ["/\u212b", "NFC"],
  ])("the path %j is rejected: %s", (path, why) => {
    const error = refusal(() => parsePath(path, "from"));
    expect(error).toMatchObject({ code: "EINVAL", field: "from" });
    expect(error.message).toContain(why);
  });

  it("an accepted path is passed on unchanged, whatever its Unicode form", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (path) => {
        let taken: string;
        try {
          taken = parsePath(path, "/p");
        } catch (error) {
          expect(error).toBeInstanceOf(Errno);
          return;
        }
        expect(taken).toBe(path);
        expect(Buffer.from(taken).toString()).toBe(path);
        expect(taken.normalize("NFC")).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });
});
