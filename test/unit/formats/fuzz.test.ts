// Mutated files over both formats. LAYERWISE_FUZZ_RUNS sets how many (20000 for a full run), LAYERWISE_FUZZ_SEED which.
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { openPth, PthError, PthTensor, readPth, type PthValue } from "../../../extension/formats/pth/pth.ts";
import { loadSafetensors, SafetensorsError } from "../../../extension/formats/safetensors/safetensors.ts";
import { Budget } from "../../../extension/formats/pth/pthError.ts";
import { openSource } from "../../../extension/formats/byteSource.ts";
import { ZipReader } from "../../../extension/formats/zip/zipReader.ts";
import { craft } from "./crafted.ts";
import { processorClock } from "../../bounds.ts";

const RUNS = Number(process.env["LAYERWISE_FUZZ_RUNS"] ?? 600);
const SEED = Number(process.env["LAYERWISE_FUZZ_SEED"] ?? Date.now() % 2 ** 31);
const MILLISECONDS = 1000;
const MAX_MEMORY = 512 * 2 ** 20;

const folders = ["../../fixtures/golden/files/data/", "../../fixtures/formats/"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);
const originals = (ending: string): Buffer[] =>
  folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => readFileSync(folder + name)),
  );

/** Numbers at the edges of what fields hold. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

interface Mutation {
  kind: "flip" | "edge" | "cut" | "insert" | "double" | "swap";
  /** Where, as a fraction of the length, so that shrinking and files of all lengths go together. */
  at: number;
  to: number;
  value: number;
}

const anyMutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("flip", "flip", "edge", "edge", "cut", "insert", "double", "swap"),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
  value: fc.nat(255),
});

function mutate(file: Buffer, { kind, at, to, value }: Mutation): Buffer {
  const position = Math.min(file.length - 1, Math.floor(at * file.length));
  const end = Math.min(file.length, position + 1 + Math.floor(to * 16));
  if (position < 0) return Buffer.from([value]);
  const copy = Buffer.from(file);
  switch (kind) {
    case "flip":
      copy[position] = value;
      return copy;
    case "edge":
      if (position + 4 <= copy.length) copy.writeUInt32LE(EDGES[value % EDGES.length]!, position);
      return copy;
    case "cut":
      return Buffer.concat([copy.subarray(0, position), copy.subarray(end)]);
    case "insert":
      return Buffer.concat([
        copy.subarray(0, position),
        Buffer.alloc(end - position, value),
        copy.subarray(position),
      ]);
    case "double":
      return Buffer.concat([copy.subarray(0, end), copy.subarray(position)]);
    case "swap": {
      const other = Math.min(file.length - 1, Math.floor(to * file.length));
      [copy[position], copy[other]] = [copy[other]!, copy[position]!];
      return copy;
    }
  }
}

const mutated = (files: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc
    .tuple(fc.constantFrom(...files), fc.array(anyMutation, { minLength: 1, maxLength: 4 }))
    .map(([file, mutations]) => mutations.reduce(mutate, file));

/** Reads everything that a file has; whatever is wrong with it must be told by its reader's own error, in little time. */
function read(file: Buffer): void {
  for (const [load, known] of [
    [(): void => visit(readPth(file)), PthError],
    [(): void => visitParts(openPth(file).value), PthError],
    [(): void => loadSafetensors(file).entries.forEach(({ data }) => data.length), SafetensorsError],
  ] as const) {
    const taken = processorClock();
    try {
      load();
    } catch (error) {
      if (!(error instanceof known)) throw error;
      expect(error.message.length).toBeLessThan(2000);
    }
    expect(taken()).toBeLessThan(MILLISECONDS);
  }
}

function visit(value: PthValue): void {
  if (value instanceof PthTensor) expect(value.data().length).toBe(value.byteLength);
  else if (value instanceof Map || Array.isArray(value))
    for (const one of value.values() as Iterable<PthValue>) visit(one);
}

/** As an inspection does, which reads parts. */
function visitParts(value: PthValue): void {
  if (value instanceof PthTensor) {
    visit(value);
    for (const bytes of value.storage.finish()) expect(bytes).toBeGreaterThan(0);
  } else if (value instanceof Map || Array.isArray(value))
    for (const one of value.values() as Iterable<PthValue>) visitParts(one);
}

interface Archive {
  pickle: Buffer;
  storages: Record<string, Uint8Array>;
}

/** The parts of valid archives: with their pickles changed, what a checksum would keep from being read is read. */
const archives = originals(".pth").flatMap((file): Archive[] => {
  const fail = (): never => {
    throw new Error("no valid archive");
  };
  try {
    const zip = new ZipReader(openSource(file, ""), fail, new Budget(2 ** 26, fail));
    const parts = [...zip.records.values()].map((record) => [record.name, zip.read(record)] as const);
    const pickle = parts.find(([name]) => name.endsWith("/data.pkl"))![1];
    const storages = parts.flatMap(([name, bytes]) => {
      const key = /\/data\/(\w+)$/.exec(name)?.[1];
      return key === undefined ? [] : [[key, bytes] as const];
    });
    return [{ pickle: Buffer.from(pickle.subarray(2)), storages: Object.fromEntries(storages) }];
  } catch {
    return [];
  }
});

const KINDS: Record<string, fc.Arbitrary<Buffer>> = {
  "files of torch.save": mutated(originals(".pth")),
  "pickles of torch.save": fc
    .constantFrom(...archives)
    .chain(({ pickle, storages }) => mutated([pickle]).map((other) => craft(other, storages))),
  "safetensors files": mutated(originals(".safetensors")),
  "safetensors headers": mutated(originals(".safetensors").filter(({ length }) => length > 16)).map(
    (file) => {
      const copy = Buffer.from(file);
      const end = copy.lastIndexOf("}}");
      if (end > 8) copy.writeBigUInt64LE(BigInt(end + 2 - 8), 0);
      return copy;
    },
  ),
};

test.each(Object.entries(KINDS))(
  "mutated %s are read or refused, and nothing else",
  (kind, files) => {
    const before = process.memoryUsage().rss;
    let [most, longest] = [before, 0];
    const property = fc.property(files, (file) => {
      const taken = processorClock();
      read(file);
      longest = Math.max(longest, taken());
      most = Math.max(most, process.memoryUsage().rss);
    });
    const numRuns = Math.ceil(RUNS / Object.keys(KINDS).length);
    fc.assert(property, { numRuns, seed: SEED });
    if (process.env["LAYERWISE_FUZZ_RUNS"] !== undefined)
      process.stdout.write(
        `${numRuns} mutated ${kind}, seed ${SEED}: ${longest.toFixed(0)} ms at most, ${((most - before) / 2 ** 20).toFixed(0)} MB more\n`,
      );
    expect(most - before).toBeLessThan(MAX_MEMORY);
  },
  30_000 + RUNS * 100,
);
