import { expect } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import { browserTest } from "../support/browser.ts";
import { testService } from "../support/service.ts";

/** The page of the contract, used in a browser. */

const service = await testService();

browserTest("/docs shows every operation and the browser reports no error", async (browser) => {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`${service.base}/docs`);
  await page.locator(".opblock").first().waitFor();
  expect(errors).toEqual([]);
  expect(await page.locator(".opblock").count()).toBe(routes.length);
});
