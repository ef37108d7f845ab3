import { ownValue } from "../../protocol/data/own.ts";
import { PICKLE, quote, type Budget, type Fail } from "./pthError.ts";
import { checkedTensor, PthStorage, PthTensor } from "./pthTensor.ts";
import { DTYPE_BYTES, type StoredDtype } from "../tensorData.ts";
import { describe, isTuple, NAMESPACE, OrderedDict, PickleGlobal } from "./unpickler.ts";

/** An element type as a value: `torch.float32`. */
export class PthDtype {
  /** PyTorch's name, without `torch.`. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Types of storages by PyTorch's name of their class; `undefined` for plain bytes. */
export const STORAGE_TYPES: Readonly<Record<string, StoredDtype | undefined>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
  ComplexFloatStorage: "C64",
  ComplexDoubleStorage: "C128",
  UntypedStorage: undefined,
};

/** Element types by PyTorch's name. */
export const TORCH_DTYPES: Readonly<Record<string, StoredDtype>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  float8_e8m0fnu: "F8_E8M0",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
  complex64: "C64",
  complex128: "C128",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
};

/** The class of a storage. */
export class StorageType extends PickleGlobal {
  readonly dtype: StoredDtype | undefined;

  constructor(name: string) {
    super(`torch.${name}`);
    this.dtype = STORAGE_TYPES[name];
  }
}

/** Arguments that a message lists: a call may have millions. */
const MAX_SHOWN = 8;

const OFTEN_ASKED: Readonly<Record<string, string>> = {
  "numpy.core.multiarray.scalar": "it is a number of NumPy; save float(x) instead",
  "numpy._core.multiarray.scalar": "it is a number of NumPy; save float(x) instead",
};

/** Python's names of classes begin with a capital. */
const CLASS_NAME = /^[A-Z]/;
const WHOLE_MODEL =
  ". If the file holds a whole model, save its weights instead: torch.save(model.state_dict(), file)";

/**
 * The classes and functions that a `.pth` file may name, each with what it makes here. This list is all there is:
 * whatever else a file names is refused.
 */
export class AllowedGlobals {
  readonly #fail: Fail;
  readonly #budget: Budget;
  readonly #byPath: ReadonlyMap<string, unknown>;

