import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

/** Examines a page with axe-core, as WCAG's testers do. */

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string; target: string[] }[] }[];
}

const SERIOUS = ["serious", "critical"];

/** @returns the serious and critical findings below `selector`, one line each */
export async function seriousFindings(page: Page, selector = "html"): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>(
    `axe.run(${JSON.stringify(selector)}, { resultTypes: ["violations"] })`,
  );
  return violations
    .filter(({ impact }) => SERIOUS.includes(impact))
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, html }) => `${id}: ${target.join(" ")}: ${html.slice(0, 200)}`),
    );
}
