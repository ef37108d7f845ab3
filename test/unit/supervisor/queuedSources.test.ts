import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { startingRecord, type RunRequest } from "../../../extension/protocol/engine.ts";
import { SOURCES_FILE } from "../../../extension/protocol/run.ts";
import { dropRunDirectory, makeRunDirectory } from "../../../extension/supervisor/runs/newRun.ts";
import { keepForTurn } from "../../../extension/supervisor/runs/queuedSources.ts";
import { readSource } from "../../../extension/supervisor/runs/runHistory.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

async function requestOf(file: string): Promise<RunRequest> {
  const directory = await makeRunDirectory(folder, "net");
  return { kind: "train", file, exportName: "default", directory, device: "auto", outlive: false };
}

test("a run that waits keeps its file and what that imports, directly or not", async () => {
  const text =
    'import { width } from "../lib/width.js";\nimport "./sizes";\nimport { nn } from "layerwise";\nnew nn.Linear(width, 1);\n';
  const file = await write("nets/net.nn.ts", text);
  await write("lib/width.ts", 'export * from "./deep/index.ts";\nexport * from "../../outside.ts";\n');
  await write("lib/deep/index.ts", "export const width = require('../../nets/net.nn.ts');\n");
  await write("nets/sizes/index.ts", "export {};\n");
  const request = await requestOf(file);
  const kept = await keepForTurn(request);
  expect(kept).toEqual({ ...request, version: request.directory });
  // It began with its file, as all runs do.
  expect(startingRecord(kept)).not.toHaveProperty("keptVersion");
  await writeFile(file, "edited");
  expect(await readSource(request.directory)).toBe(text);
  const imports = JSON.parse(await readFile(join(request.directory, SOURCES_FILE), "utf8")) as object;
  expect(Object.keys(imports).sort()).toEqual(["../lib/deep/index.ts", "../lib/width.ts", "sizes/index.ts"]);
});

test("imports are those of the bundler: paths of a tsconfig, calls of import(), and nothing of comments", async () => {
  await write("tsconfig.json", '{ "compilerOptions": { "paths": { "@lib/*": ["./lib/*"] } } }');
  await write("lib/width.ts", "export const width = 3;\n");
  await write("lib/late.ts", "export {};\n");
  await write("lib/table.json", "[1]\n");
  await write("lib/other.ts", "export {};\n");
  await write("node_modules/words/index.js", "export {};\n");
  const file = await write(
    "nets/net.nn.ts",
    `import { width } from "@lib/width";
import table from "../lib/table.json";
import "words";
import "no-such-package";
import type { Missing } from "./types";
// import "../lib/other.ts";
const text = 'from "../lib/other.ts"';
const later = () => import("../lib/late.ts");
export default { width, table, text, later } satisfies Missing;
`,
  );
  const request = await requestOf(file);
  await keepForTurn(request);
  const imports = JSON.parse(await readFile(join(request.directory, SOURCES_FILE), "utf8")) as object;
  expect(Object.keys(imports).sort()).toEqual(["../lib/late.ts", "../lib/table.json", "../lib/width.ts"]);
});

test("a run that never began leaves nothing, and one with more in its directory all", async () => {
  const request = await keepForTurn(await requestOf(await write("net.nn.ts", 'import "./a.ts";')));
  await dropRunDirectory(request.directory);
  expect(await readdir(join(folder, ".layerwise", "runs"))).toEqual([]);
  await mkdir(request.directory);
  await writeFile(join(request.directory, "run.json"), "{}");
  await dropRunDirectory(request.directory);
  expect(await readdir(request.directory)).toEqual(["run.json"]);
});

test("a version that is named already, and a file that is gone, stay as they are", async () => {
  const request = await requestOf(join(folder, "gone.nn.ts"));
  expect(await keepForTurn(request)).toBe(request);
  const again = { ...request, version: "/w/.layerwise/runs/first" };
  expect(await keepForTurn(again)).toBe(again);
  await rm(request.directory, { recursive: true });
});
