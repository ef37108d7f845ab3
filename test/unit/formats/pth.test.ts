import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodePth,
  isTuple,
  memoryStorage,
  openPth,
  OrderedDict,
  PthDtype,
  PthTensor,
  readPth,
  UnwritableError,
  wholeTensor,
  type PthKey,
  type PthValue,
} from "../../../extension/formats/pth/pth.ts";
import { craft } from "./crafted.ts";
import { TORCH_DTYPES } from "../../../extension/formats/pth/pthObjects.ts";
import { DTYPE_BYTES, type StoredDtype } from "../../../extension/formats/tensorData.ts";

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/formats/${name}`, import.meta.url));

type Facts = Record<string, [dtype: string, shape: number[], bytes: string]>;
const expected = JSON.parse(fixture("pth.json").toString()) as Record<
  "types" | "views" | "parameters" | "tied",
  Facts
>;

type Dict = ReadonlyMap<PthKey, PthValue>;
type Tensors = ReadonlyMap<string, PthTensor>;

const facts = (tensors: unknown): Facts =>
  Object.fromEntries(
    [...(tensors as Tensors)].map(([name, tensor]) => {
      const { dtype, shape, data } = tensor.entry(name);
      const torch = Object.keys(TORCH_DTYPES).find((known) => TORCH_DTYPES[known] === dtype)!;
      return [name, [torch, [...shape], Buffer.from(data).toString("hex")]];
    }),
  );

describe("a file of PyTorch with everything in it", () => {
  const read = readPth(fixture("everything.pth")) as Dict;
  const get = (name: string): Dict => read.get(name) as Dict;

  test.each(["types", "views", "parameters", "tied"] as const)("%s", (part) => {
    expect(facts(get(part))).toEqual(expected[part]);
  });

  test("parameters are known, and what requires a gradient", () => {
    const flags = [...(get("parameters") as unknown as Tensors)].map(([name, tensor]) => [
      name,
      tensor.parameter,
      tensor.requiresGrad,
    ]);
    expect(flags).toEqual([
      ["free", true, true],
      ["frozen", true, false],
      ["tagged", true, true],
      ["attributed", false, false],
      ["leaf", false, true],
    ]);
  });

  test("views and tied weights share their storage, which is in memory once", () => {
    const views = get("views") as unknown as Tensors;
    const base = views.get("base")!;
    expect(views.get("transposed")!.storage).toBe(base.storage);
    expect(base.data().buffer).toBe(views.get("part")!.data().buffer);
    const tied = get("tied") as unknown as Tensors;
    expect(tied.get("a.weight")!.storage).toBe(tied.get("b.weight")!.storage);
  });

  test("a state dict is an OrderedDict with its metadata", () => {
    const tied = read.get("tied");
    expect(tied).toBeInstanceOf(OrderedDict);
    expect((tied as OrderedDict).attributes).toEqual(
      new Map([
        [
          "_metadata",
          new OrderedDict([
            ["", new Map([["version", 1]])],
            ["a", new Map([["version", 1]])],
            ["b", new Map([["version", 1]])],
          ]),
        ],
      ]),
    );
  });

  test("plain data keeps its types, its keys and their order", () => {
    const plain = get("plain");
    expect([...plain.keys()]).toEqual([
      "set",
      "bytes",
      "bytearray",
      "size",
      "device",
      "dtype",
      "long",
      "negative",
      "whole",
      "counter",
      3,
      -1,
      "tuple",
      [0, 1],
      "text",
      "nan",
      "no",
      "ordered",
    ]);
    expect(plain.get("set")).toEqual(new Set([1, "a"]));
    expect(plain.get("bytes")).toEqual(Uint8Array.of(97, 0, 255));
    expect(plain.get("bytearray")).toEqual(Uint8Array.of(128, 98));
    expect([plain.get("size"), isTuple(plain.get("size"))]).toEqual([[2, 3], true]);
    expect(plain.get("device")).toBe("cuda:1");
    expect(plain.get("dtype")).toEqual(new PthDtype("bfloat16"));
    expect(plain.get("long")).toBe(2n ** 70n);
    expect(plain.get("negative")).toBe(-(2 ** 33));
    expect(plain.get("counter")).toEqual(
      new Map([
        ["a", 2],
        ["b", 1],
      ]),
    );
    expect([plain.get(3), plain.get(-1), plain.get("nan")]).toEqual([null, true, Number.NaN]);
    const tuple = plain.get("tuple") as unknown[];
    expect(tuple).toEqual([1, [2, [3]]]);
    expect([isTuple(tuple), isTuple(tuple[1]), isTuple((tuple[1] as unknown[])[1])]).toEqual([
      true,
      false,
      true,
    ]);
    expect(plain.get("text")).toBe("ü 😀");
    expect([...(plain.get("ordered") as Dict)]).toEqual([
      [1, 2],
      ["x", 3],
    ]);
  });

  test("what is written reads back, and again the same bytes", () => {
    const written = encodePth(read);
    const again = readPth(written) as Dict;
    for (const part of ["types", "views", "parameters", "tied"] as const)
      expect(facts(again.get(part))).toEqual(expected[part]);
    expect(again.get("plain")).toEqual(read.get("plain"));
    expect((again.get("tied") as OrderedDict).attributes).toEqual(
      (read.get("tied") as OrderedDict).attributes,
    );
    expect(Buffer.from(encodePth(again)).equals(written)).toBe(true);
  });

  test("opened, tensors are read one by one", () => {
    const file = openPth(fixture("everything.pth"));
    expect(facts((file.value as Dict).get("views"))).toEqual(expected.views);
    file.close();
  });
});

test("the format before 1.6", () => {
  for (const value of [readPth(fixture("legacy.pth")), openPth(fixture("legacy.pth")).value] as Dict[]) {
    expect(facts(value.get("types"))).toEqual(expected.types);
    expect(facts(value.get("views"))).toEqual(expected.views);
  }
  const cut = fixture("legacy.pth");
  expect(() => readPth(cut.subarray(0, cut.length - 1))).toThrow(/the file is cut off/);
  expect(() => readPth(Buffer.concat([cut, cut]))).toThrow("followed by other bytes");
});

function vector(...values: number[]): PthTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return wholeTensor(memoryStorage("F32", bytes), "F32", [values.length]);
}

const STORABLE = Object.values(TORCH_DTYPES);
const anyTensor = fc
  .tuple(fc.constantFrom<StoredDtype>(...STORABLE), fc.array(fc.nat(3), { maxLength: 3 }), fc.nat(255))
  .map(([dtype, shape, fill]) => {
    const bytes = new Uint8Array(DTYPE_BYTES[dtype] * shape.reduce((a, b) => a * b, 1)).fill(fill);
    return wholeTensor(memoryStorage(dtype, bytes), dtype, shape);
  });
const anyKey = fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean(), fc.constant(null));
const { value: anyValue } = fc.letrec<{ value: PthValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    anyTensor,
    fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.double(), fc.string({ unit: "grapheme" })),
    fc.bigInt().map((x) => (Number.isSafeInteger(Number(x)) ? Number(x) : x)),
    fc.maxSafeInteger(),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => Object.freeze(items)),
    fc.array(fc.tuple(anyKey, tie("value")), { maxLength: 4 }).map((items) => new Map(items)),
    fc
      .array(fc.tuple(anyKey, tie("value")), { maxLength: 4 })
      .map((items) => new OrderedDict<PthKey, PthValue>(items)),
  ),
}));

/** Tensors as what is in them: storages have other names after reading. */
function plain(value: PthValue): unknown {
  if (value instanceof PthTensor) return value.entry("tensor");
  if (value instanceof Map)
    return [value.constructor.name, ...[...value].map(([key, one]: [PthKey, PthValue]) => [key, plain(one)])];
  if (!Array.isArray(value)) return value;
  return [isTuple(value) ? "tuple" : "list", ...(value as PthValue[]).map(plain)];
}

test("whatever is written reads back", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(plain(readPth(encodePth(value)))).toEqual(plain(value));
    }),
    { numRuns: 300 },
  );
});

test.each<[string, unknown, string]>([
  ["a function", new Map([["a", [1, () => 1]]]), '["a"][1] is a function'],
  ["undefined", new Map([["a", undefined]]), '["a"] is undefined'],
  ["an object of a class", [new Date(0)], "[0] is an object of Date"],
  ["a broken text", "\ud800", "the value is a text with unpaired surrogates"],
])("what can't be written is told: %s", (_, value, message) => {
  expect(() => encodePth(value as PthValue)).toThrow(UnwritableError);
  expect(() => encodePth(value as PthValue)).toThrow(message);
});

test("small integers and texts are memoised without being taken for each other", () => {
  const value = ["ctorch\nFloatStorage\n", vector(1), "ctorch\nFloatStorage\n", "X", "XX"];
  expect(plain(readPth(encodePth(value)))).toEqual(plain(value));
});

test("parsed arguments and defaultdicts are read as dicts", () => {
  // pickle.dumps({"a": Namespace(lr=0.5, n=3), "d": defaultdict(list, x=[1])}, 2)
  const pickle =
    "}q\0(X\x01\0\0\0aq\x01cargparse\nNamespace\nq\x02)\x81q\x03}q\x04(X\x02\0\0\0lrq\x05G?\xe0\0\0\0\0\0\0" +
    "X\x01\0\0\0nq\x06K\x03ubX\x01\0\0\0dq\x07ccollections\ndefaultdict\nq\x08c__builtin__\nlist\nq\t\x85q\nRq\x0b" +
    "X\x01\0\0\0xq\x0c]q\rK\x01asu.";
  const read = readPth(craft(pickle, {})) as Dict;
  expect([...(read.get("a") as Dict)]).toEqual([
    ["lr", 0.5],
    ["n", 3],
  ]);
  expect([...(read.get("d") as Dict)]).toEqual([["x", [1]]]);
});
