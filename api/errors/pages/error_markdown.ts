import type { ErrorCause, ErrorPage } from "./error_page.ts";

/** The pages of all problem types as one Markdown document. */

const HEAD = `# Errors

The \`type\` of a problem is the path of its page at the service, \`/docs/errors/NAME\`; relative to the request, as
RFC 9457 allows, because the service knows no public name. This document has the same pages. \`npm run errors\` writes
it from \`openapi.yaml\` and \`api/errors/pages\`.
`;

const MAX_LINE = 120;

/** Breaks a paragraph into lines. */
function fill(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + word.length + 1 > MAX_LINE) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

const cell = (text: string) => text.replaceAll("|", "\\|");

function table(operations: readonly ErrorCause[]): string {
  if (operations.length === 0) return "";
  const rows = operations.map(
    ({ operationId, request, when }) => `| \`${operationId}\` | \`${request}\` | ${cell(when)} |`,
  );
  return `\n| operation | request | when |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function section(page: ErrorPage): string {
  const { name, title, status, number, meaning, remedy, operations } = page;
  const facts = `${title}. Status ${status}${number === undefined ? "" : `, errno ${number}`}.`;
  return `## ${name}\n\n${fill(`${facts} ${meaning} ${remedy}`)}\n${table(operations)}`;
}

export function errorsMarkdown(pages: readonly ErrorPage[]): string {
  return [HEAD, ...pages.map(section)].join("\n");
}
