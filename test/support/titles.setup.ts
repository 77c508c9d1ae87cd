import { beforeEach, expect } from "vitest";
import { titleFault } from "./titles.ts";

/** Runs before each test of the suite: its title must be readable without that of its describe(). */
beforeEach(({ task }) => {
  expect(titleFault(task.name), `the title "${task.name.slice(0, 200)}"`).toBeUndefined();
});
