import type { RequestHandler } from "express";
import { errorHtml, indexHtml } from "../errors/pages/error_html.ts";
import { ERROR_PAGES } from "../errors/pages/error_page.ts";
import { typeOfProblem } from "../errors/problem.ts";

/** Serves the page of each problem type at the path that is its type. */

const INDEX = "/docs/errors";

/** Written at the first request: few processes are asked for one. */
function writePages(): Map<string, string> {
  const pages = ERROR_PAGES.map((page) => [typeOfProblem(page.name), errorHtml(page)] as const);
  return new Map([[INDEX, indexHtml(ERROR_PAGES)], ...pages]);
}

let pages: Map<string, string> | undefined;

export const errorPages: RequestHandler = (req, res, next) => {
  if (req.method !== "GET" || !req.path.startsWith(INDEX)) return next();
  pages ??= writePages();
  const html = pages.get(req.path);
  if (html === undefined) return next();
  res.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-length": Buffer.byteLength(html),
    "cache-control": "max-age=3600",
  });
  res.end(html);
};
