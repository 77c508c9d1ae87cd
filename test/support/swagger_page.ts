import type { Browser, Locator, Page } from "playwright-core";

/** Uses the page of the contract as a person does: with its buttons and fields. */

export interface PageAnswer {
  status: number;
  text: string;
}

export class SwaggerPage {
  readonly page: Page;
  /** What the browser's console and scripts reported. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
  }

  /** Opens the page in a context of its own, which is another person's browser. */
  static async open(browser: Browser, base: string): Promise<SwaggerPage> {
    const context = await browser.newContext();
    const opened = new SwaggerPage(await context.newPage());
    await opened.page.goto(`${base}/docs`);
    await opened.page.locator(".opblock").first().waitFor();
    return opened;
  }

  operation(operationId: string): Locator {
    return this.page.locator(`.opblock[id$="-${operationId}"]`);
  }

  async openDialog(): Promise<Locator> {
    await this.page.locator(".scheme-container .authorize").click();
    const dialog = this.page.locator(".modal-ux");
    await dialog.waitFor();
    return dialog;
  }

  /** Replaces the credentials of a security scheme. */
  async authorize(scheme: string, secret: string): Promise<void> {
    const dialog = await this.openDialog();
    const form = dialog.locator(".auth-container").filter({ hasText: scheme });
    const logout = form.getByRole("button", { name: "Logout" });
    if (await logout.isVisible()) await logout.click();
    await form.locator("input").fill(secret);
    await form.getByRole("button", { name: "Authorize" }).click();
    await dialog.getByRole("button", { name: "Close" }).first().click();
  }

  /** Opens an operation and makes its fields editable. */
  async tryOut(operationId: string): Promise<Locator> {
    const operation = this.operation(operationId);
    await operation.locator(".opblock-summary-control").click();
    await operation.locator(".try-out__btn").click();
    return operation;
  }

  /** Executes an operation that is open, and reads the answer that the page shows. */
  async execute(operation: Locator): Promise<PageAnswer> {
    await operation.locator(".execute").click();
    const answer = operation.locator(".live-responses-table tr.response").first();
    await answer.waitFor();
    const status = Number.parseInt(await answer.locator(".response-col_status").innerText(), 10);
    const text = await answer.locator(".response-col_description").innerText();
    return { status, text };
  }

  async close(operation: Locator): Promise<void> {
    await operation.locator(".opblock-summary-control").click();
  }
}
