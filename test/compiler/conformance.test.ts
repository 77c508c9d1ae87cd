import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Conformance, type Vector } from "../support/interpreter/conformance.ts";

/** The vectors are third-party files, so they are not in the repository. */
const FILE = join(import.meta.dirname, "../../../shared/conformance/bpf_conformance.json");

if (existsSync(FILE)) {
  it("all vectors of bpf_conformance but callx pass, compiled and interpreted", () => {
    const vectors = JSON.parse(readFileSync(FILE, "utf8")) as Vector[];
    const { passed, refused, failed } = new Conformance().run(vectors);
    expect(failed).toEqual([]);
    expect(refused).toEqual(["callx"]);
    expect(passed.length).toBe(vectors.length - 1);
  });
} else
  it.skip("vectors of bpf_conformance: ../shared/conformance/bpf_conformance.json is not here");
