// See scripts/fuzz.mjs.
import process from "node:process";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "20000" },
    seconds: { type: "string", default: "3600" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    kind: { type: "string", default: "" },
  },
});
const { kind } = values;
const [files, seconds, seed] = [values.files, values.seconds, values.seed].map(Number) as [
  number,
  number,
  number,
];
process.stdout.write(`seed ${seed}\n`);
const { tallies, failures } = await fuzz({
  files,
  seconds,
  seed,
  kind,
  onFailure: ({ what, seed: own, reader, kind: how, message, milliseconds, kept }) =>
    process.stdout.write(
      `FAILED ${what}, seed ${own}, read by ${reader}: ${how} after ${milliseconds.toFixed(0)} ms: ${message.slice(0, 300)}\n    ${kept}\n`,
    ),
});
for (const [what, { files: count, read, refused, failures: failed, milliseconds }] of tallies)
  process.stdout.write(
    `${what.padEnd(24)} ${count} files: ${read} read, ${refused} refused, ${failed} failed; ${milliseconds.toFixed(0)} ms at most\n`,
  );
const total = [...tallies.values()].reduce((sum, { files: count }) => sum + count, 0);
process.stdout.write(`${total - failures.length} passed, ${failures.length} failed\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
