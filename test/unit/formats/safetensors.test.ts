import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeSafetensors,
  loadSafetensors,
  readSafetensors,
  type SafetensorsDefect,
  SafetensorsError,
  writeSafetensors,
} from "../../../extension/formats/safetensors/safetensors.ts";
import { DTYPE_BYTES, type StoredDtype, type TensorEntry } from "../../../extension/formats/tensorData.ts";
import { useFolder } from "../../folders.ts";
import { processorClock } from "../../bounds.ts";

/** C128 is PyTorch's alone. */
const SAFETENSORS_DTYPES = (Object.keys(DTYPE_BYTES) as StoredDtype[]).filter((dtype) => dtype !== "C128");

/** A file of a header, as JSON text or value, and zeros. */
function craft(header: unknown, dataBytes = 0, text = JSON.stringify(header)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const info = (...data_offsets: number[]): object => ({ dtype: "F32", shape: [1], data_offsets });

function refusal(source: Uint8Array): SafetensorsError {
  try {
    loadSafetensors(source, "m.safetensors");
  } catch (error) {
    if (error instanceof SafetensorsError) return error;
    throw error;
  }
  throw new Error("it was loaded");
}

const tensor = (name: string, dtype: StoredDtype, shape: number[], fill = 0): TensorEntry => ({
  name,
  dtype,
  shape,
  data: new Uint8Array(shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype])).fill(fill),
});

const folder = useFolder();

describe("every defect has its message", () => {
  test.each<[SafetensorsDefect["code"], Uint8Array, string]>([
    [
      "file-too-short",
      Uint8Array.of(1, 2),
      "too short for a safetensors file, which starts with 8 bytes of header length",
    ],
    [
      "header-too-large",
      new Uint8Array(9).fill(255),
      "the header would be 18,446,744,073,709,551,615 bytes, above the limit of 100,000,000 bytes; this is probably no safetensors file",
    ],
    [
      "header-truncated",
      craft({}).subarray(0, 9),
      "the header of 2 bytes goes beyond the end of the file; the file is cut off or no safetensors file",
    ],
    ["header-start", craft(0, 0, " {}"), "the header does not start with '{'; this is no safetensors file"],
    ["header-json", craft(0, 0, '{"a":}'), "the header is not valid JSON: expected a value at position 5"],
    [
      "header-depth",
      craft({ a: { ...info(0, 4), x: JSON.parse("[".repeat(20) + "]".repeat(20)) } }, 4),
      "the header is nested deeper than 16 levels at position 71",
    ],
    [
      "duplicate-key",
      craft(0, 4, '{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}'),
      'the header has the key "shape" twice in one object',
    ],
    ["metadata", craft({ __metadata__: null }), "__metadata__ must be an object of strings"],
    [
      "metadata",
      craft({ __metadata__: { a: 1 } }),
      '__metadata__ must be an object of strings, but "a" is none',
    ],
    ["tensor-info", craft({ a: ["F32", [1], [0, 4]] }, 4), 'tensor "a" must be described by an object'],
    ["missing-field", craft({ a: { dtype: "F32", shape: [1] } }), 'tensor "a" has no data_offsets'],
    [
      "unknown-dtype",
      craft({ a: { ...info(0, 4), dtype: "C128" } }, 4),
      'tensor "a" has the unknown dtype "C128"',
    ],
    [
      "unknown-dtype",
      craft({ a: { ...info(0, 4), dtype: 3 } }, 4),
      'tensor "a" has the unknown dtype "bigint"',
    ],
    [
      "shape",
      craft({ a: { ...info(0, 4), shape: "1" } }, 4),
      'tensor "a": shape must be a list of whole numbers from 0 to 2^53-1',
    ],
    [
      "offsets",
      craft({ a: info(0, 4, 8) }, 4),
      'tensor "a": data_offsets must be two whole numbers, begin <= end',
    ],
    [
      "offsets",
      craft({ a: info(4, 0) }, 4),
      'tensor "a": data_offsets must be two whole numbers, begin <= end',
    ],
    [
      "overflow",
      craft({ a: { ...info(0, 4), shape: [2 ** 40, 2 ** 40, 0] } }, 4),
      'tensor "a": shape [1099511627776, 1099511627776, 0] has more bytes than can be counted',
    ],
    [
      "size-mismatch",
      craft({ a: info(0, 5) }, 5),
      'tensor "a": F32 of shape [1] takes 4 bytes, but there are 5 bytes',
    ],
    ["hole", craft({ a: info(0, 4), b: info(8, 12) }, 12), 'tensor "b" begins at 8, leaving a hole after 4'],
    [
      "overlap",
      craft({ a: info(0, 4), b: info(2, 6) }, 6),
      'tensor "b" begins at 2, inside the tensor before it, which ends at 4',
    ],
    [
      "data-truncated",
      craft({ a: { ...info(0, 4096), shape: [1024] } }, 1000),
      "the header declares 4,096 bytes of data, but only 1,000 bytes follow it; 3,096 bytes are missing",
    ],
    [
      "trailing-data",
      craft({ a: info(0, 4) }, 5),
      "the header declares 4 bytes of data, but 5 bytes follow it",
    ],
  ])("%s", (code, bytes, message) => {
    const error = refusal(bytes);
    expect(error.defect.code).toBe(code);
    expect(error.message).toBe(`m.safetensors (${bytes.length.toLocaleString("en-US")} bytes): ${message}`);
    expect(error.fileBytes).toBe(bytes.length);
  });

  test("header-utf8", () => {
    const bytes = craft(0, 0, '{"a":1}');
    bytes[10] = 0xff;
    expect(refusal(bytes).message).toBe("m.safetensors (15 bytes): the header is not valid UTF-8");
  });

  test("long names and shapes are cut", () => {
    const { message } = refusal(
      craft({ ["n".repeat(5000)]: { ...info(0, 4), shape: Array(900).fill(2 ** 20) } }, 4),
    );
    expect(message.length).toBeLessThan(500);
    expect(message).toContain('n…"');
  });
});

