import { ERRNO, type ErrnoName, isErrno } from "../../../domain/errno.ts";
import { type Operation, routes } from "../../openapi/openapi.ts";
import { PROBLEM_TITLES, type ProblemName, STATUS } from "../problem.ts";
import { STRERROR } from "../strerror.ts";
import { PROBLEM_ADVICE } from "./advice.ts";
import { ERRNO_ADVICE } from "./errno_advice.ts";

/** The page of each problem type: what it means, what to do, and which operations return it. */

export interface ErrorPage {
  /** The last segment of the type. */
  name: ErrnoName | ProblemName;
  title: string;
  status: number;
  /** The number of an errno on x86-64. */
  number?: number;
  meaning: string;
  remedy: string;
  operations: ErrorCause[];
}

export interface ErrorCause {
  operationId: string;
  request: string;
  /** When the operation returns the errno; empty for a problem that all operations share. */
  when: string;
}

/** The line "- ERRNO: when" of a description, which may go on in indented lines. */
function causeOf({ description = "" }: Operation, errno: string): string {
  const [, when = ""] = new RegExp(`^- ${errno}: (.*(?:\\n  .*)*)`, "m").exec(description) ?? [];
  return when.replaceAll(/\s*\n\s*/g, " ");
}

const MISMATCH = "the request does not match the contract.";

function errnoCauses(errno: ErrnoName): ErrorCause[] {
  return routes
    .filter(({ operation }) => operation["x-errnos"].includes(errno))
    .map(({ method, path, operation }) => {
      const { operationId } = operation;
      const when = causeOf(operation, errno);
      const request = `${method.toUpperCase()} ${path}`;
      return { operationId, request, when: when || (errno === "EINVAL" ? MISMATCH : "") };
    });
}

function errnoPage(name: ErrnoName): ErrorPage {
  const [title, status, number] = [STRERROR[name], STATUS[name], ERRNO[name]];
  return { name, title, status, number, ...ERRNO_ADVICE[name], operations: errnoCauses(name) };
}

function problemPage(name: ProblemName): ErrorPage {
  return { name, title: PROBLEM_TITLES[name], ...PROBLEM_ADVICE[name], operations: [] };
}

export const ERROR_PAGES: readonly ErrorPage[] = [
  ...Object.keys(ERRNO).filter(isErrno).map(errnoPage),
  ...(Object.keys(PROBLEM_TITLES) as ProblemName[]).map(problemPage),
];
