// @ts-check
/**
 * `npm run fuzz [-- --files N] [--seconds N] [--seed N] [--kind WORD]`: reads mutated files of every format (20,000 by
 * default) in processes with time and memory limits. A hang, a crash, and an error without the file's name are failures.
 * Each failure is printed with the seed that reproduces its file (`--seed N --files 1 --kind KIND`), and kept in
 * out/fuzz/failures.
 */
import process from "node:process";
import { bundle } from "../test/bundle.mjs";
import { main, run } from "./project.mjs";
import { setup } from "./setup.mjs";

await main(async () => {
  await setup();
  const program = await bundle("test/fuzz/main.ts", "out/fuzz/main.mjs");
  return run(process.execPath, ["--enable-source-maps", program, ...process.argv.slice(2)]);
});
