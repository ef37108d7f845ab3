// Previews of files whose data threads read.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { useFolder } from "../../folders.ts";
import { tarOf } from "../../tarFiles.ts";
import { usePreviews } from "../previews.ts";
import { PATIENT } from "../../patience.ts";

const previews = usePreviews();
const folder = useFolder();

const experimentOf = (
  data: string,
  inputs: number,
): string => `import { data, experiment, nn, optim, torch } from "layerwise";
export default experiment({
  model: () => new nn.Linear(${inputs}, 3),
  data: () => ${data},
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  batchSize: 2,
  epochs: 1,
});
`;

test("their shapes are known, and reading threads are not what a file leaves behind", async () => {
  const parquet = fileURLToPath(new URL("../../fixtures/parquet/snappy.parquet", import.meta.url));
  fs.copyFileSync(parquet, path.join(folder, "trees.parquet"));
  fs.writeFileSync(path.join(folder, "a.tar"), await tarOf({ "1.cls": "1", "2.cls": "0" }));
  const shape = async (name: string, text: string): Promise<string | undefined> => {
    const { models } = await previews.inspect({ file: path.join(folder, name), text });
    return models[0]?.rows[0]?.outputShape;
  };
  const table = experimentOf('data.parquet("trees.parquet", { missing: "mean" })', 12);
  const shards = experimentOf(
    `data.tarShards("a.tar", {
    keys: ["cls"],
    transform: ([x]: [number]) => [torch.tensor([x + 0.5]), torch.tensor(x)],
  })`,
    1,
  );
  for (let round = 0; round < 2; round++) {
    expect(await shape("table.nn.ts", table)).toBe("[2, 3]");
    expect(await shape("shards.nn.ts", shards)).toBe("[2, 3]");
  }
  expect(previews.logged).toEqual([]);
  // A thread of the file's own is.
  const own = `import { Worker } from "node:worker_threads";\nnew Worker("setInterval(() => {}, 1e3)", { eval: true });\n`;
  await shape("own.nn.ts", own + table);
  await shape("table.nn.ts", table);
  await vi.waitFor(
    () => expect(previews.logged.join("\n")).toContain("a file left something in it"),
    PATIENT,
  );
});
