// Files of any structure take time and memory in proportion to their length: each is read twice, the second four times
// as long. Quadratic code takes sixteen times as long, and exponential code never ends.
import { crc32, deflateSync } from "node:zlib";
import * as fc from "fast-check";
import initSqlite from "sql.js";
import { expect, it } from "vitest";
import { eventRecord, fileVersion } from "../../../extension/formats/tensorboard.ts";
import { craft } from "../../fuzz/archive.ts";
import { fuzz } from "../../fuzz/fuzz.ts";
import { useReaders, type Outcome, type Reader } from "./readers.ts";

const { read, write } = useReaders();

const SEED = 20_261_127;
const GROWTH = 4;
/** Above linear: the first reading of a kind compiles code, and a collection of garbage may come at any time. */
const SLACK = 2;
const FREE_MILLISECONDS = 250;
const FREE_MEGABYTES = 320;
/** A file's bytes as values of the language. */
const MULTIPLE = 120;

/** Reads the file that `make` returns for a size and for four times that size, and compares. */
async function grows(
  one: Reader,
  name: string,
  size: number,
  make: (size: number) => Uint8Array,
): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const length of [size, GROWTH * size]) {
    const file = make(length);
    const megabytes = FREE_MEGABYTES + (MULTIPLE * file.length) / 2 ** 20;
    const outcome = await read(one, write(name, file), { milliseconds: 6000, megabytes });
    expect(["read", "refused"], JSON.stringify(outcome)).toContain(outcome.kind);
    outcomes.push(outcome);
  }
  const [short, long] = outcomes.map(({ milliseconds }) => milliseconds) as [number, number];
  expect(long).toBeLessThan(FREE_MILLISECONDS + SLACK * GROWTH * short);
}

const u32 = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString("latin1");
};

/** Values of growing size that a pickle stores as memo 0. */
const LARGE: readonly ((size: number) => string)[] = [
  (size) => `(${"K\x01".repeat(size)}tq\0`,
  (size) => `](${"N".repeat(size)}eq\0`,
  (size) => `}(${Array.from({ length: size }, (_, i) => `J${u32(i)}N`).join("")}uq\0`,
  (size) => `X${u32(size)}${"a".repeat(size)}q\0`,
  (size) => `](${"NN\x86".repeat(size)}eq\0`,
  (size) => `)${"\x85".repeat(size)}q\0`,
  (size) => `]q\0${"](h\0h\0eq\0".repeat(Math.min(size, 60))}`,
  (size) => `)q\0${"h\0h\0\x86q\0".repeat(Math.min(size, 60))}`,
];
/** Repeated uses of that value. */
const STEPS = [
  "h\0", "h\0h\0\x86", "(h\0h\0h\0t", "](h\0h\0e", "}h\0Ns", "}Nh\0s", "}(h\0NNh\0u", "h\0\x85q\0", "h\0]h\0a",
  "ccollections\nOrderedDict\nh\0\x85R", "cbuiltins\nset\nh\0\x85R", "ctorch\nSize\nh\0\x85R", "cbuiltins\nbytearray\nh\0\x85R",
  "c_codecs\nencode\nh\0X\x06\0\0\0latin1\x86R", "(h\0", "}q\0", "]q\0", ")q\0", "q\x01", "h\x01", "h\0Q",
]; // prettier-ignore

it("is a pickle that uses one value again and again", { timeout: 120_000 }, async () => {
  const structure = fc.record({
    large: fc.constantFrom(...LARGE),
    steps: fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 3 }),
    whole: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(structure, ({ large, steps, whole }) =>
      grows(whole ? "pth" : "tensors", "model.pth", 5000, (size) =>
        craft(`(${large(size)}${steps.join("").repeat(size)}t.`),
      ),
    ),
    { seed: SEED, numRuns: 40 },
  );
});

it("is a header of safetensors that repeats itself", { timeout: 120_000 }, async () => {
  const pieces = [
    '"a":', '{"a":', "[", "]", "}", ",", "1", "0,", "-", "1e", '"\\u0041"', '"\\ud800"', '"', "\\", " ", "null,", "[1],",
    '"dtype":"U8",', '"shape":[1],', "9", ".5", "\u00e9",
  ]; // prettier-ignore
  const some = fc.array(fc.constantFrom(...pieces), { maxLength: 4 }).map((list) => list.join(""));
  await fc.assert(
    fc.asyncProperty(some, some, some, (start, unit, end) =>
      grows("tensors", "model.safetensors", 20_000, (size) => {
        const text = Buffer.from(`{${start}${(unit || " ").repeat(size)}${end}`);
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(text.length));
        return Buffer.concat([length, text]);
      }),
    ),
    { seed: SEED, numRuns: 40 },
  );
});

it("is a table that repeats itself", { timeout: 120_000 }, async () => {
  const some = fc
    .array(fc.constantFrom('"', ",", "\n", "\r\n", " ", "a", "1", '""', "#", "\ufeff", "\t"), {
      minLength: 1,
      maxLength: 6,
    })
    .map((list) => list.join(""));
  await fc.assert(
    fc.asyncProperty(some, some, (start, unit) =>
      grows("csv", "a.csv", 5000, (size) => Buffer.from(start + unit.repeat(size))),
    ),
    { seed: SEED, numRuns: 30 },
  );
});

