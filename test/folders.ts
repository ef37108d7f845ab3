// Temporary folders of tests.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";

/** When set-up runs: before each test, or once before those of a file or block. */
export type Scope = "each" | "all";

/** Registers set-up and clean-up for a scope. */
export function around(scope: Scope, before: (() => unknown) | undefined, after: () => unknown): void {
  if (before !== undefined) (scope === "each" ? beforeEach : beforeAll)(async () => void (await before()));
  (scope === "each" ? afterEach : afterAll)(async () => void (await after()));
}

/** The path of a folder that exists and is empty when a test starts (`"all"`: the first test), and is removed afterwards. */
export function useFolder(scope: Scope = "each"): string {
  const folder = path.join(fs.realpathSync(os.tmpdir()), `layerwise-test-${randomUUID()}`);
  around(
    scope,
    () => fs.mkdirSync(folder),
    () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  );
  return folder;
}