describe("accepted", () => {
  test("tensors in any order in the header, empty ones between", () => {
    const bytes = craft({ b: info(4, 8), e: { ...info(4, 4), shape: [0, 7] }, a: info(0, 4) }, 8);
    expect([...readSafetensors(bytes).tensors.keys()]).toEqual(["a", "e", "b"]);
  });

  test("unknown fields of a tensor, and space after the header", () => {
    const text = `{"a":{"dtype":"U8","note":{"by":["x"]},"shape":[],"data_offsets":[0,1]}}\n\t `;
    const { entries } = loadSafetensors(craft(0, 1, text));
    expect(entries).toEqual([{ name: "a", dtype: "U8", shape: [], data: Uint8Array.of(0) }]);
  });

  test("nothing at all", () => {
    expect(loadSafetensors(craft({}))).toEqual({ metadata: new Map(), entries: [] });
  });
});

describe("reading a file", () => {
  test("only the header is read at first, then each tensor by itself", () => {
    const path = join(folder, "m.safetensors");
    writeSafetensors(
      path,
      [tensor("a", "F32", [2], 1), tensor("b", "U8", [3], 2)],
      new Map([["format", "pt"]]),
    );
    const file = readSafetensors(path);
    expect(file.metadata).toEqual(new Map([["format", "pt"]]));
    expect(file.tensors).toEqual(
      new Map<string, object>([
        ["a", { dtype: "F32", shape: [2], begin: 0, end: 8 }],
        ["b", { dtype: "U8", shape: [3], begin: 8, end: 11 }],
      ]),
    );
    expect(file.read("b").data).toEqual(Uint8Array.of(2, 2, 2));
    expect(() => file.read("c")).toThrow(/no tensor "c" among the 2 of the file$/);

    // Saving over it gives the open file's readers the old content; cutting it off is noticed.
    writeSafetensors(path, [tensor("z", "U8", [1])]);
    expect(file.read("a").data).toEqual(new Uint8Array(8).fill(1));
    file.close();
    expect(() => file.read("a")).toThrow(/EBADF/);
    const reopened = readSafetensors(path);
    truncateSync(path, reopened.fileBytes - 1);
    expect(() => reopened.read("z")).toThrow(/the file was cut off while tensor "z" was read$/);
    reopened.close();
  });

  test("a refused file is closed", () => {
    const path = join(folder, "bad.safetensors");
    writeFileSync(path, craft({ a: info(0, 5) }, 5));
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = process.platform === "linux" ? open() : 0;
    for (let i = 0; i < 20; i++) expect(() => readSafetensors(path)).toThrow(SafetensorsError);
    if (process.platform === "linux") expect(open()).toBeLessThan(before + 10);
  });

  test("a missing file is the system's error", () => {
    expect(() => readSafetensors(join(folder, "none"))).toThrow(/ENOENT/);
  });

  test("a tensor's bytes start where any element type may start", () => {
    const path = join(folder, "m.safetensors");
    writeFileSync(
      path,
      craft(
        {
          u: { dtype: "U8", shape: [3], data_offsets: [0, 3] },
          d: { dtype: "F64", shape: [1], data_offsets: [3, 11] },
        },
        11,
      ),
    );
    const { entries } = loadSafetensors(path);
    expect(entries.map(({ data }) => data.byteOffset % 8)).toEqual([0, 0]);
  });
});

