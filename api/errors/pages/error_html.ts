import type { ErrorCause, ErrorPage } from "./error_page.ts";

/** The pages of problem types as the service shows them. */

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", '"': "&quot;" };

/** Escapes a text, and sets what is in code marks as code. */
function inline(text: string): string {
  return text
    .replaceAll(/[&<"]/g, (one) => ENTITIES[one] as string)
    .replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

const STYLE =
  "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}" +
  "table{border-collapse:collapse}th,td{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}";

function htmlPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${inline(title)}</title>
<link rel="icon" href="/docs/favicon.png">
<style>${STYLE}</style>
<main>
${content}
</main>
</html>
`;
}

function row({ operationId, request, when }: ErrorCause): string {
  const cells = [`<code>${operationId}</code>`, `<code>${request}</code>`, inline(when)];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>\n`;
}

function table(operations: readonly ErrorCause[]): string {
  if (operations.length === 0) return "";
  const head = "<tr><th>operation</th><th>request</th><th>when</th></tr>\n";
  return `<h2>Operations that return it</h2>\n<table>\n${head}${operations.map(row).join("")}</table>\n`;
}

export function errorHtml(page: ErrorPage): string {
  const { name, title, status, number, meaning, remedy, operations } = page;
  const facts = `Status ${status}${number === undefined ? "" : `, errno ${number}`}`;
  const content = `<h1>${name}: ${inline(title)}</h1>
<p>${facts}.</p>
<p>${inline(meaning)}</p>
<p>${inline(remedy)}</p>
${table(operations)}<p><a href="/docs/errors">All errors</a> · <a href="/docs">The contract</a></p>`;
  return htmlPage(`${name}: ${title}`, content);
}

export function indexHtml(pages: readonly ErrorPage[]): string {
  const items = pages.map(
    ({ name, title, status }) =>
      `<li><a href="/docs/errors/${name}">${name}</a> (${status}): ${inline(title)}</li>`,
  );
  const content = `<h1>Errors</h1>\n<ul>\n${items.join("\n")}\n</ul>\n<p><a href="/docs">The contract</a></p>`;
  return htmlPage("Errors", content);
}
