import { serveRequests } from "./serve_requests.ts";

/** A background thread: it imports the module of a request and answers with its handleRequest(). */

export interface BackgroundRequest {
  /** URL of the module. */
  url: string;
  message: unknown;
}

interface BackgroundModule {
  handleRequest(message: unknown): unknown;
}

async function answer({ url, message }: BackgroundRequest): Promise<unknown> {
  const { handleRequest } = (await import(url)) as BackgroundModule;
  return handleRequest(message);
}

serveRequests(import.meta.url, () => answer);
