import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { patience } from "./test/patience.ts";

const root = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What all projects share; `npx vitest run --project unit` runs one of them. */
const shared = {
  root: root("."),
  setupFiles: ["test/setup.ts"],
  environment: "node",
  pool: "forks",
} as const;

const unit = {
  ...shared,
  setupFiles: [...shared.setupFiles, "test/unit/noExecutor.ts"],
  // For what hangs: on a busy machine, the longest test takes ten seconds.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // By default one processor is left to the main process, which mostly waits.
  maxWorkers: "100%",
} as const;
/**
 * Unit tests share the modules of their process, since loading the library for each file takes longer than most tests.
 * Those that replace modules have processes of their own: a replacement would stay for the tests after it.
 */
const MOCKING = fs
  .readdirSync(root("test/unit"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => `test/unit/${name}`)
  .filter((file) => fs.readFileSync(root(file), "utf8").includes("vi.mock("));

/** Test files at a time that start processes of their own. */
const PROCESSES = 2;

export default defineConfig({
  resolve: { alias: { layerwise: root("extension/nn/index.ts") } },
  test: {
    tags: [
      {
        name: "slow",
        description: "What takes long while a quicker test covers the heart of it: left out by `npm test`.",
      },
    ],
    // Tiers are processes of their own, which transform the same modules.
    experimental: { fsModuleCache: true, fsModuleCachePath: root("out/test/modules") },
    projects: [
      {
        extends: true,
        test: {
          ...unit,
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          exclude: MOCKING,
          isolate: false,
        },
      },
      { extends: true, test: { ...unit, name: "unit-mocking", include: MOCKING } },
      {
        extends: true,
        test: {
          ...shared,
          name: "engine",
          include: ["test/engine/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: PROCESSES,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "install",
          include: ["test/install/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          // They pack into the same folders.
          maxWorkers: 1,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "windows",
          include: ["test/windows/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "arm64",
          include: ["test/arm64/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "gpu",
          include: ["test/gpu/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 1_800_000,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: PROCESSES,
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: "attacks",
          include: ["test/attacks/**/*.test.ts"],
          testTimeout: patience(20_000),
          hookTimeout: 120_000,
          maxWorkers: PROCESSES,
        },
      },
    ],
  },
});