  constructor(fail: Fail, budget: Budget) {
    this.#fail = fail;
    this.#budget = budget;
    const calls: Record<string, ((args: readonly unknown[]) => unknown) | undefined> = {
      "collections.OrderedDict": (args) => this.#dict("OrderedDict", new OrderedDict(), args),
      "collections.Counter": (args) => this.#dict("Counter", new Map(), args),
      "collections.defaultdict": (args) => this.#defaultDict(args),
      "builtins.set": (args) => this.#set(args),
      "builtins.bytearray": (args) => this.#byteArray(args),
      "_codecs.encode": (args) => this.#encode(args),
      "torch.Size": (args) => this.#size(args),
      "torch.device": (args) => this.#device(args),
      "torch._utils._rebuild_tensor": (args) => this.#tensor("_rebuild_tensor", 4, args),
      "torch._utils._rebuild_tensor_v2": (args) => this.#tensor("_rebuild_tensor_v2", 6, args),
      "torch._utils._rebuild_tensor_v3": (args) => this.#tensor("_rebuild_tensor_v3", 7, args),
      "torch._utils._rebuild_parameter": (args) => this.#parameter("_rebuild_parameter", args),
      "torch._utils._rebuild_parameter_with_state": (args) =>
        this.#parameter("_rebuild_parameter_with_state", args),
      "torch._tensor._rebuild_from_type_v2": (args) => this.#fromType(args),
      // Only named, as what a defaultdict makes for missing keys.
      "builtins.list": undefined,
      "builtins.dict": undefined,
      "builtins.int": undefined,
      "builtins.float": undefined,
      "builtins.str": undefined,
      "builtins.bool": undefined,
      // Made without a call.
      [NAMESPACE]: undefined,
      // Only named, as the type of a tensor.
      "torch.Tensor": undefined,
      "torch.nn.parameter.Parameter": undefined,
    };
    this.#byPath = new Map<string, unknown>([
      ...Object.entries(calls).map(([path, call]): [string, unknown] => [path, new PickleGlobal(path, call)]),
      ...Object.keys(STORAGE_TYPES).flatMap((name): [string, unknown][] => {
        const type = new StorageType(name);
        return ["torch", "torch.cuda", "torch.storage"].map((module) => [`${module}.${name}`, type]);
      }),
      ...Object.keys(TORCH_DTYPES).map((name): [string, unknown] => [`torch.${name}`, new PthDtype(name)]),
    ]);
  }

  /** @throws PthError "global" naming what is not allowed */
  get(module: string, name: string): unknown {
    // Python 2's name of the module, which protocol 2 keeps.
    const path = `${module === "__builtin__" ? "builtins" : module}.${name}`;
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const hint =
      ownValue(OFTEN_ASKED, path) ??
      "only tensors and plain data are loaded, and nothing in a file is run" +
        (CLASS_NAME.test(name) ? WHOLE_MODEL : "");
    return this.#fail("global", `the file asks for ${quote(path)}, which is not allowed: ${hint}`);
  }

  #bad(name: string, args: readonly unknown[]): never {
    const shown = args.slice(0, MAX_SHOWN).map(describe);
    return this.#fail(
      "pickle",
      `${name} is called with (${shown.join(", ")}${args.length > MAX_SHOWN ? ", …" : ""})`,
    );
  }

  #dict(name: string, dict: Map<unknown, unknown>, args: readonly unknown[]): Map<unknown, unknown> {
    const [items = []] = args;
    if (args.length > 1) return this.#bad(name, args);
    if (!Array.isArray(items) && !(items instanceof Map)) return this.#bad(name, args);
    // First: the same list can be given to as many calls as there are bytes.
    this.#budget.take(64 * (Array.isArray(items) ? items.length : items.size), PICKLE);
    for (const item of items as Iterable<unknown>) {
      if (!Array.isArray(item) || item.length !== 2) return this.#bad(name, args);
      const [key, value] = item as [unknown, unknown];
      if (typeof key === "object" && key !== null) return this.#bad(name, args);
      dict.set(key, value);
    }
    return dict;
  }

  /** A dict; what it would make for a missing key is left out. Items are set after the call. */
  #defaultDict(args: readonly unknown[]): Map<unknown, unknown> {
    const [factory = null] = args;
    return args.length > 1 || !(factory === null || factory instanceof PickleGlobal)
      ? this.#bad("defaultdict", args)
      : new Map();
  }

  #set(args: readonly unknown[]): ReadonlySet<unknown> {
    const [items = []] = args;
    if (args.length > 1 || !Array.isArray(items)) return this.#bad("set", args);
    this.#budget.take(64 * items.length, PICKLE);
    return new Set(items);
  }

  #encode(args: readonly unknown[]): Uint8Array {
    const [text, encoding] = args;
    if (typeof text === "string") this.#budget.take(text.length, PICKLE);
    if (args.length !== 2 || typeof text !== "string" || encoding !== "latin1" || /[^\0-\xff]/.test(text))
      return this.#bad("encode", args);
    return Uint8Array.from(Buffer.from(text, "latin1"));
  }

  #byteArray(args: readonly unknown[]): Uint8Array {
    if (args.length === 0) return new Uint8Array();
    if (args.length === 2) return this.#encode([args[0], args[1] === "latin-1" ? "latin1" : args[1]]);
    return args.length === 1 && args[0] instanceof Uint8Array ? args[0] : this.#bad("bytearray", args);
  }

  #size(args: readonly unknown[]): readonly unknown[] {
    const [size] = args;
    if (isTuple(size)) this.#budget.take(16 * size.length, PICKLE);
    if (args.length !== 1 || !isTuple(size) || !size.every(Number.isSafeInteger))
      return this.#bad("Size", args);
    return size;
  }

  #device(args: readonly unknown[]): string {
    const [type, index] = args;
    if (typeof type !== "string" || args.length > 2) return this.#bad("device", args);
    if (index === undefined) return type;
    return typeof index === "number" ? `${type}:${index}` : this.#bad("device", args);
  }

  /** Arguments: storage, offset, size, strides, then requires_grad, hooks, then dtype, and last perhaps metadata. */
  #tensor(name: string, count: number, args: readonly unknown[]): PthTensor {
    const [storage, offset, shape, strides, requiresGrad = false, hooks, typeName] = args;
    const metadata = args[count];
    if (
      args.length < count ||
      args.length > count + 1 ||
      !(storage instanceof PthStorage) ||
      typeof requiresGrad !== "boolean" ||
      !isEmpty(hooks)
    )
      return this.#bad(name, args);
    if (!isEmpty(metadata))
      return this.#fail("tensor", "a tensor is a conjugate or negative view; save x.clone() instead");
    let dtype = storage.dtype ?? "U8";
    if (count === 7)
      dtype =
        (typeName instanceof PthDtype ? TORCH_DTYPES[typeName.name] : undefined) ?? this.#bad(name, args);
    return checkedTensor({ dtype, shape, strides, offset, storage, requiresGrad }, this.#fail, this.#budget);
  }

  #parameter(name: string, args: readonly unknown[]): PthTensor {
    const [tensor, requiresGrad, hooks] = args;
    if (!(tensor instanceof PthTensor) || typeof requiresGrad !== "boolean" || !isEmpty(hooks))
      return this.#bad(name, args);
    return new PthTensor({ ...viewOf(tensor), requiresGrad, parameter: true });
  }

  /** A tensor with attributes of its own, which are left out: function, type, arguments, attributes. */
  #fromType(args: readonly unknown[]): unknown {
    const [made, type, inner] = args;
    const plain =
      type instanceof PickleGlobal && /^torch\.(Tensor|nn\.parameter\.Parameter)$/.test(type.path);
    if (args.length !== 4 || !plain || !(made instanceof PickleGlobal) || !isTuple(inner))
      return this.#bad("_rebuild_from_type_v2", args);
    if (!made.path.startsWith("torch._utils._rebuild_")) return this.#bad("_rebuild_from_type_v2", args);
    return made.call!(inner);
  }
}

