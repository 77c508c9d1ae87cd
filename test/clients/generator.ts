/** A generator of clients, as the run tries it and the table shows it. */

export interface Generator {
  name: string;
  /** Packages whose versions the table shows. */
  packages: readonly string[];
  language: string;
  /** The version of OpenAPI that it reads. */
  document: "3.1" | "3.0";
  makes: "client" | "models";
  /** The strict settings that its files compile under, and those that they do not hold. */
  settings: string;
  /** Tested in CI as well. */
  inCi: boolean;
  note: string;
  /** The command that generates a client into a folder, as a reader types it. */
  command(base: string, folder: string): readonly string[];
  generate(base: string): void;
  compile(): void;
  /** Returns what the program printed. */
  run(base: string, namespace: string): string;
}