describe("writing", () => {
  test("every type and odd name gives the reference writer's bytes", () => {
    const path = fileURLToPath(new URL("../../fixtures/formats/reference.safetensors", import.meta.url));
    const { metadata, entries } = loadSafetensors(path);
    expect(entries).toHaveLength(29);
    // PyTorch has no six-bit floats.
    const types = SAFETENSORS_DTYPES.filter((dtype) => !dtype.startsWith("F6_"));
    expect(new Set(entries.map(({ dtype }) => dtype))).toEqual(new Set(types));
    for (const order of [entries, entries.toReversed()]) {
      expect(Buffer.from(encodeSafetensors(order, metadata)).equals(readFileSync(path))).toBe(true);
    }
    const copy = join(folder, "copy.safetensors");
    writeSafetensors(copy, entries, metadata);
    expect(readFileSync(copy).equals(readFileSync(path))).toBe(true);
    expect(readdirSync(folder)).toEqual(["copy.safetensors"]);
  });

  test.each<[string, TensorEntry[], string]>([
    ["a name twice", [tensor("a", "U8", [1]), tensor("a", "F32", [1])], 'two tensors are named "a"'],
    ["a reserved name", [tensor("__metadata__", "U8", [1])], "no tensor can be named __metadata__"],
    [
      "data that does not fit",
      [{ ...tensor("a", "F32", [2]), shape: [3] }],
      'tensor "a": F32 of shape [3] takes 12 bytes, but there are 8 bytes',
    ],
    [
      "a fraction in a shape",
      [{ ...tensor("a", "U8", [1]), shape: [0.5] }],
      'tensor "a": shape must be a list of whole numbers from 0 to 2^53-1',
    ],
    [
      "a name that is no Unicode",
      [tensor("a\ud800", "U8", [1])],
      '"a\\ud800" has unpaired surrogates and cannot be written',
    ],
  ])("%s is refused, and the old file stays", (_, entries, message) => {
    const path = join(folder, "m.safetensors");
    writeFileSync(path, "old");
    expect(() => writeSafetensors(path, entries)).toThrow(`${path}: ${message}`);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["m.safetensors"]);
  });
});

/** Extents, the last one such that elements of less than a byte fill whole bytes. */
const anyShape = fc.array(fc.nat(4), { maxLength: 3 }).map((shape) => [...shape, 4]);

const anyEntries = fc.uniqueArray(
  fc.tuple(
    fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => name !== "__metadata__"),
    fc.constantFrom(...SAFETENSORS_DTYPES),
    anyShape,
    fc.nat(255),
  ),
  { selector: ([name]) => name, maxLength: 8 },
);

test("what is written reads back", () => {
  const texts = fc.uniqueArray(fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" })), {
    selector: ([key]) => key,
    maxLength: 4,
  });
  fc.assert(
    fc.property(anyEntries, texts, (specs, pairs) => {
      const entries = specs.map((spec) => tensor(...spec));
      const bytes = encodeSafetensors(entries, new Map(pairs));
      expect(bytes.length % 8).toBe(entries.reduce((sum, { data }) => sum + data.length, 0) % 8);
      const loaded = loadSafetensors(bytes);
      expect(loaded.metadata).toEqual(new Map(pairs));
      const byName = (a: TensorEntry, b: TensorEntry): number => (a.name < b.name ? -1 : 1);
      const plain = loaded.entries.map((entry) => ({ ...entry, data: Uint8Array.from(entry.data) }));
      expect(plain.sort(byName)).toEqual(entries.sort(byName));
    }),
    { numRuns: 100 },
  );
});

test("damaged files end in a SafetensorsError or in tensors that fit the file", () => {
  fc.assert(
    fc.property(
      anyEntries,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      (specs, edits, cut) => {
        const bytes = Uint8Array.from(encodeSafetensors(specs.map((spec) => tensor(...spec))));
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        const damaged = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
        try {
          const { entries } = loadSafetensors(damaged);
          const total = entries.reduce((sum, { data }) => sum + data.length, 0);
          expect(total).toBeLessThanOrEqual(damaged.length);
          for (const { dtype, shape, data } of entries) {
            expect(DTYPE_BYTES[dtype] * shape.reduce((a, b) => a * b, 1)).toBe(data.length);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(SafetensorsError);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a large hostile header is refused in little time", () => {
  const deep = craft(0, 0, `{"a":${"[".repeat(3_000_000)}`);
  const long = craft(0, 0, `{"${"x".repeat(3_000_000)}`);
  const digits = craft(0, 0, `{"a":${"9".repeat(3_000_000)}}`);
  const taken = processorClock();
  expect([deep, long, digits].map((bytes) => refusal(bytes).defect.code)).toEqual([
    "header-depth",
    "header-json",
    "tensor-info",
  ]);
  expect(taken()).toBeLessThan(5000);
});
