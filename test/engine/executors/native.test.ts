import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { GraphBuilder } from "../../../extension/executors/tensorflow/graph/graphBuilder.ts";
import { placeholder } from "../../../extension/executors/tensorflow/graph/graphWriter.ts";
import { encodeGraphDef } from "../../../extension/executors/tensorflow/graph/graphDef.ts";
import { sessionConfig } from "../../../extension/executors/tensorflow/graph/sessionConfig.ts";
import { TF, type NativeBinding } from "../../../extension/native/binding.ts";
import { BINDING_FILE } from "../../../extension/native/cache.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { attr, scalar } from "../../../extension/tensor/lowering/lowering.ts";
import { useWorkspace } from "../workspace.ts";

const SESSION_CONFIG = sessionConfig(0);

/** Tests the declarations of binding.ts on the real C++ binding. */
describe.skipIf(nativeStatus().state !== "installed")("the native binding", () => {
  let binding: NativeBinding;
  beforeAll(() => {
    binding = loadNative();
  });

  test("is loaded once, on the CPU, with the expected version", () => {
    expect(loadNative()).toBe(binding);
    expect(binding.loadTensorFlow()).toBe("2.21.0");
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

  test("copies the values of tensors that plans can have, wherever they lie", () => {
    const buffer = new ArrayBuffer(4096);
    for (let offset = 0; offset < 128; offset += 4) {
      const values = new Float32Array(buffer, offset, 4).fill(1);
      const id = binding.createTensor([4], TF.TF_FLOAT, values);
      values[0] = 9;
      expect(binding.tensorDataSync(id)).toEqual(Float32Array.of(1, 1, 1, 1));
      binding.deleteTensor(id);
    }
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

  test("says what is wrong with a graph that it is to open", () => {
    const before = binding.getNumOfSavedModels();
    const open = (graph: Uint8Array, config: Uint8Array) => () => binding.openGraph(graph, config);
    const node = { name: "odd", op: "NoSuchOp", inputs: [], attributes: {} };
    expect(open(encodeGraphDef([node]), SESSION_CONFIG)).toThrow("NoSuchOp");
    expect(open(Uint8Array.of(1, 2, 3), SESSION_CONFIG)).toThrow("Invalid GraphDef");
    expect(open(encodeGraphDef([]), Uint8Array.of(1, 2, 3))).toThrow("Unparseable ConfigProto");
    expect(open([] as unknown as Uint8Array, SESSION_CONFIG)).toThrow();
    expect(binding.getNumOfSavedModels()).toBe(before);
  });

  describe("a session's call on a thread of its own", () => {
    const SIZE = 1200;
    const one = (value: number): number => binding.createTensor([], TF.TF_INT32, Int32Array.of(value));
    function product(b: GraphBuilder, size: number): void {
      const x = placeholder(b, "x", { shape: [size, size], dtype: "float32" });
      const turned = { transpose_a: attr.bool(false), transpose_b: attr.bool(false) };
      b.node("MatMul", [x, x], { T: attr.type("float32"), ...turned }, "product");
    }
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    /** (x · x, 7 / y). */
    function open(): number {
      const b = new GraphBuilder();
      product(b, SIZE);
      const y = placeholder(b, "y", { shape: [], dtype: "int64" });
      b.node("FloorDiv", [scalar(b, 7, "int64"), y], { T: attr.type("int64") }, "quotient");
      return binding.openGraph(encodeGraphDef(b.graph), SESSION_CONFIG);
    }
    const start = (session: number, ids: readonly number[]): number =>
      binding.startGraph(session, ids, "x:0,y:0", "product:0,quotient:0", false);

    test("gives the same values while JavaScript continues", () => {
      const before = binding.getNumOfTensors();
      const session = open();
      const x = binding.createTensor(
        [SIZE, SIZE],
        TF.TF_FLOAT,
        Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i)),
      );
      const ids = [x, one(2)];
      const known = binding.runSavedModel(session, ids, "x:0,y:0", "product:0,quotient:0");
      // Others may have the processor before a start returns: the first that is quick counts.
      const quick = [1, 2, 3, 4, 5].some(() => {
        const began = performance.now();
        const call = start(session, ids);
        const free = performance.now() - began;
        const { outputs, milliseconds } = binding.finishGraph(call);
        for (const id of outputs) binding.deleteTensor(id);
        return free < milliseconds;
      });
      expect(quick, "a start that doesn't wait for the graph").toBe(true);
      const call = start(session, ids);
      for (const id of ids) binding.deleteTensor(id);
      const { outputs } = binding.finishGraph(call);
      const values = [...known.map(({ id }) => id), ...outputs].map((id) => binding.tensorDataSync(id));
      expect(values[2]).toEqual(values[0]);
      expect(values[3]).toEqual(Int32Array.of(3));
      expect(() => binding.finishGraph(call)).toThrow(`There is no call ${call}`);
      for (const id of [...known.map((info) => info.id), ...outputs]) binding.deleteTensor(id);
      binding.deleteSavedModel(session);
      expect(binding.getNumOfTensors()).toBe(before);
    });

    test.each([true, false])(
      "numbers next to 0 are 0 in the graph, and nowhere else: on the calling thread %s",
      (alone) => {
        const b = new GraphBuilder();
        const x = placeholder(b, "x", { shape: [2], dtype: "float32" });
        b.node("Mul", [x, x], { T: attr.type("float32") }, "square");
        const session = binding.openGraph(encodeGraphDef(b.graph), SESSION_CONFIG);
        const id = binding.createTensor([2], TF.TF_FLOAT, Float32Array.of(1e-20, 3));
        const [square] = binding.runGraph(session, [id], "x:0", "square:0", alone);
        expect(binding.tensorDataSync(square!)).toEqual(Float32Array.of(0, 9));
        const smallest = Float64Array.of(Number.MIN_VALUE, 1);
        expect(smallest[0]! * smallest[1]!).toBe(Number.MIN_VALUE);
        for (const one of [id, square!]) binding.deleteTensor(one);
        binding.deleteSavedModel(session);
      },
    );

    test("says what it fails with when it is waited for, and leaves nothing behind", () => {
      const before = binding.getNumOfTensors();
      const session = open();
      const ids = [binding.createTensor([SIZE, SIZE], TF.TF_FLOAT, new Float32Array(SIZE * SIZE)), one(0)];
      const call = start(session, ids);
      expect(() => binding.finishGraph(call)).toThrow("Integer division by zero");
      expect(() => start(session, ids.slice(1))).toThrow("2 names of feeds for 1 tensors");
      expect(() => start(session, [ids[0]!, -5])).toThrow("Input Tensor ID not found (tensor_id: -5)");
      expect(() => start(-1, ids)).toThrow("SavedModel ID not found");
      expect(() => binding.startGraph(session, [], "", "other:0", false)).toThrow(
        "The graph has no node other",
      );
      for (const id of ids) binding.deleteTensor(id);
      binding.deleteSavedModel(session);
      expect(binding.getNumOfTensors()).toBe(before);
    });

    // Once the C library's own exit begins, it destroys what a running call still needs.
    test.each(["process.exit()", "0"])("has ended before a process that ends with %s exits", (end) => {
      const b = new GraphBuilder();
      product(b, 2500);
      const addon = path.join(nativeStatus().directory, BINDING_FILE);
      const script = `
        const binding = require(${JSON.stringify(addon)});
        const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
        const session = binding.openGraph(bytes("${hex(encodeGraphDef(b.graph))}"), new Uint8Array(0));
        const x = binding.createTensor([2500, 2500], 1, new Float32Array(2500 * 2500));
        const call = binding.startGraph(session, [x], "x:0", "product:0", true);
        process.on("exit", () => {
          const start = performance.now();
          const { milliseconds } = binding.finishGraph(call);
          process.exitCode = performance.now() - start < milliseconds / 4 ? 0 : 3;
        });
        ${end};`;
      const { status, signal } = spawnSync(process.execPath, ["-e", script]);
      expect({ status, signal }).toEqual({ status: 0, signal: null });
    });
  });

  // oneDNN's products keep pointers below the stack pointer: a handler of signals on the same stack overwrites them.
  test("computes products while a CPU profiler interrupts it", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "layerwise-profile-"));
    const addon = path.join(nativeStatus().directory, BINDING_FILE);
    const script = `
      const binding = require(${JSON.stringify(addon)});
      const made = (m, n) => binding.createTensor([m, n], 1, new Float32Array(m * n).fill(0.5));
      const pairs = [[64, 64, 64], [12, 100, 256], [256, 128, 512], [64, 16, 16]]
        .map(([m, k, n]) => [made(m, k), made(k, n)]);
      const until = Date.now() + 1500;
      while (Date.now() < until)
        for (const pair of pairs)
          for (const { id } of binding.executeOp("MatMul", [], pair, 1)) binding.deleteTensor(id);`;
    const profiler = ["--cpu-prof", "--cpu-prof-interval=200", `--cpu-prof-dir=${folder}`];
    const { status, signal } = spawnSync(process.execPath, [...profiler, "-e", script]);
    const profiles = readdirSync(folder).length;
    rmSync(folder, { recursive: true });
    expect({ status, signal, profiles }).toEqual({ status: 0, signal: null, profiles: 1 });
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
      // The event loop's next turn releases the array's reference.
      await delay(0);
    }
    // 100 tensors of 16 MB each would be 1.6 GB.
    expect(rss() - before).toBeLessThan(800e6);
  });

  test("lets TensorFlow's ops read tensors of plans among its own, also those without elements", () => {
    const before = binding.getNumOfTensors();
    const make = (shape: number[], values: number[]): number =>
      binding.createTensor(shape, TF.TF_FLOAT, Float32Array.from(values));
    const [a, b, none] = [make([2], [1, 2]), make([2], [3, 4]), make([0], [])];
    const concat = (ids: number[]): number => {
      const axis = binding.createTensor([], TF.TF_INT32, Int32Array.of(0));
      const [joined] = binding.executeOp(
        "ConcatV2",
        [
          { name: "N", type: TF.TF_ATTR_INT, value: ids.length },
          { name: "T", type: TF.TF_ATTR_TYPE, value: TF.TF_FLOAT },
        ],
        [...ids, axis],
        1,
      );
      binding.deleteTensor(axis);
      return joined!.id;
    };
    const first = concat([a, none, b]);
    const second = concat([first, a]);
    expect(binding.tensorDataSync(second)).toEqual(Float32Array.of(1, 2, 3, 4, 1, 2));
    expect(() => concat([a, -1000])).toThrow("Input Tensor ID not found (tensor_id: -1000)");
    for (const id of [a, b, none, first, second]) binding.deleteTensor(id);
    // That of the axis, of the call that was refused.
    expect(binding.getNumOfTensors()).toBe(before + 1);
  });

  describe.runIf(process.platform === "linux")("loads TensorFlow", () => {
    const workspace = useWorkspace();
    const script = (addon: string, body: string): string => `
      const loaded = () => require("node:fs").readFileSync("/proc/self/maps", "utf8").includes("libtensorflow");
      const binding = require(${JSON.stringify(addon)});
      ${body}`;
    const evaluate = (text: string): string => {
      const { stdout, stderr } = spawnSync(process.execPath, ["-e", text], {
        encoding: "utf8",
        env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3" },
      });
      return stdout || stderr;
    };

    test("when something needs it", () => {
      const body = `
        const id = binding.createTensor([2], 1, Float32Array.of(2, 3));
        const values = [...binding.tensorDataSync(id)];
        const before = [loaded(), binding.getNumOfTensors()];
        const [square] = binding.executeOp("Square", [], [id], 1);
        binding.deleteTensor(id);
        process.stdout.write(JSON.stringify([values, before, loaded(), [...binding.tensorDataSync(square.id)]]));`;
      const addon = path.join(nativeStatus().directory, BINDING_FILE);
      expect(JSON.parse(evaluate(script(addon, body)))).toEqual([[2, 3], [false, 1], true, [4, 9]]);
    });

    test("or says what is missing", () => {
      const folder = mkdtempSync(path.join(tmpdir(), "layerwise-alone-"));
      const addon = path.join(folder, BINDING_FILE);
      copyFileSync(path.join(nativeStatus().directory, BINDING_FILE), addon);
      const body = `
        const id = binding.createTensor([], 1, Float32Array.of(2));
        for (const call of [() => binding.executeOp("Square", [], [id], 1), () => binding.loadTensorFlow()])
          try {
            call();
          } catch ({ message }) {
            console.log(message);
          }`;
      const lines = evaluate(script(addon, body)).trim().split("\n");
      rmSync(folder, { recursive: true });
      expect(lines).toHaveLength(2);
      for (const line of lines)
        expect(line).toMatch(/^TensorFlow can't be loaded: .*libtensorflow_framework\.so\.2: cannot open/);
    });

    test("for no plain loop of ops that plans have", async () => {
      workspace.write(
        "loop.nn.ts",
        `import fs from "node:fs";
        import { torch, nn, optim, print } from "layerwise";
        const model = new nn.Sequential(
          new nn.Conv2d(1, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.Flatten(), new nn.Linear(144, 8), new nn.LSTM(8, 2),
        );
        const optimizer = new optim.AdamW(model.parameters());
        for (let step = 0; step < 20; step++) {
          const [out] = model(torch.randn(4, 1, 8, 8)) as [import("layerwise").Tensor, unknown];
          const loss = nn.functional.crossEntropy(out, torch.randint(0, 2, [4]));
          optimizer.zeroGrad();
          loss.backward();
          optimizer.step();
          loss.item();
        }
        torch.save(model.stateDict(), "model.pth");
        // Large states that begin with zeros, and images that are read: single ops apart from a plan.
        const large = new nn.Sequential(new nn.Conv2d(3, 64, 3, { padding: 1 }), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(16384, 16));
        const adam = new optim.Adam(large.parameters());
        for (let step = 0; step < 3; step++) {
          const images = torch.randn(2, 3, 32, 32, { requiresGrad: true });
          adam.zeroGrad();
          large(images).square().mean().backward();
          images.grad!.tolist();
          adam.step();
        }
        print(fs.readFileSync("/proc/self/maps", "utf8").includes("libtensorflow"));`,
      );
      const { stdout, stderr } = await workspace.run(["run", "loop.nn.ts", "--device", "native"]);
      expect(stdout.trim(), stderr).toBe("False");
    });
  });
});
