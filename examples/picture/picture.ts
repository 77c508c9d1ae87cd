import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startService } from "../own_service.ts";
import { draw } from "./draw.ts";
import { playStory } from "./story.ts";

/** `npm run picture`: plays the README's session on a service of its own and draws docs/picture.svg. */

const FILE = join(import.meta.dirname, "../../docs/picture.svg");

const service = await startService();
try {
  writeFileSync(FILE, draw(await playStory(service.url, "picture")));
  process.stdout.write(`${FILE}\n`);
} finally {
  await service.stop();
}