it("is a picture of as many chunks as there are bytes for", { timeout: 120_000 }, async () => {
  const chunk = (type: string, content: Uint8Array): Buffer => {
    const bytes = Buffer.alloc(12 + content.length);
    bytes.writeUInt32BE(content.length);
    bytes.write(type, 4, "latin1");
    bytes.set(content, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
    return bytes;
  };
  const header = Buffer.from([0, 0, 0, 4, 0, 0, 0, 4, 8, 3, 0, 0, 0]);
  const data = deflateSync(Buffer.alloc(20));
  const any = fc.record({
    type: fc.constantFrom("IDAT", "PLTE", "tRNS", "gAMA", "tEXt", "zTXt", "IEND", "abcd", "ABCD"),
    length: fc.constantFrom(0, 1, 3, 4, 12),
    interlaced: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(any, ({ type, length, interlaced }) =>
      grows("png", "a.png", 5000, (size) => {
        const many = Array.from({ length: size }, () => chunk(type, Buffer.alloc(length)));
        const own = Buffer.from(header);
        own[12] = Number(interlaced);
        const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
        const palette = chunk("PLTE", Buffer.alloc(12));
        return Buffer.concat([
          signature,
          chunk("IHDR", own),
          palette,
          ...many,
          chunk("IDAT", data),
          chunk("IEND", Buffer.alloc(0)),
        ]);
      }),
    ),
    { seed: SEED, numRuns: 20 },
  );
});

it("is an event file that declares values void again and again", { timeout: 120_000 }, async () => {
  const event = (step: number): Uint8Array =>
    eventRecord({ wallTime: 1, step, values: [{ tag: "loss", scalar: 1 }] });
  // Of the two, one removes nothing, and the other the last value.
  for (const step of [2 ** 40, 2 ** 30]) {
    const start = eventRecord({ wallTime: 1, step, restart: true });
    await grows("runs", "events.out.tfevents.1", 8000, (size) =>
      Buffer.concat([
        fileVersion(1),
        ...Array.from({ length: size }, (_, i) => event(i)),
        ...Array.from({ length: size }, () => [event(2 ** 30), start]).flat(),
      ]),
    );
  }
});

/**
 * A database of a table whose first page has another again and again as a child, that one the next, and so on: its few rows are found
 * more often than there are bytes in the world.
 */
async function endlessTable(create: string, insert: string, rows: number): Promise<Uint8Array> {
  const PAGE = 512;
  const [CHILDREN, LEVELS] = [80, 8];
  const { Database } = await initSqlite();
  const database = new Database();
  database.run(`PRAGMA page_size = ${PAGE}; ${create}`);
  for (let i = 0; i < rows; i++) database.run(insert, [i]);
  const [{ values } = { values: [] }] = database.exec(
    "SELECT rootpage FROM sqlite_master WHERE name = 'metrics'",
  );
  const root = Number(values[0]![0]);
  const bytes = Buffer.from(database.export());
  database.close();
  const at = (page: number): number => (page - 1) * PAGE;
  const leaves = Array.from({ length: bytes.length / PAGE }, (_, i) => i + 1).filter(
    (page) => page > 1 && bytes[at(page)] === 0x0d,
  );
  const last = leaves.at(-1)!;
  // The first leaf may be another table's.
  [root, ...leaves.slice(1, LEVELS)].forEach((page, i, all) => {
    const child = all[i + 1] ?? last;
    bytes.fill(0, at(page), at(page) + PAGE);
    // An interior page: its number of cells, where they begin, the last child; then the place of each, which is the same.
    bytes[at(page)] = 0x05;
    bytes.writeUInt16BE(CHILDREN, at(page) + 3);
    bytes.writeUInt16BE(PAGE - 5, at(page) + 5);
    bytes.writeUInt32BE(child, at(page) + 8);
    for (let n = 0; n < CHILDREN; n++) bytes.writeUInt16BE(PAGE - 5, at(page) + 12 + 2 * n);
    bytes.writeUInt32BE(child, at(page) + PAGE - 5);
  });
  return bytes;
}

it.each([
  [
    "trackio",
    `CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_name TEXT, step INTEGER, timestamp TEXT, metrics TEXT)`,
    `INSERT INTO metrics VALUES (?, 'a', 1, '2026-01-01T00:00:00Z', '{"loss": 1}')`,
  ],
  [
    "MLflow",
    `CREATE TABLE runs (run_uuid TEXT); INSERT INTO runs VALUES ('a');
     CREATE TABLE metrics (key TEXT, value REAL, run_uuid TEXT, step INTEGER, timestamp INTEGER)`,
    `INSERT INTO metrics VALUES ('loss', 1, 'a', ?, 1700000000000)`,
  ],
])("is a database of %s with a page in itself again and again", async (_, create, insert) => {
  const file = write("runs.db", await endlessTable(create, insert, 500));
  const outcome = await read("runs", file, { milliseconds: 6000, megabytes: FREE_MEGABYTES });
  expect(outcome, JSON.stringify(outcome)).toMatchObject({ kind: "refused" });
  expect(outcome.message).toMatch(/runs\.db: the table metrics has more rows than the file has bytes for/);
});

it("is an archive of as many records as there are bytes for", { timeout: 120_000 }, async () => {
  for (const deflate of [false, true])
    await grows("pth", "model.pth", 3000, (size) => {
      const storages = Object.fromEntries(
        Array.from({ length: size }, (_, i) => [String(i), Buffer.alloc(4)]),
      );
      return craft("N.", storages, { deflate });
    });
});

it("is one of three hundred mutated files of every format", { timeout: 120_000 }, async () => {
  const { failures, tallies } = await fuzz({ files: 300, seed: SEED });
  expect(failures).toEqual([]);
  expect([...tallies.values()].reduce((sum, { read }) => sum + read, 0)).toBeGreaterThan(20);
});
