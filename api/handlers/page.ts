import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RequestHandler } from "express";
import type { Handler } from "../handler.ts";
import { KeptContent } from "../kept_content.ts";
import { respondIfNew } from "../respond.ts";

/** The page of the contract: Swagger UI, and what `api/page` adds to it. */

const require = createRequire(import.meta.url);

const packaged = (file: string) => () => readFileSync(require.resolve(`swagger-ui-dist/${file}`));
const own = (file: string) => () => readFileSync(join(import.meta.dirname, "../page", file));

const [html, css, javascript] = ["html", "css", "javascript"].map(
  (name) => `text/${name}; charset=utf-8`,
) as [string, string, string];

const pageFor = (hasKeys: boolean) =>
  new KeptContent(html, () => {
    const text = own("index.html")().toString();
    return Buffer.from(text.replace("HAS_KEYS", String(hasKeys)));
  });

const [withKeys, withoutKeys] = [pageFor(true), pageFor(false)];

const docsGet: Handler = async ({ keys }, { headers }) =>
  (keys === undefined ? withoutKeys : withKeys).respond(headers);

const asset = (type: string, read: () => Buffer) => new KeptContent(type, read, "max-age=3600");

const ASSETS = new Map([
  ["/docs/swagger-ui.css", asset(css, packaged("swagger-ui.css"))],
  ["/docs/swagger-ui-bundle.js", asset(javascript, packaged("swagger-ui-bundle.js"))],
  ["/docs/favicon.png", asset("image/png", packaged("favicon-32x32.png"))],
  ["/docs/page.css", asset(css, own("page.css"))],
  ["/docs/start.js", asset(javascript, own("start.js"))],
]);

/** Serves what the page loads, and redirects / to the page. */
export const assets: RequestHandler = async (req, res, next) => {
  if (req.method === "GET" && req.path === "/") return res.redirect("/docs");
  const found = ASSETS.get(req.path);
  if (req.method !== "GET" || !found) return next();
  respondIfNew(req, res, await found.respond(req.headers));
};

export const page = { docsGet };
