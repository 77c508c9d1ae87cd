import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorsMarkdown } from "../api/errors/pages/error_markdown.ts";
import { ERROR_PAGES } from "../api/errors/pages/error_page.ts";

/** Writes docs/errors/README.md from the contract. */

const folder = join(import.meta.dirname, "../docs/errors");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "README.md"), errorsMarkdown(ERROR_PAGES));
