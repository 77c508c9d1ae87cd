import { expect } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import { seriousFindings } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import { testService } from "../support/service.ts";
import { SwaggerPage } from "../support/swagger_page.ts";

/** The page of the contract, used in a browser. */

const service = await testService();

browserTest("/docs shows every operation and the browser reports no error", async (browser) => {
  const { page, errors } = await SwaggerPage.open(browser, service.base);
  expect(await page.locator(".opblock").count()).toBe(routes.length);
  expect(errors).toEqual([]);
});

browserTest("/docs has no serious finding of axe, with an operation executed", async (browser) => {
  const docs = await SwaggerPage.open(browser, service.base);
  expect(await seriousFindings(docs.page)).toEqual([]);
  await docs.openDialog();
  expect(await seriousFindings(docs.page, ".modal-ux")).toEqual([]);
  await docs.page.locator(".close-modal").click();
  for (const id of ["sessionCreate", "livez"]) {
    const operation = await docs.tryOut(id);
    expect((await docs.execute(operation)).status).toBeLessThan(300);
    expect(await seriousFindings(docs.page, `.opblock[id$="-${id}"]`)).toEqual([]);
  }
});
