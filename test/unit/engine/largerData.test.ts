// Data that threads read ahead: its order, its errors, and resuming in the middle of an epoch.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parquetWriteFile } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diskFiles, userFolder } from "../../../extension/engine/files/dataFiles.ts";
import { Batches } from "../../../extension/engine/training/batches.ts";
import { setDataFiles, type DataFiles } from "../../../extension/nn/data/access.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  transforms,
  type Experiment,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";
import { writeTar } from "../../tarFiles.ts";
import { compareResumed, type Parameters } from "./training.ts";

const folder = useFolder("all");
const run = useFolder();
const ROWS = 200;
const image = (name: string): Buffer =>
  fs.readFileSync(fileURLToPath(new URL(`../../fixtures/images/${name}`, import.meta.url)));
const IMAGES = ["420.jpg", "422.jpg", "444.jpg", "progressive.jpg", "grey.jpg", "oriented.jpg", "420.png"];

useEngine("cpu");
beforeAll(async () => {
  setDataFiles(diskFiles);
  userFolder.path = folder;
  const column = (name: string, make: (i: number) => number) => ({
    name,
    data: Array.from({ length: ROWS }, (_, i) => make(i)),
    type: "DOUBLE" as const,
  });
  parquetWriteFile({
    filename: path.join(folder, "rows.parquet"),
    rowGroupSize: 10,
    columnData: [column("x", (i) => Math.sin(i)), column("z", (i) => i), column("y", (i) => Math.cos(i))],
  });
  for (let shard = 0; shard < 5; shard++) {
    const files = Array.from({ length: 12 }, (_, i) => {
      const vector = Float32Array.from([Math.sin(12 * shard + i), i / 12]);
      const header = Buffer.from("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n");
      const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
      return [
        [`${shard}-${i}.npy`, Buffer.concat([start, header, new Uint8Array(vector.buffer)])],
        [`${shard}-${i}.cls`, String(i % 2)],
      ] as const;
    }).flat();
    await writeTar(path.join(folder, `s-${shard}.tar`), Object.fromEntries(files));
  }
  for (const kind of ["a", "b"]) {
    fs.mkdirSync(path.join(folder, "photos", kind), { recursive: true });
    for (const name of IMAGES) fs.writeFileSync(path.join(folder, "photos", kind, name), image(name));
  }
});
afterAll(() => {
  setDataFiles(undefined);
  userFolder.path = undefined;
});

/** Counts what is read. */
function counting(): { groups: number[]; images: string[]; ahead: string[]; decoded: number } {
  const counts = { groups: [] as number[], images: [] as string[], ahead: [] as string[], decoded: 0 };
  const files: DataFiles = {
    ...diskFiles,
    image: (file) => (counts.images.push(file), diskFiles.image(file)),
    planes: (file, channels) => (counts.ahead.push(file), diskFiles.planes(file, channels)),
    decode: (...args) => (counts.decoded++, diskFiles.decode(...args)),
    parquet(name) {
      const opened = diskFiles.parquet(name);
      return {
        ...opened,
        read: (group, ...rest) => (counts.groups.push(group), opened.read(group, ...rest)),
      };
    },
  };
  setDataFiles(files);
  return counts;
}

const rows = (): data.ParquetDataset =>
  data.parquet("rows.parquet", { target: "y", normalize: "standard", cacheBytes: 600 });
const tar = () => data.tarShards("s-{0..4}.tar", { keys: ["npy", "cls"], shuffle: 20 });

/** Dropout draws from the generator that orders are drawn from. */
const trained = (changes: Partial<ExperimentOptions>, features: number, outputs: number): Experiment =>
  experiment({
    seed: 3,
    model: () =>
      new nn.Sequential(
        new nn.Linear(features, 8),
        new nn.Dropout(0.3),
        new nn.ReLU(),
        new nn.Linear(8, outputs),
      ),
    data: rows,
    loss: outputs === 1 ? new nn.MSELoss() : new nn.CrossEntropyLoss(),
    optimizer: (parameters: Parameters) => new optim.Adam(parameters, { lr: 0.05 }),
    batchSize: 8,
    epochs: 2,
    ...changes,
  });

