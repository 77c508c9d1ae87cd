import { downgrade } from "./downgrade.ts";
import { document, TEXT } from "./openapi.ts";

/**
 * The document in the forms that tools ask for. Each is made at its first request and then kept, so that the start
 * does not wait for it.
 */

export interface Edition {
  type: string;
  read(): Buffer;
}

function edition(type: string, make: () => string): Edition {
  let bytes: Buffer | undefined;
  return {
    type,
    read() {
      bytes ??= Buffer.from(make());
      return bytes;
    },
  };
}

export const YAML_31 = edition("application/yaml", () => TEXT);
export const JSON_31 = edition("application/json", () => JSON.stringify(document));
export const JSON_30 = edition("application/json", () => JSON.stringify(downgrade(document)));
