import { beforeEach, expect } from "vitest";
import { titleFault } from "./titles.ts";

/** Checks before each test that its title is readable without the title of its describe(). */
beforeEach(({ task }) => {
  expect(titleFault(task.name), `the title "${task.name.slice(0, 200)}"`).toBeUndefined();
});
