import { expect } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import { seriousFindings } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import { testService } from "../support/service.ts";
import { SwaggerPage, TAGS } from "../support/swagger_page.ts";

/** The page of the contract, used in a browser. */

const service = await testService();

browserTest("/docs shows every operation and the browser reports no error", async (browser) => {
  const docs = await SwaggerPage.open(browser, service.base);
  let shown = 0;
  for (const tag of TAGS) {
    await docs.openTag(tag);
    await docs.page.locator(".opblock").first().waitFor();
    shown += await docs.page.locator(".opblock").count();
  }
  expect(shown).toBe(routes.length);
  expect(docs.errors).toEqual([]);
});

browserTest("/docs has no serious finding of axe, with an operation executed", async (browser) => {
  const docs = await SwaggerPage.open(browser, service.base);
  expect(await seriousFindings(docs.page)).toEqual([]);
  await docs.openDialog();
  expect(await seriousFindings(docs.page, ".modal-ux")).toEqual([]);
  await docs.page.locator(".close-modal").click();
  for (const id of ["sessionCreate", "livenessGet"]) {
    const operation = await docs.tryOut(id);
    expect((await docs.execute(operation)).status).toBeLessThan(300);
    expect(await seriousFindings(docs.page, `.opblock[id$="-${id}"]`)).toEqual([]);
  }
});

browserTest("the pages about errors have no serious finding of axe", async (browser) => {
  const page = await browser.newPage();
  for (const path of ["/docs/errors", "/docs/errors/EINVAL", "/docs/errors/session-ended"]) {
    const answer = await page.goto(service.base + path);
    expect([path, answer?.status()]).toEqual([path, 200]);
    expect(await seriousFindings(page)).toEqual([]);
  }
});
