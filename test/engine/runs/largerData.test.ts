// Sets of 300 MB train in constant memory; the example of the documentation trains, and resumes.
import fs from "node:fs";
import { fileWriter, ParquetWriter, schemaFromColumnData, type ColumnSource } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { slow } from "../../slow.ts";
import { tarOf } from "../../tarFiles.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();
const MB = 2 ** 20;
/** Bytes of each set, and of a smaller one that takes all the memory that it ever needs. */
const [SIZE, SMALL] = [300 * MB, 60 * MB];
/** How much more memory the larger set may take, in MB: what waits for the garbage collector differs. */
const TOLERANCE = 100;

const COLUMNS = 32;
const GROUP = 20_000;

function writeParquet(file: string, size: number): number {
  let seed = 1;
  const draw = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const columnData = Array.from({ length: COLUMNS }, (_, i): ColumnSource => ({
    name: `c${i}`,
    data: Float32Array.from({ length: GROUP }, draw),
    type: "FLOAT",
    encoding: "PLAIN",
  }));
  const writer = new ParquetWriter({
    writer: fileWriter(file),
    schema: schemaFromColumnData({ columnData }),
    codec: "UNCOMPRESSED",
    statistics: false,
  });
  const groups = Math.ceil(size / (4 * COLUMNS * GROUP));
  for (let group = 0; group < groups; group++) void writer.write({ columnData, rowGroupSize: GROUP });
  void writer.finish();
  return groups * GROUP;
}

/** Trains with little memory for objects. Returns the most memory of the process, in MB, and the number of batches. */
async function train(data: string, features: number): Promise<{ peak: number; batches: number }> {
  workspace.write(
    "large.nn.ts",
    `import fs from "node:fs";
import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";
const memory: number[] = [];
export default experiment({
  seed: 0,
  model: () => new nn.Linear(${features}, 1),
  data: () => ${data},
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 1e-5 }),
  epochs: 1,
  callbacks: {
    onBatchEnd: () => void memory.push(process.memoryUsage.rss() / 2 ** 20),
    onTrainEnd: () => fs.writeFileSync("memory.json", JSON.stringify(memory)),
  },
});
`,
  );
  const { code, stderr } = await workspace.run(["train", "large.nn.ts", "--no-progress"], {
    env: { LAYERWISE_DEVICE: "wasm", NODE_OPTIONS: "--max-old-space-size=160" },
  });
  expect(code, stderr).toBe(0);
  const memory = JSON.parse(fs.readFileSync(workspace.file("memory.json"), "utf8")) as number[];
  return { peak: Math.max(...memory), batches: memory.length };
}

test("the documentation's example trains", async () => {
  const page = fs.readFileSync(new URL("../../../docs/training.md", import.meta.url), "utf8");
  const code = [...page.matchAll(/```ts\n([\s\S]*?)```/g)]
    .map(([, one]) => one!)
    .find((one) => one.includes("tarShards"));
  workspace.write("pictures.nn.ts", code!);
  const jpeg = (name: string): Buffer =>
    fs.readFileSync(new URL(`../../fixtures/images/${name}.jpg`, import.meta.url));
  const pictures = [jpeg("grey"), jpeg("420")];
  fs.mkdirSync(workspace.file("shards"));
  for (const name of ["train-00", "train-01", "train-02", "train-03", "val-00"]) {
    const files = Array.from({ length: 20 }, (_, i) => [
      [`${i}.jpg`, pictures[i % 2]!],
      [`${i}.cls`, String(i % 2)],
    ]).flat() as [string, string | Buffer][];
    fs.writeFileSync(workspace.file(`shards/${name}.tar`), await tarOf(Object.fromEntries(files)));
  }
  const { code: exit, stderr, stdout } = await workspace.run(["train", "pictures.nn.ts", "--no-progress"]);
  expect(exit, stderr).toBe(0);
  expect(`${stdout}${stderr}`).toContain("Trained 2 epochs");
});

describe("a set of 300 MB trains in the memory of a smaller one", () => {
  test("from a Parquet file, shuffled", slow, async () => {
    const measured = async (size: number): Promise<number> => {
      const rows = writeParquet(workspace.file("large.parquet"), size);
      expect(fs.statSync(workspace.file("large.parquet")).size).toBeGreaterThan(size);
      const { peak, batches } = await train(
        `new data.DataLoader(data.parquet("large.parquet", { cacheBytes: ${16 * MB} }), { batchSize: 4096, shuffle: true })`,
        COLUMNS - 1,
      );
      expect(batches).toBe(Math.ceil(rows / 4096));
      return peak;
    };
    const small = await measured(SMALL);
    expect((await measured(SIZE)) - small).toBeLessThan(TOLERANCE);
  });

  test("from tar shards, with a buffer", async () => {
    const numbers = 4096;
    const header = Buffer.from(`{'descr': '<f4', 'fortran_order': False, 'shape': (${numbers},), }\n`);
    const npy = Buffer.concat([
      Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]),
      header,
      Buffer.from(Float32Array.from({ length: numbers }, (_, i) => Math.sin(i)).buffer),
    ]);
    const count = 1200;
    const bytes = await tarOf(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}.npy`, npy])));
    const shards = Math.ceil(SIZE / bytes.length);
    for (let i = 0; i < shards; i++) fs.writeFileSync(workspace.file(`s-${i}.tar`), bytes);
    const measured = async (used: number): Promise<number> => {
      const { peak, batches } = await train(
        `new data.DataLoader(
    data.tarShards("s-{0..${used - 1}}.tar", {
      keys: ["npy"],
      shuffle: 500,
      transform: ([x]: [Tensor]) => [x, torch.zeros(1)],
    }),
    { batchSize: 64 },
  )`,
        numbers,
      );
      expect(batches).toBe(Math.ceil((count * used) / 64));
      return peak;
    };
    const small = await measured(Math.ceil(SMALL / bytes.length));
    expect((await measured(shards)) - small).toBeLessThan(TOLERANCE);
  });
});