function viewOf({
  dtype,
  shape,
  strides,
  offset,
  storage,
}: PthTensor): Omit<ConstructorParameters<typeof PthTensor>[0], "requiresGrad" | "parameter"> {
  return { dtype, shape, strides, offset, storage };
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (value instanceof Map && value.size === 0);
}

/** PyTorch's keys are numbers. */
const MAX_KEY = 128;

/**
 * The persistent id of a storage: "storage", its class, its key, the device it was on (all are read to the host), its
 * number of elements.
 */
export function storageId(
  id: unknown,
  fail: Fail,
): { type: StorageType; key: string; bytes: number; rest: readonly unknown[] } {
  if (!isTuple(id) || id[0] !== "storage")
    return fail("pickle", `the persistent id ${describe(id)} is no storage`);
  const [, type, key, device, count, ...rest] = id;
  if (!(type instanceof StorageType)) return fail("pickle", `${describe(type)} is no type of a storage`);
  if (typeof key !== "string" || key.length > MAX_KEY || !/^[\w-]+$/.test(key))
    return fail("pickle", `a storage has the key ${describe(key)}`);
  if (typeof device !== "string" || device === "meta")
    return fail("pickle", `storage ${quote(key)} is on the device ${describe(device)}`);
  // A count may be a bigint, which can't be multiplied with a number.
  const elements = Number.isSafeInteger(count) ? (count as number) : Number.NaN;
  const bytes = elements * (type.dtype === undefined ? 1 : DTYPE_BYTES[type.dtype]);
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    return fail("pickle", `storage ${quote(key)} has no valid number of elements`);
  return { type, key, bytes, rest };
}
