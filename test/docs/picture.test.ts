import { describe, expect, it } from "vitest";
import { draw } from "../../examples/picture/draw.ts";
import { playStory } from "../../examples/picture/story.ts";
import { readText } from "../support/documents.ts";
import { testService } from "../support/service.ts";

/** The picture in the README is drawn from a run of its story. */

const service = await testService();
const COMMITTED = readText("docs/picture.svg");

describe("docs/picture.svg", () => {
  it("the committed picture is the one that a run of its story draws (npm run picture)", async () => {
    expect(draw(await playStory(service.base, service.namespace()))).toBe(COMMITTED);
  });

  it("the committed picture has a title, a description, and colors for dark mode", () => {
    expect(COMMITTED).toMatch(/<svg [^>]*role="img" aria-labelledby="title description">/);
    expect(COMMITTED).toMatch(/<title id="title">\w[^<]*<\/title>\n<desc id="description">\w/);
    expect(COMMITTED).toContain("@media(prefers-color-scheme:dark)");
  });
});

it("the story's moments are those of the README: three, and the last one is empty", async () => {
  const moments = await playStory(service.base, service.namespace());
  const counts = moments.map(({ maps: [jmp] }) => [jmp?.refcnt, jmp?.usercnt, jmp?.slots]);
  expect(counts).toEqual([
    [3, 2, [2, undefined]],
    [3, 2, [2, undefined]],
    [1, 0, [undefined, undefined]],
  ]);
});
