import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { TF, type NativeBinding } from "../../extension/native/binding.ts";
import { loadNative } from "../../extension/native/load.ts";
import { nativeStatus } from "../../extension/native/status.ts";

/** What binding.ts says of the C++ binding, tried on the real one. */
describe.skipIf(nativeStatus().state !== "installed")("the native binding", () => {
  let binding: NativeBinding;
  beforeAll(() => {
    binding = loadNative();
  });

  test("is loaded once, on the CPU, with the expected version", () => {
    expect(loadNative()).toBe(binding);
    expect(binding.TF_Version).toBe("2.21.0");
    expect(binding.isUsingGpuDevice()).toBe(false);
  });

  test("exports the constants that TF repeats", () => {
    const exported = Object.fromEntries(
      Object.getOwnPropertyNames(binding)
        .map((name) => [name, Reflect.get(binding, name)] as const)
        .filter(([, value]) => typeof value === "number"),
    );
    expect(TF).toMatchObject(exported);
    expect(Object.keys(exported)).toHaveLength(14);
  });

  test("shares memory that starts at a multiple of 64 bytes, and copies any other", () => {
    const buffer = new ArrayBuffer(4096);
    const observed = new Set<string>();
    for (let offset = 0; offset < 128; offset += 4) {
      const values = new Float32Array(buffer, offset, 4).fill(1);
      const id = binding.createTensor([4], TF.TF_FLOAT, values);
      values[0] = 9;
      const first = Number(binding.tensorDataSync(id)[0]);
      observed.add(`${first === 9 ? "shared" : "copied"} at ${offset % 64}`);
      binding.deleteTensor(id);
    }
    const shared = [...observed].filter((line) => line.startsWith("shared"));
    expect(shared).toHaveLength(1);
    expect(observed.size).toBe(16);
  });

  test("hands out copies of a tensor's values", () => {
    const id = binding.createTensor([2], TF.TF_FLOAT, Float32Array.of(1, 2));
    const values = binding.tensorDataSync(id);
    values[0] = 5;
    expect(binding.tensorDataSync(id)).toEqual(Float32Array.of(1, 2));
    binding.deleteTensor(id);
    expect(() => binding.tensorDataSync(id)).toThrow("Get data called on a Tensor not referenced");
    expect(() => binding.deleteTensor(id)).toThrow("Delete called on a Tensor not referenced");
  });

  test("reads and writes each dtype as described", () => {
    const round = (shape: number[], dtype: number, data: Parameters<NativeBinding["createTensor"]>[2]) => {
      const id = binding.createTensor(shape, dtype, data);
      try {
        return binding.tensorDataSync(id);
      } finally {
        binding.deleteTensor(id);
      }
    };
    expect(round([], TF.TF_FLOAT, Float32Array.of(3))).toEqual(Float32Array.of(3));
    expect(round([0, 3], TF.TF_FLOAT, new Float32Array(0))).toEqual(new Float32Array(0));
    expect(round([2], TF.TF_INT32, Int32Array.of(3, -1))).toEqual(Int32Array.of(3, -1));
    expect(round([2], TF.TF_INT64, Int32Array.of(3, 0, -1, -1))).toEqual(BigInt64Array.of(3n, -1n));
    expect(round([2], TF.TF_BOOL, Uint8Array.of(3, 0))).toEqual(Uint8Array.of(3, 0));
    expect(round([1], TF.TF_STRING, [Uint8Array.of(104, 105)])).toEqual([Uint8Array.of(104, 105)]);
    expect(() => round([1], TF.TF_UINT8, Uint8Array.of(1))).toThrow("Unhandled TF_DataType: 4");
    expect(() => round([2], TF.TF_FLOAT, Int32Array.of(1, 2))).toThrow(
      "Tensor type does not match Int32Array",
    );
    expect(() => round([3], TF.TF_FLOAT, Float32Array.of(1))).toThrow("Shape does not match typed-array");
  });

  test("runs an op, whose outputs belong to the caller", () => {
    const before = binding.getNumOfTensors();
    const a = binding.createTensor([2, 2], TF.TF_FLOAT, Float32Array.of(1, 2, 3, 4));
    const [product] = binding.executeOp(
      "MatMul",
      [{ name: "transpose_b", type: TF.TF_ATTR_BOOL, value: true }],
      [a, a],
      1,
    );
    expect(product).toMatchObject({ shape: [2, 2], dtype: TF.TF_FLOAT });
    expect(binding.tensorDataSync(product?.id ?? -1)).toEqual(Float32Array.of(5, 11, 11, 25));
    expect(() => binding.executeOp("MatMul", [], [a, a], 0)).toThrow("Invalid TF_Status: 3");
    expect(() => binding.executeOp("NoSuchOp", [], [], 1)).toThrow("Invalid TF_Status: 5");
    for (const id of [a, product?.id ?? -1]) binding.deleteTensor(id);
    expect(binding.getNumOfTensors()).toBe(before);
  });

  test("lets the memory of a deleted tensor go", async () => {
    const rss = (): number => process.memoryUsage().rss + process.memoryUsage().external;
    const touch = (): void => {
      const id = binding.createTensor([1 << 22], TF.TF_FLOAT, new Float32Array(1 << 22).fill(1));
      binding.deleteTensor(id);
    };
    for (let i = 0; i < 5; i++) touch();
    const before = rss();
    for (let i = 0; i < 100; i++) {
      touch();
      // The array's reference is released in a turn of the event loop.
      await delay(0);
    }
    // 100 tensors of 16 MB each would be 1.6 GB.
    expect(rss() - before).toBeLessThan(800e6);
  });
});
