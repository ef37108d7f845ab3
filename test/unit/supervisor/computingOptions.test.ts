import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { computingOptions } from "../../../extension/supervisor/engines/process.ts";

test.each([
  { cores: 1, threads: 1 },
  { cores: 2, threads: 1 },
  { cores: 4, threads: 3 },
  { cores: 64, threads: 4 },
])("V8 has $threads threads on $cores cores, and Node knows the options", ({ cores, threads }) => {
  const options = computingOptions(cores);
  expect(options).toContain(`--v8-pool-size=${threads}`);
  const given = execFileSync(process.execPath, [...options, "-p", "process.execArgv.join()"], {
    encoding: "utf8",
  });
  expect(given).toContain(options.join());
});
