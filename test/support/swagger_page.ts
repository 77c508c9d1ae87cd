import type { Browser, Locator, Page } from "playwright-core";
import { type Operation, routes } from "../../api/openapi/openapi.ts";

/** Uses the page of the contract as a person does: with its buttons and fields. */

export interface PageAnswer {
  status: number;
  text: string;
}

const operations = routes.map(({ operation }) => operation as Operation & { tags: string[] });
export const TAGS = [...new Set(operations.flatMap(({ tags }) => tags))];

function tagOf(operationId: string): string {
  const operation = operations.find((one) => one.operationId === operationId);
  return operation?.tags[0] ?? "";
}

export class SwaggerPage {
  readonly page: Page;
  #tag: string | undefined;
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
    const context = await browser.newContext({ reducedMotion: "reduce" });
    // The page computes for seconds on a busy machine before it takes a click.
    context.setDefaultTimeout(120_000);
    const opened = new SwaggerPage(await context.newPage());
    await opened.page.goto(`${base}/docs`);
    await opened.page.locator(".opblock-tag").first().waitFor();
    return opened;
  }

  operation(operationId: string): Locator {
    return this.page.locator(`.opblock[id$="-${operationId}"]`);
  }

  /** Opens the section with the operations of a tag, and closes the one that was open. */
  async openTag(tag: string): Promise<void> {
    if (this.#tag === tag) return;
    const header = (name: string) => this.page.locator(`.opblock-tag[data-tag="${name}"]`);
    if (this.#tag !== undefined) await header(this.#tag).click();
    await header(tag).click();
    this.#tag = tag;
  }

  async openDialog(): Promise<Locator> {
    await this.page.locator(".scheme-container .authorize").click();
    const dialog = this.page.locator(".modal-ux");
    await dialog.waitFor();
    return dialog;
  }

  /** Gives the credentials of a security scheme, by its name in the dialog. */
  async authorize(scheme: string, secret: string): Promise<void> {
    const dialog = await this.openDialog();
    const name = this.page.locator("code").filter({ hasText: new RegExp(`^${scheme}$`) });
    const form = dialog.locator(".auth-container").filter({ has: name });
    await form.locator("input").fill(secret);
    await form.getByRole("button", { name: "Authorize" }).click();
    await dialog.locator(".close-modal").click();
  }

  /** Opens an operation and makes its fields editable. */
  async tryOut(operationId: string): Promise<Locator> {
    await this.openTag(tagOf(operationId));
    const operation = this.operation(operationId);
    await operation.locator(".opblock-summary-control").click();
    // An operation that was open before still has its fields.
    const isEditable = (await operation.locator(".try-out__btn.cancel").count()) > 0;
    if (!isEditable) await operation.locator(".try-out__btn").click();
    return operation;
  }

  /** Chooses an example of the body, or a file where the body is octets. */
  async chooseBody(operation: Locator, example?: string, file?: Buffer): Promise<void> {
    const body = operation.locator(".opblock-section-request-body");
    if (example) await body.locator(".examples-select select").first().selectOption(example);
    const buffer = file && { name: "file", mimeType: "application/octet-stream", buffer: file };
    if (buffer) await body.locator("input[type=file]").setInputFiles(buffer);
  }

  /** Executes an operation that answers with a stream, which the page shows when it has ended. */
  async executeStream(operation: Locator): Promise<number> {
    const answered = this.page.waitForResponse((response) => response.request().method() === "GET");
    await operation.locator(".execute").click();
    return (await answered).status();
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
