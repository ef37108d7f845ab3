// Parquet files that expand to far more than they have. Nothing that a file says about its own size is believed.
import { describe, expect, it } from "vitest";
import {
  BYTE_ARRAY, CODECS, DELTA_BYTE_ARRAY, deltas, FIXED, INT32, parquetFile, parquetFooter, PLAIN, RLE_DICTIONARY, run, squeezed, type Column,
} from "../../parquetFiles.ts"; // prettier-ignore
import { useReaders } from "./readers.ts";

const { write, refusal, accepted } = useReaders({ milliseconds: 8000, megabytes: 1500 });
const refused = (column: Column): Promise<string> =>
  refusal("parquet", write("x.parquet", parquetFile(column)));

/** Texts that each begin as the one before, and have a letter more. */
const growing = (rows: number) =>
  squeezed(
    Buffer.concat([deltas(rows, 0, 1), deltas(rows, 1, 0), Buffer.alloc(rows, "a")]),
    rows,
    DELTA_BYTE_ARRAY,
  );

describe("a Parquet file", { timeout: 120_000 }, () => {
  it("has texts that repeat the ones before them", async () => {
    expect(await refused({ pages: [growing(100_000)], rows: 100_000 })).toMatch(
      /row group 0 expands to more than 1,073,741,824 bytes, the limit: write the file with smaller row groups/,
    );
    await accepted("parquet", write("x.parquet", parquetFile({ pages: [growing(5000)], rows: 5000 })));
  });

  it("has a text whose beginning is of no text", async () => {
    const bytes = Buffer.concat([deltas(2, 2 ** 31 - 1, 0), deltas(2, 1, 0), Buffer.from("ab")]);
    expect(await refused({ pages: [squeezed(bytes, 2, DELTA_BYTE_ARRAY)], rows: 2 })).toMatch(
      /column "x" has a damaged page of texts/,
    );
  });

  it("has many pages that are large, in a row group that says that it is small", async () => {
    const page = squeezed(Buffer.alloc(300 * 2 ** 20), 1, PLAIN);
    expect(await refused({ pages: Array.from({ length: 8 }, () => page), rows: 8, type: INT32 })).toMatch(
      /row group 0 expands to more than 1,073,741,824 bytes/,
    );
  });

  it("has more rows than its pages have bytes", async () => {
    const rows = 2 ** 26;
    const levels = run(rows, 0);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(levels.length);
    const nulls = squeezed(Buffer.concat([length, levels]), rows, PLAIN);
    const width = 2 ** 20;
    expect(await refused({ pages: [nulls], rows, type: FIXED, width, optional: true })).toMatch(
      /row group 0 expands to more than/,
    );
  });

  it("has a run of more indices than values", async () => {
    const page = squeezed(Buffer.concat([Buffer.from([1]), run(2 ** 30, 0)]), 1, RLE_DICTIONARY);
    expect(await refused({ pages: [page], rows: 1 })).toMatch(
      /a page of 1 values has a run of 1,073,741,824/,
    );
  });

  it("has a page of zstd that expands beyond its size", async () => {
    // Blocks of one repeated byte, two megabytes each; their frame says nothing of its size.
    const block = Buffer.from([0b0000_0010, 0, 0xff, 97]);
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]);
    const bytes = Buffer.concat([
      frame,
      ...Array.from({ length: 2000 }, () => block),
      Buffer.from([1, 0, 0]),
    ]);
    const page = { bytes, size: 4, values: 1, encoding: PLAIN };
    expect(await refused({ pages: [page], rows: 1, type: INT32, codec: CODECS.zstd })).toMatch(
      /offset is out of bounds/,
    );
  });

  it("has a decimal of many digits, in a page or in its statistics", async () => {
    const value = Buffer.alloc(200_000, 0x7f);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length);
    for (const [type, bytes] of [
      [BYTE_ARRAY, Buffer.concat([length, value])],
      [FIXED, value],
    ] as const) {
      const column = {
        pages: [squeezed(bytes, 1, PLAIN)],
        rows: 1,
        type,
        width: value.length,
        decimal: true,
      };
      expect(await refused(column)).toMatch(
        /column "x" has a decimal of 200,000 bytes; the limit is 32, which decimals of 76 digits take/,
      );
    }
    const few = squeezed(Buffer.alloc(8), 1, PLAIN);
    expect(
      await refused({ pages: [few], rows: 1, type: FIXED, width: 8, decimal: true, least: value }),
    ).toMatch(/its metadata is damaged: the statistics of column 0 have a decimal of 200,000 bytes/);
  });

  it("has metadata of small values, of deep ones and of a large number", async () => {
    const [binary, aList, aStruct, i64] = [8, 9, 12, 6];
    for (const [type, each] of [
      [binary, "\0"],
      [aStruct, "\0"],
      [aList, "\x08"],
    ] as const)
      expect(
        await refusal("parquet", write("x.parquet", parquetFooter(type, Buffer.from(each), 60_000_000))),
      ).toMatch(/its metadata is damaged: more than 4,194,304 values/);
    expect(
      await refusal("parquet", write("x.parquet", parquetFooter(aList, Buffer.from([0x19]), 1_000_000))),
    ).toMatch(/nested deeper than 32 levels/);
    expect(
      await refusal("parquet", write("x.parquet", parquetFooter(i64, Buffer.from([0xff]), 10_000_000))),
    ).toMatch(/a number of more than 64 bits/);
  });

  it("has as many values of metadata as it may", async () => {
    const file = write("x.parquet", parquetFooter(8, Buffer.from([0]), 4_194_000));
    expect(await refusal("parquet", file)).toMatch(/its metadata is damaged/);
  });
});
