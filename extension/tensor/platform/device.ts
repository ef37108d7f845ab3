// Where tensors are: PyTorch's devices, of which there is one here. The engine decides what computes.
import { TensorError } from "../core/errors.ts";

const TYPES: readonly string[] =
  "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone".split(
    ", ",
  );

/** A device: `type` is "cpu" or another of PyTorch's, `index` its number if it was given. */
export class Device {
  readonly type: string;
  readonly index: number | null;

  /** @internal Users call `torch.device`. */
  constructor(type: string, index: number | null) {
    this.type = type;
    this.index = index;
  }

  /** As Python's `str`: `cuda:0`. */
  toString(): string {
    return this.index === null ? this.type : `${this.type}:${this.index}`;
  }

  /** As Python's `repr`: `device(type='cuda', index=0)`. */
  repr(): string {
    return `device(type='${this.type}'${this.index === null ? "" : `, index=${this.index}`})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.repr();
  }
}

/** A device, its name, or the number of a GPU. */
export type DeviceLike = Device | "cpu" | (string & {}) | number;

/** By name: equal devices are one object, so that `===` compares them. */
const known = new Map<string, Device>();

/**
 * A device by name (`"cpu"`, `"cuda:1"`), by type and index, or the GPU of a number. Any of PyTorch's can be named; only
 * the CPU has tensors.
 * @throws TensorError "Expected one of cpu, cuda, … device type at start of device string: gpu", "Invalid device string"
 */
export function device(name: DeviceLike, index?: number): Device {
  if (name instanceof Device) return name;
  const text = typeof name === "number" ? `cuda:${name}` : index === undefined ? name : `${name}:${index}`;
  let found = known.get(text);
  if (found === undefined) known.set(text, (found = parse(text)));
  return found;
}

function parse(text: string): Device {
  if (text === "") throw new TensorError("value", "Device string must not be empty");
  const [type = "", ...rest] = text.split(":");
  if (!TYPES.includes(type)) {
    throw new TensorError(
      "value",
      `Expected one of ${TYPES.join(", ")} device type at start of device string: ${type}`,
    );
  }
  if (rest.length === 0) return new Device(type, null);
  if (rest.length > 1 || !/^\d+$/.test(rest[0]!)) {
    throw new TensorError("value", `Invalid device string: '${text}'`);
  }
  return new Device(type, Number(rest[0]));
}

export const CPU = device("cpu");

/** @throws TensorError "Torch not compiled with CUDA enabled", for every device but the CPU */
export function requireCpu(place: DeviceLike): void {
  const { type } = device(place);
  if (type === "cpu") return;
  if (type === "meta") {
    throw new TensorError(
      "unsupported",
      "Layerwise has no meta device",
      "it has no need of one: a model's values are computed when they are first read, and loadStateDict(state, { assign: true }) puts others in their place",
    );
  }
  throw new TensorError(
    "unsupported",
    type === "cuda" || type === "xpu"
      ? `Torch not compiled with ${type.toUpperCase()} enabled`
      : `PyTorch is not linked with support for ${type} devices`,
    'tensors are on the CPU: use torch.device("cpu"). The setting layerwise.device says which engine computes',
  );
}

let preferred = CPU;

/** The device of new tensors. */
export const getDefaultDevice = (): Device => preferred;

/** @throws TensorError for every device but the CPU */
export function setDefaultDevice(place: DeviceLike): void {
  requireCpu(place);
  preferred = device(place);
}
