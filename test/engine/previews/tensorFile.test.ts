// Files of tensors as the editor reads them: in a process of its own, with requests and cancellation.
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as v from "valibot";
import type {
  TensorFileEngineEvents,
  TensorFileEngineMethods,
} from "../../../extension/protocol/tensors/tensorFileEngine.ts";
import { openChannel, type Remote } from "../../../extension/supervisor/engines/channel.ts";
import { toUserError } from "../../../extension/supervisor/errors.ts";
import { forkEngine, type EngineProcess } from "../../../extension/supervisor/engines/process.ts";
import { FileTensor } from "../../../extension/editor/panels/fileTensor.ts";
import { TensorFileReader } from "../../../extension/supervisor/engines/tensorFile.ts";
import { useFolder } from "../../folders.ts";
import { patience, PATIENT } from "../../patience.ts";

const dist = fileURLToPath(new URL("../../../dist", import.meta.url));
const golden = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/golden/files/data/${name}`, import.meta.url));

const folder = useFolder();
let inspector: TensorFileReader;
let shares: number[];
beforeEach(() => {
  shares = [];
});
afterEach(async () => {
  await inspector.release();
});

function inspect(file: string): TensorFileReader {
  inspector = new TensorFileReader(
    file,
    () => ({ dist }),
    (share) => shares.push(share),
  );
  return inspector;
}

const errorOf = (promise: Promise<unknown>): Promise<{ code: string; message: string }> =>
  promise.then(() => expect.unreachable(), toUserError);

/** The hostile files of a golden case. */
function rejected(name: string): string[] {
  const { spec, expect: expected } = JSON.parse(readFileSync(golden(`../${name}`), "utf8")) as {
    spec: { items: { file: string }[] };
    expect: { items: { outcome?: string }[] };
  };
  return spec.items.flatMap(({ file }, i) =>
    expected.items[i]!.outcome === "rejected" ? [golden(`../${file}`)] : [],
  );
}

/** The process that reads files, asked directly. */
async function start(
  onProgress: () => unknown = () => undefined,
): Promise<{ engine: EngineProcess; remote: Remote<TensorFileEngineMethods> }> {
  const engine = await forkEngine({ dist, entry: "tensorFileEngine.js" });
  const remote = openChannel<TensorFileEngineMethods, Pick<TensorFileEngineEvents, "progress">>(
    engine.child,
    {
      schemas: { progress: v.strictTuple([v.number()]) },
      handlers: { progress: () => void onProgress() },
      onInvalid: () => undefined,
    },
  );
  return { engine, remote };
}

/** Most memory that a process has had, in bytes; 0 where the system doesn't say. */
function mostMemory(pid: number | undefined): number {
  const status = `/proc/${pid}/status`;
  const found = existsSync(status) ? /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, "utf8")) : null;
  return 1024 * Number(found?.[1] ?? 0);
}

/** A sparse file of one tensor: it takes no place on the disk. */
function sparse(gigabytes: number): string {
  const bytes = gigabytes * 2 ** 30;
  const header = JSON.stringify({ huge: { dtype: "F32", shape: [bytes / 4], data_offsets: [0, bytes] } });
  const text = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = path.join(folder, "huge.safetensors");
  const handle = openSync(file, "w");
  writeSync(handle, Buffer.concat([length, text]));
  ftruncateSync(handle, 8 + text.length + bytes);
  closeSync(handle);
  return file;
}

describe("a file of tensors", () => {
  test("that was not there is read once it is, by a viewer that asked too early", async () => {
    const { tensors } = await inspect(golden("simple.safetensors")).open();
    const file = path.join(folder, "late.safetensors");
    const tensor = new FileTensor(file, tensors[0]!.name, () => ({ dist }));
    try {
      await expect(tensor.snapshot()).rejects.toThrow();
      copyFileSync(golden("simple.safetensors"), file);
      expect(await tensor.snapshot()).toMatchObject({ shape: tensors[0]!.shape, from: "late.safetensors" });
    } finally {
      tensor.release();
    }
  });

  test("lists tensors, reads their values, and compares two files", async () => {
    const file = await inspect(golden("checkpoint.pth")).open();
    expect(file).toMatchObject({ format: "pth", file: golden("checkpoint.pth") });
    const index = file.tensors.findIndex(({ name }) => name === "model_state_dict.fc1.weight");
    expect(file.tensors[index]).toMatchObject({ dtype: "F32", shape: [5, 10], bytes: 200 });
    const statistics = await inspector.statistics(index);
    expect(statistics).toMatchObject({ count: 50, nans: 0 });
    expect(statistics!.histogram.reduce((sum, count) => sum + count)).toBe(50);
    expect(await errorOf(inspector.statistics(1000))).toMatchObject({ code: "file" });
    await inspector.release();
    inspect(golden("state_simplenn.pth"));
    const same = await inspector.compare(golden("state_simplenn.pth"));
    expect(same).toEqual({ changes: [], same: 4 });
    const { changes } = await inspector.compare(golden("legacy_state.pth"));
    expect(changes).toContainEqual(
      expect.objectContaining({ name: "fc1.weight", change: "values", changed: 50, elements: 50 }),
    );
    expect(await errorOf(inspector.compare(golden("garbage.pth")))).toMatchObject({ code: "file" });
  });

  test.each([
    ["evil_os_system.pth", /asks for "posix\.system", which is not allowed/],
    ["bad_header_huge.safetensors", /header/],
    ["truncated_half.pth", /.+/],
    ["missing.safetensors", /no such file/i],
  ])("that is damaged or hostile is refused in words: %s", async (name, message) => {
    const error = await errorOf(inspect(golden(name)).open());
    expect(error.code).toBe("file");
    expect(error.message).toMatch(message);
  });

  test("no hostile file is read for long, or into the memory, or has anything run", async () => {
    const files = readdirSync(golden("..")).flatMap((name) => (name.endsWith(".json") ? rejected(name) : []));
    expect(files.length).toBeGreaterThan(70);
    const marker = fileURLToPath(new URL("../../../MARKER_unsafe_load.txt", import.meta.url));
    const { engine, remote } = await start();
    try {
      await remote.open(golden("simple.safetensors"));
      const before = mostMemory(engine.pid);
      for (const file of files) {
        const began = performance.now();
        const look = async (): Promise<void> => {
          const { tensors } = await remote.open(file);
          for (const i of tensors.keys()) await remote.statistics(file, i);
        };
        expect((await errorOf(look())).message).toContain(path.basename(file));
        expect(performance.now() - began).toBeLessThan(patience(1000));
      }
      expect(mostMemory(engine.pid) - before).toBeLessThan(200 * 2 ** 20);
    } finally {
      await engine.kill();
    }
    expect(existsSync(marker)).toBe(false);
  });

  test("larger than the memory is never there as a whole", async () => {
    const file = sparse(64);
    let parts = 0;
    const { engine, remote } = await start(() => parts++);
    try {
      await remote.open(file);
      const looking = errorOf(remote.statistics(file, 0));
      await expect.poll(() => parts, PATIENT).toBeGreaterThan(5);
      await remote.cancel();
      expect(await looking).toMatchObject({ code: "cancelled" });
      expect(mostMemory(engine.pid)).toBeLessThan(250 * 2 ** 20);
    } finally {
      await engine.kill();
    }
  });

  test("larger than the memory: it says how far it is, can be cancelled, and answers afterwards", async () => {
    const file = sparse(64);
    expect((await inspect(file).open()).tensors).toEqual([
      { name: "huge", dtype: "F32", shape: [2 ** 34], bytes: 2 ** 36 },
    ]);
    const looking = errorOf(inspector.statistics(0));
    await expect.poll(() => shares.length, PATIENT).toBeGreaterThan(1);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    await inspector.cancel();
    expect(await looking).toMatchObject({ code: "cancelled" });
    expect((await inspector.open()).bytes).toBeGreaterThan(2 ** 36);
  });

  test("whose process is ended while it reads: the call fails, and the next one has another process", async () => {
    const file = sparse(64);
    await inspect(file).open();
    const looking = errorOf(inspector.statistics(0));
    await expect.poll(() => shares.length, PATIENT).toBeGreaterThan(0);
    await inspector.release();
    expect(await looking).toMatchObject({ code: "cancelled" });
    expect((await inspector.open()).tensors).toHaveLength(1);
  });
});

describe("an ONNX model", () => {
  const fixture = (name: string): string =>
    fileURLToPath(new URL(`../../fixtures/onnx/${name}.onnx`, import.meta.url));

  test("is opened, asked for a node, and read as a file of tensors, by one process", async () => {
    const reader = inspect(fixture("external"));
    const { tensors, model } = await reader.openModel();
    expect(model).toMatchObject({ producer: "pytorch 2.15.0", nodes: 19, parameters: 1050 });
    const stem = await reader.node("stem");
    expect(stem).toMatchObject({ op: "Conv", outputs: [{ type: "float32[1, 4, 8, 8]" }] });
    const weight = stem!.inputs[1]!.tensor!;
    expect(tensors.tensors[weight]).toMatchObject({ name: "stem.weight", shape: [4, 3, 3, 3] });
    expect(await reader.statistics(weight)).toMatchObject({ count: 108, nans: 0 });
    expect(await reader.node("nothing")).toBeUndefined();
    expect(await reader.compare(fixture("cnn"))).toEqual({ changes: [], same: 16 });
  });

  test("is compared with another model by names, shapes and values", async () => {
    const { changes, same } = await inspect(fixture("cnn")).compare(fixture("transformer"));
    expect(same).toBe(0);
    expect(new Set(changes.map(({ change }) => change))).toEqual(new Set(["added", "removed"]));
  });

  test("that is damaged, or has another name, has a message", async () => {
    const file = path.join(folder, "m.onnx");
    writeSync(openSync(file, "w"), "no model");
    expect(await errorOf(inspect(file).openModel())).toMatchObject({
      code: "file",
      message: expect.stringContaining("no ONNX model"),
    });
    expect(await errorOf(inspect(golden("simple.safetensors")).openModel())).toMatchObject({
      message: expect.stringContaining("is no ONNX model"),
    });
  });
});
