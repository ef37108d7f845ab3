// The file that a run's record names may be a stranger's choice: what runs, opens or saves it gets it from sourceOfRun.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("the file of a run is taken from its record by what compares or shows it alone", () => {
  const FROM_RECORD = /\brecord\.file\b|\{[^{}]*\bfile\b[^{}]*\} = (?:await read|[\w.#]*(?:record|session))/i;
  const COMPARED_OR_SHOWN =
    /record\.file (?:===|!==) |asRelativePath\(record\.file\)|shown\(record\.file\)|folderOfRun|runTable\(|setting\(.*record\.file|await workspace\.model\(record\.file\)|versionUri|basename\(file/;
  const folders = ["editor", "mcp", "cli"].map((room) =>
    fileURLToPath(new URL(`../../../extension/${room}`, import.meta.url)),
  );
  const found = folders.flatMap((folder) =>
    fs
      .readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) =>
        fs
          .readFileSync(path.join(folder, name), "utf8")
          .split("\n")
          .filter((line) => FROM_RECORD.test(line) && !COMPARED_OR_SHOWN.test(line))
          .map((line) => `${name}: ${line.trim()}`),
      ),
  );
  expect(found.toSorted()).toEqual([
    // Chooses an open panel, names a read-only document, and answers a client.
    "panels/panels.ts: const { kind, file, exportName } = session.record;",
    "runs/runVersions.ts: const { id, file } = await readRecord(directory);",
    "tools/training.ts: const { id: run, kind, state, file, exportName, model, createdAt, epoch, epochs, step, metrics } = record;",
  ]);
});
