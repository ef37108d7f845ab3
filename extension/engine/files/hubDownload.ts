// A program of its own: fetches the model that its argument names, and prints its folder or what is wrong as JSON. The process that
// loads a model waits for it, as `fromPretrained` answers a model and not a promise.
import process from "node:process";
import { downloadModel } from "./hub.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { hubOf } from "./hubCache.ts";

/** Milliseconds between two lines. */
const INTERVAL = 1000;

const name = process.argv[2] ?? "";
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
let told = 0;

try {
  const folder = await downloadModel(hubOf(process.env), name, {
    progress(file, bytes, total) {
      if (bytes < total && performance.now() - told < INTERVAL) return;
      told = performance.now();
      process.stderr.write(
        `${plainLine(`Fetching ${name}: ${file}`)} ${Math.floor((100 * bytes) / total)} % (${megabytes(bytes)} of ${megabytes(total)} MB)\n`,
      );
    },
  });
  process.stdout.write(JSON.stringify({ folder }));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
}
