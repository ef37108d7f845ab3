// Devices, element types, limits and sizes as programs ask for them. Expected texts are PyTorch 2.15's.
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { data, nn, optim, print, torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");
afterEach(() => vi.restoreAllMocks());

/** Output of a call of print. */
function printed(...values: unknown[]): string {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  print(...values);
  return String(log.mock.lastCall?.[0]);
}

const NO_CUDA = "Torch not compiled with CUDA enabled";
const x = torch.ones(2);

describe("devices", () => {
  test("a program's first lines choose the CPU", () => {
    torch.backends.cudnn.deterministic = true;
    torch.backends.cudnn.benchmark = false;
    torch.cuda.manualSeedAll(1);
    const device = torch.device(torch.cuda.isAvailable() ? "cuda" : "cpu");
    expect([device.type, device.index, torch.cuda.deviceCount()]).toEqual(["cpu", null, 0]);
    expect([torch.backends.mps.isAvailable(), torch.accelerator.isAvailable()]).toEqual([false, false]);
    expect(device).toBe(torch.device("cpu"));
    expect(x.device).toBe(device);
    expect([x.isCuda, x.getDevice()]).toEqual([false, -1]);
  });

  test("print as in PyTorch", () => {
    const devices = [torch.device("cpu"), torch.device("cuda", 1), torch.device(0), torch.device("cpu:0")];
    expect(devices.map(String)).toEqual(["cpu", "cuda:1", "cuda:0", "cpu:0"]);
    expect(devices.map((device) => inspect(device))).toEqual([
      "device(type='cpu')",
      "device(type='cuda', index=1)",
      "device(type='cuda', index=0)",
      "device(type='cpu', index=0)",
    ]);
    expect(printed("Using", x.device, [x.device])).toBe("Using cpu [device(type='cpu')]");
  });

  test("memory formats are taken, and change nothing", () => {
    const images = torch.ones(1, 2, 3, 4);
    const memoryFormat = torch.channelsLast;
    const same = [
      images.to({ memoryFormat }),
      images.contiguous({ memoryFormat }),
      images.float({ memoryFormat }),
    ];
    for (const one of same) expect(one).toBe(images);
    const model = new nn.Conv2d(2, 3, 1);
    expect(model.to({ memoryFormat })).toBe(model);
    expect(images.clone({ memoryFormat: torch.preserveFormat }).shape).toEqual(images.shape);
    expect(printed(memoryFormat, torch.contiguousFormat)).toBe("torch.channels_last torch.contiguous_format");
  });

  test("tensors, modules and states move to the CPU, alone or with a type", () => {
    const cpu = torch.device("cpu");
    for (const same of [x.to(cpu), x.to("cpu"), x.to({ device: cpu }), x.cpu(), x.to(), x.pinMemory()])
      expect(same).toBe(x);
    for (const whole of [
      x.to(cpu, torch.int64),
      x.to({ device: "cpu", dtype: torch.int64, nonBlocking: true }),
      x.to("cpu", torch.int64, { nonBlocking: true }),
      x.to(torch.int64),
      x.to(torch.tensor(1)),
    ])
      expect(whole.dtype).toBe("int64");
    const copied = x.to(cpu, { copy: true });
    expect([copied === x, copied.tolist()]).toEqual([false, [1, 1]]);
    const model = new nn.Linear(2, 1);
    expect(model.to(cpu).to(cpu, torch.float32).to({ device: cpu, nonBlocking: true }).cpu()).toBe(model);
    const optimizer = new optim.Adam(model.parameters());
    model(x).sum().backward();
    optimizer.step();
    for (const state of optimizer.state.values())
      for (const [key, value] of Object.entries(state)) if (torch.isTensor(value)) state[key] = value.to(cpu);
    expect(optimizer.state.size).toBe(2);
  });

  test("are accepted and checked by every function that makes a tensor", () => {
    const device = torch.device("cpu");
    type Options = { device: torch.DeviceLike };
    const factories: Record<string, (options: Options) => Tensor> = {
      tensor: (o) => torch.tensor([1], o),
      tensorOfTensor: (o) => torch.tensor(x, o),
      asTensor: (o) => torch.asTensor([1], o),
      zeros: (o) => torch.zeros(2, o),
      ones: (o) => torch.ones([2], o),
      empty: (o) => torch.empty(2, o),
      full: (o) => torch.full([2], 1, o),
      zerosLike: (o) => torch.zerosLike(x, o),
      onesLike: (o) => torch.onesLike(x, o),
      emptyLike: (o) => torch.emptyLike(x, o),
      fullLike: (o) => torch.fullLike(x, 1, o),
      eye: (o) => torch.eye(2, o),
      arange: (o) => torch.arange(3, o),
      linspace: (o) => torch.linspace(0, 1, 3, o),
      logspace: (o) => torch.logspace(0, 1, 3, o),
      rand: (o) => torch.rand(2, o),
      randn: (o) => torch.randn([2], o),
      randLike: (o) => torch.randLike(x, o),
      randnLike: (o) => torch.randnLike(x, o),
      randint: (o) => torch.randint(3, [2], o),
      randintLike: (o) => torch.randintLike(x, 0, 3, o),
      randperm: (o) => torch.randperm(3, o),
      normal: (o) => torch.normal(0, 1, [2], o),
      trilIndices: (o) => torch.trilIndices(2, 2, o),
      newZeros: (o) => x.newZeros([2], o),
      newTensor: (o) => x.newTensor([1], o),
    };
    for (const [name, make] of Object.entries(factories)) {
      expect(torch.isTensor(make({ device })), name).toBe(true);
      expect(() => make({ device: "cuda" }), name).toThrow(NO_CUDA);
      const typed = { device, dtype: torch.float64 } as unknown as Options;
      expect(() => make(typed), name).toThrow(
        "float64 is not available: tensors are float32, int64, bool or complex64",
      );
    }
  });

  test("that aren't there are refused in PyTorch's words", () => {
    const model = new nn.Linear(1, 1);
    const calls = [
      () => x.cuda(),
      () => x.to("cuda"),
      () => x.to("cuda:1"),
      () => x.to(0),
      () => x.to(torch.device("cuda")),
      () => model.cuda(),
      () => model.to("cuda"),
      () => torch.cuda.currentDevice(),
    ];
    for (const call of calls) expect(call).toThrow(NO_CUDA);
    for (const make of [
      () => new nn.Linear(3, 4, { device: "cuda" }),
      () => new nn.Conv2d(3, 4, 3, { device: "cuda:0" }),
      () => new nn.LSTM(3, 4, { device: "cuda" }),
      () => new nn.BatchNorm2d(3, { device: "cuda" }),
    ])
      expect(make).toThrow(NO_CUDA);
    for (const place of [() => model.to("meta"), () => new nn.Linear(3, 4, { device: "meta" })])
      expect(place).toThrow("Layerwise has no meta device");
    expect(() => x.to("mps")).toThrow("PyTorch is not linked with support for mps devices");
    expect(() => torch.device("gpu")).toThrow(
      /^Expected one of cpu, cuda, .*, privateuseone device type at start of device string: gpu$/,
    );
    expect(() => x.to("cuda:x")).toThrow("Invalid device string: 'cuda:x'");
    expect(() => torch.device("")).toThrow("Device string must not be empty");
    expect(() => model.to("int64")).toThrow("nn.Module.to only accepts floating point or complex dtypes");
  });

  test("loaders accept what is for GPUs and workers", () => {
    const options = { batchSize: 2, pinMemory: true, numWorkers: 2, persistentWorkers: true };
    const loader = new data.DataLoader(new data.TensorDataset(torch.arange(4)), options);
    expect([...loader].map(([batch]) => batch.tolist())).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(() => new data.DataLoader([1], { numWorkers: -1 })).toThrow(
      "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.",
    );
  });
});

describe("element types", () => {
  test("that tensors can't have exist as names, and every use says what to do", () => {
    const { float64, float16, bfloat16, int32, int16, int8, uint8, complex128 } = torch;
    for (const name of [float64, float16, bfloat16, int32, int16, int8, uint8, complex128])
      expect(() => x.to(name), name).toThrow(
        expect.objectContaining({
          message: `${name} is not available: tensors are float32, int64, bool or complex64`,
          hint: expect.stringMatching(/float32|int64|complex64/),
        }),
      );
    const methods = ["double", "half", "bfloat16", "int", "short", "char", "byte"] as const;
    for (const method of methods) expect(() => x[method](), method).toThrow("is not available");
    expect(() => torch.sum(x, { dtype: torch.float64 as never })).toThrow("float64 is not available");
    const model = new nn.Linear(1, 1);
    for (const cast of ["double", "half", "bfloat16"] as const)
      expect(() => model[cast](), cast).toThrow("is not available");
    expect([torch.double, torch.half, torch.int, torch.short]).toEqual([
      "float64",
      "float16",
      "int32",
      "int16",
    ]);
  });

  test("the default is float32, and stays it", () => {
    expect(torch.getDefaultDtype()).toBe(torch.float32);
    torch.setDefaultDtype(torch.float32);
    expect(() => torch.setDefaultDtype(torch.float64)).toThrow("float64 is not available");
    expect(() => torch.setDefaultDtype(torch.int64)).toThrow(
      "only floating-point types are supported as the default type",
    );
  });

  test("have limits", () => {
    const { eps, max, min, tiny, smallestNormal, bits, resolution } = torch.finfo();
    expect([eps, max, min, tiny]).toEqual([
      1.1920928955078125e-7, 3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38,
    ]);
    expect([smallestNormal, bits, resolution]).toEqual([tiny, 32, 1e-6]);
    expect(printed(torch.finfo(torch.float32))).toBe(
      "finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, smallest_normal=1.17549e-38, tiny=1.17549e-38, dtype=float32)",
    );
    expect(String(torch.finfo(torch.float16))).toBe(
      "finfo(resolution=0.001, min=-65504, max=65504, eps=0.000976562, smallest_normal=6.10352e-05, tiny=6.10352e-05, dtype=float16)",
    );
    expect([torch.finfo(torch.float64).eps, torch.finfo(torch.float64).max]).toEqual([
      Number.EPSILON,
      Number.MAX_VALUE,
    ]);
    expect(inspect(torch.iinfo(torch.int64))).toBe("iinfo(min=-9.22337e+18, max=9.22337e+18, dtype=int64)");
    expect(String(torch.iinfo(torch.int32))).toBe("iinfo(min=-2.14748e+09, max=2.14748e+09, dtype=int32)");
    expect(String(torch.iinfo(torch.uint8))).toBe("iinfo(min=0, max=255, dtype=uint8)");
    expect(() => torch.finfo(torch.int64)).toThrow("torch.finfo() requires a floating point input type.");
    expect(() => torch.iinfo(torch.float32)).toThrow("torch.iinfo() requires an integer input type.");
    expect(() => torch.iinfo(torch.bool)).toThrow("torch.bool is not supported by torch.iinfo");
    const masked = torch.zeros(2).maskedFill(torch.tensor([true, false]), torch.finfo(torch.float32).min);
    expect(torch.isfinite(masked).tolist()).toEqual([true, true]);
  });

  test("constants and questions", () => {
    expect([torch.inf, torch.pi, torch.e, torch.nan]).toEqual([Infinity, Math.PI, Math.E, NaN]);
    expect([torch.isTensor(x), torch.isTensor(3), torch.numel(torch.ones(2, 3))]).toEqual([true, false, 6]);
    expect([torch.isFloatingPoint(x), torch.isFloatingPoint(torch.tensor(1))]).toEqual([true, false]);
  });
});

describe("sizes", () => {
  test("print as torch.Size, and are arrays", () => {
    const { shape } = torch.ones(2, 3);
    expect(printed(shape)).toBe("torch.Size([2, 3])");
    expect(printed(torch.ones(2, 1).size(), torch.tensor(1).shape, [...shape])).toBe(
      "torch.Size([2, 1]) torch.Size([]) [2, 3]",
    );
    expect(printed([shape, { shape }])).toBe("[torch.Size([2, 3]), {'shape': torch.Size([2, 3])}]");
    expect(String(shape)).toBe("torch.Size([2, 3])");
    // oxlint-disable-next-line typescript/restrict-template-expressions
    expect(`${torch.ones(2, 3).add(1).reshape(3, 2).t().shape}`).toBe("torch.Size([2, 3])");
    expect(shape).toEqual([2, 3]);
    expect(JSON.stringify({ shape })).toBe('{"shape":[2,3]}');
    const [rows, columns] = shape;
    expect([rows, columns, shape.length, shape.at(-1), Array.isArray(shape)]).toEqual([2, 3, 2, 3, true]);
    expect(torch.zeros(shape).shape).toEqual(shape);
    expect(torch.Size([2, 3]).numel()).toBe(6);
    expect(() => torch.Size([2.5])).toThrow("torch.Size() takes an iterable of 'int' (item 0 is 'float')");
  });

  test("are no longer the array that a tensor was made with", () => {
    const sizes = [2, 3];
    const made = torch.zeros(sizes);
    sizes[0] = 5;
    expect([made.shape, torch.ones(2, 3).shape]).toEqual([
      [2, 3],
      [2, 3],
    ]);
    expect(printed(sizes)).toBe("[5, 3]");
  });
});
