import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { RequestHandler } from "express";
import { type Handler, ok } from "../handler.ts";
import { TEXT } from "../openapi/openapi.ts";

/** The service itself: liveness, readiness and the document. */

const livez: Handler = async () => ok({ status: "ok" });

const readyz: Handler = async (context) => {
  await context.ready();
  return ok({ status: "ok" });
};

const openapi: Handler = async () => ({
  status: 200,
  bytes: Buffer.from(TEXT),
  type: "application/yaml",
});

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>bpf(2) objects over HTTP</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
`;

const START = `SwaggerUIBundle({ url: "/openapi.yaml", dom_id: "#page", deepLinking: true });\n`;

const docs: Handler = async () => ({
  status: 200,
  bytes: Buffer.from(PAGE),
  type: "text/html; charset=utf-8",
});

/** Serves what the page loads, read at the first request and then kept, and redirects / to the page. */
export const assets: RequestHandler = (req, res, next) => {
  if (req.method === "GET" && req.path === "/") return res.redirect("/docs");
  const asset = ASSETS.get(req.path);
  if (req.method !== "GET" || !asset) return next();
  res.writeHead(200, { "content-type": asset.type, "cache-control": "max-age=3600" });
  res.end(asset.read());
};

const require = createRequire(import.meta.url);

function packaged(file: string) {
  let content: Buffer | undefined;
  return () => {
    content ??= readFileSync(require.resolve(`swagger-ui-dist/${file}`));
    return content;
  };
}

const ASSETS = new Map([
  ["/docs/swagger-ui.css", { type: "text/css", read: packaged("swagger-ui.css") }],
  [
    "/docs/swagger-ui-bundle.js",
    { type: "text/javascript", read: packaged("swagger-ui-bundle.js") },
  ],
  ["/docs/favicon.png", { type: "image/png", read: packaged("favicon-32x32.png") }],
  ["/docs/start.js", { type: "text/javascript", read: () => Buffer.from(START) }],
]);

export const service = { livez, readyz, openapi, docs };
