import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RequestHandler } from "express";
import type { Handler } from "../handler.ts";

/** The page of the contract: Swagger UI, and what `api/page` adds to it. */

const require = createRequire(import.meta.url);

/** Reads a file at the first request and then keeps it. */
function kept(path: () => string) {
  let content: Buffer | undefined;
  return () => {
    content ??= readFileSync(path());
    return content;
  };
}

const packaged = (file: string) => kept(() => require.resolve(`swagger-ui-dist/${file}`));
const own = (file: string) => kept(() => join(import.meta.dirname, "../page", file));

const html = own("index.html");

const docsGet: Handler = async ({ keys }) => ({
  status: 200,
  bytes: Buffer.from(
    html()
      .toString()
      .replace("HAS_KEYS", String(keys !== undefined)),
  ),
  type: "text/html; charset=utf-8",
});

const [css, javascript] = ["text/css; charset=utf-8", "text/javascript; charset=utf-8"];

const ASSETS = new Map([
  ["/docs/swagger-ui.css", { type: css, read: packaged("swagger-ui.css") }],
  ["/docs/swagger-ui-bundle.js", { type: javascript, read: packaged("swagger-ui-bundle.js") }],
  ["/docs/favicon.png", { type: "image/png", read: packaged("favicon-32x32.png") }],
  ["/docs/page.css", { type: css, read: own("page.css") }],
  ["/docs/start.js", { type: javascript, read: own("start.js") }],
]);

/** Serves what the page loads, and redirects / to the page. */
export const assets: RequestHandler = (req, res, next) => {
  if (req.method === "GET" && req.path === "/") return res.redirect("/docs");
  const asset = ASSETS.get(req.path);
  if (req.method !== "GET" || !asset) return next();
  const content = asset.read();
  const headers = { "content-type": asset.type, "content-length": content.length };
  res.writeHead(200, { ...headers, "cache-control": "max-age=3600" });
  res.end(content);
};

export const page = { docsGet };
