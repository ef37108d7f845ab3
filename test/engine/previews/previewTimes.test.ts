// How soon previews are there: `npm test` runs this with nothing beside it.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { BOUNDS, load, quantile } from "../../bounds.ts";
import type { FileReport } from "../../../extension/protocol/preview.ts";
import { examples } from "../workspace.ts";
import { usePreviews } from "../previews.ts";

const previews = usePreviews();

const inspect = (file: string): Promise<FileReport> => previews.inspect({ file });

/** Models that the panels' tests draw. */
const flows = fileURLToPath(new URL("../../fixtures/panels/flows/", import.meta.url));

test("BERT-base previews in a moment, with a box for each of its layers", async () => {
  const file = path.join(flows, "bert.nn.ts");
  // The first also starts the process.
  await inspect(file);
  const started = performance.now();
  const report = await inspect(file);
  // A tenth of a second on a machine that does nothing else.
  expect(performance.now() - started).toBeLessThan(load() * 1500);
  const [model] = report.models;
  expect(model!.parameters.total).toBe(109_482_240 + 2 * 768 + 2);
  const layers = model!.flow!.nodes.filter(({ className }) => className === "BertLayer");
  expect(layers.map(({ path: name }) => name)).toEqual(
    Array.from({ length: 12 }, (_one, i) => `bert.encoder.layer.${i}`),
  );
  const ids = new Set(model!.flow!.nodes.map(({ id }) => id));
  expect(model!.flow!.edges.filter(({ from, to }) => !ids.has(from) || !ids.has(to))).toEqual([]);
});

test("keystrokes: each example answers with shapes, and only the newest text is previewed", async () => {
  const took: number[] = [];
  for (const name of fs.readdirSync(examples).filter((one) => /(?<!tutorial)\.nn\.ts$/.test(one))) {
    const file = path.join(examples, name);
    const text = fs.readFileSync(file, "utf8");
    const first = await previews.engine.inspect({ file, text, calls: true }, 60);
    // Some need data that isn't everywhere.
    if (first!.errors.length > 0) continue;
    for (let i = 0; i < 5; i++) {
      const began = performance.now();
      const outdated = previews.engine.inspect({ file, text: `${text}\n//`, calls: true }, 60);
      const older = previews.engine.inspect({ file, text: `${text}\n// ${i}`, calls: true }, 60);
      const newest = await previews.engine.inspect({ file, text: `${text}\n// ${i}.`, calls: true }, 60);
      took.push(performance.now() - began);
      expect([await outdated, await older]).toEqual([undefined, undefined]);
      expect(newest!.models[0]!.calls!.length).toBeGreaterThan(0);
    }
  }
  expect(took.length).toBeGreaterThanOrEqual(5 * 5);
  const [median, p95] = [quantile(took), quantile(took, 0.95)];
  fs.mkdirSync("out/test", { recursive: true });
  fs.writeFileSync("out/test/typing-latency.json", JSON.stringify({ p95, median }));
  expect(median).toBeLessThan(load() * BOUNDS.warmPreview);
});