describe("a training that is interrupted in its epochs is that of one that isn't", () => {
  test("with a Parquet file that is larger than its cache", () =>
    compareResumed(() => trained({ validation: 0.2 }, 2, 1), [3, 11, 14, 29], run));

  test("with tar shards and a buffer", () =>
    compareResumed(() => trained({ data: tar }, 2, 2), [2, 5, 9], run));

  test("with images that threads decode, and transforms that draw", () => {
    const crop = new transforms.RandomCrop(6);
    const set = () => new data.ImageFolder("photos", { mode: "L", transform: (x) => crop(x).flatten() });
    const { batchSize: _, ...options } = trained({}, 36, 2).options;
    const loader = () => new data.DataLoader(set(), { batchSize: 4, shuffle: true, numWorkers: 2 });
    return compareResumed(() => experiment({ ...options, data: loader }), [1, 3, 5], run);
  });
});

describe("batches that were done before", () => {
  const rest = (source: data.DataLoader | data.ParquetDataset | ReturnType<typeof tar>, pass: number) => {
    const batches = new Batches(source, {
      batchSize: source instanceof data.DataLoader ? undefined : 8,
      shuffle: source instanceof data.ParquetDataset,
    });
    torch.manualSeed(5);
    const { passed, batches: left } = batches.from(pass + 1);
    return { passed, values: [...left].map(([x]) => x!.tolist()) };
  };

  test("are not read again: neither row groups nor images of shards", () => {
    const whole = rest(rows(), 0);
    const counts = counting();
    const half = rest(rows(), 20);
    expect(half).toEqual({ passed: 20, values: whole.values.slice(20) });
    // The statistics take all 20 row groups, the rest of the epoch fewer.
    expect(counts.groups.length).toBeLessThan(20 + 10);
    const all = rest(tar(), 0);
    counts.decoded = 0;
    expect(rest(tar(), 5).values).toEqual(all.values.slice(5));
    expect(counts.decoded).toBe(60 - 40);
    setDataFiles(diskFiles);
  });

  test("are made where user code makes them", () => {
    class Own extends data.Dataset<[Tensor]> {
      length = 20;
      get(i: number): [Tensor] {
        return [torch.tensor([i])];
      }
    }
    const loader = new data.DataLoader(new Own(), { batchSize: 4 });
    expect(rest(loader as data.DataLoader, 2).passed).toBe(0);
  });
});

describe("numWorkers", () => {
  const epoch = (numWorkers: number, changes: object = {}): unknown => {
    torch.manualSeed(2);
    const set = new data.ImageFolder("photos", {
      transform: (x) => new transforms.RandomCrop(4)(x),
      ...changes,
    });
    return [...new data.DataLoader(set, { batchSize: 3, shuffle: true, numWorkers })].map((batch) =>
      batch.map((one) => one.tolist()),
    );
  };

  test("changes neither order nor draws; images are decoded ahead, at most as many as are asked for", () => {
    const alone = epoch(0);
    const counts = counting();
    expect(epoch(2)).toEqual(alone);
    expect([counts.images.length, counts.ahead.length]).toEqual([0, 14]);
    let asked = 0;
    const set = new data.ImageFolder("photos");
    const part = new data.Subset(set, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    counts.ahead.length = 0;
    for (const _ of new data.DataLoader(part, { batchSize: 2, numWorkers: 1, prefetchFactor: 2 })) {
      // Two batches ahead of the one that is there.
      asked++;
      expect(counts.ahead.length).toBeLessThanOrEqual(2 * (asked + 1));
      if (asked === 2) break;
    }
    expect(counts.ahead.length).toBeLessThan(12);
    setDataFiles(diskFiles);
  });

  test("a damaged image is an error at its own batch, which names the file", () => {
    const broken = path.join(folder, "broken/a/b.jpg");
    fs.mkdirSync(path.dirname(broken), { recursive: true });
    for (const name of ["a.jpg", "c.jpg"])
      fs.writeFileSync(path.join(folder, "broken/a", name), image("420.jpg"));
    fs.writeFileSync(broken, image("420.jpg").subarray(0, 900));
    const loader = new data.DataLoader(new data.ImageFolder("broken"), { batchSize: 1, numWorkers: 2 });
    const seen: unknown[] = [];
    const readAll = (): void => {
      for (const batch of loader) seen.push(batch);
    };
    expect(readAll).toThrow(TensorError);
    expect(readAll).toThrow(`${broken}: the JPEG image is damaged or cut off: it is cut off`);
    expect(seen).toHaveLength(2);
    try {
      readAll();
    } catch (error) {
      // The stack leads to the line of the loop.
      expect((error as Error).stack).toContain("readAll");
    }
  });
});
