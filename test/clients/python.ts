import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Generator } from "./generator.ts";
import { newNode, run, SHOP } from "./workshop.ts";

/** What the generators for Python share, and the programs of Debian that they need. */

const PYTHON = "/usr/bin/python3";

/** @throws if a package is missing and cannot be installed */
function needPackages(packages: readonly string[]): void {
  const { status } = spawnSync("dpkg", ["-s", ...packages], { stdio: "ignore" });
  if (status === 0) return;
  const apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "install", "-y"];
  run([...apt, "--no-install-recommends", ...packages], { DEBIAN_FRONTEND: "noninteractive" });
}

type Options = Pick<
  Generator,
  "name" | "packages" | "document" | "makes" | "settings" | "note" | "command"
> & {
  /** Packages of Debian. */
  needs: readonly string[];
  driver: string;
  /** Runs the command; the document of the service is in `document.json`. */
  start(command: readonly string[]): readonly string[];
  check(driver: string): readonly string[];
};

export function python(options: Options): Generator {
  const { needs, driver, command, start, check, ...shown } = options;
  const folder = `generated/${shown.name}`;
  const env = { PYTHONPATH: folder, MYPYPATH: folder, PYTHONDONTWRITEBYTECODE: "1" };
  return {
    ...shown,
    language: "Python",
    inCi: false,
    command,
    generate(base) {
      needPackages(needs);
      mkdirSync(join(SHOP, folder), { recursive: true });
      const script = `fetch("${base}/openapi.json").then((r) => r.text()).then((t) => process.stdout.write(t))`;
      writeFileSync(join(SHOP, "openapi.json"), run([newNode(), "-e", script]));
      run(start(command(base, folder)));
    },
    compile: () => void run(check(driver), env),
    run: (base, namespace) => run([PYTHON, driver, base, namespace], env),
  };
}

/** Settings of mypy's --strict that the functions quicktype writes do not hold. */
const UNTYPED = ["--allow-untyped-defs", "--allow-untyped-calls", "--allow-any-generics"];

export const checkWithMypy = (driver: string) => [
  ...["mypy", "--strict", ...UNTYPED, "--no-warn-return-any"],
  // There are no types of python3-dateutil in Debian.
  ...["--disable-error-code", "import", driver],
];
export const checkSyntax = (driver: string) => [PYTHON, "-W", "error", "-m", "py_compile", driver];
