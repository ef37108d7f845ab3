import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What all projects share; `npx vitest run --project unit` runs one of them. */
const shared = {
  root: root("."),
  setupFiles: ["test/setup.ts"],
  environment: "node",
  pool: "forks",
} as const;

/** Test files at a time that start processes of their own. */
const PROCESSES = 2;

export default defineConfig({
  resolve: { alias: { layerwise: root("extension/nn/index.ts") } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: 10_000,
          // By default one processor is left to the main process, which mostly waits.
          maxWorkers: "100%",
        },
      },
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
          testTimeout: 20_000,
          hookTimeout: 120_000,
          maxWorkers: PROCESSES,
        },
      },
    ],
  },
});
