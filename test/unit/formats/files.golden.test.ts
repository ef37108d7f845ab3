import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSafetensors, SafetensorsError } from "../../../extension/formats/safetensors/safetensors.ts";
import { statisticsOf } from "../../../extension/formats/statistics.ts";
import { openTensors } from "../../../extension/formats/tensorSource.ts";
import {
  type FilesExpectation,
  type FilesSpec,
  runFilesItem,
  type StoredGoldenTensor,
} from "../../parity/kinds/files.ts";
import { Unsupported } from "../../parity/format.ts";
import { processorClock } from "../../bounds.ts";

const folder = fileURLToPath(new URL("../../fixtures/golden/files/", import.meta.url));

interface GoldenCase {
  spec: { items: FilesSpec[] };
  expect: { items: FilesExpectation[] };
}

/** File that hostile files write when their code runs. */
const MARKER = "MARKER_unsafe_load.txt";

const load = (name: string): GoldenCase =>
  JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as GoldenCase;

const CASES = ["safetensors_valid", "safetensors_malicious"];
for (const name of readdirSync(folder)) if (/^pth_.*\.json$/.test(name)) CASES.push(name.slice(0, -5));

/** As an inspection does, which never has the whole file in memory. */
function look(file: string): void {
  const source = openTensors(file);
  try {
    for (const tensor of source.tensors) statisticsOf(tensor);
  } finally {
    source.close();
  }
}

describe.each(CASES)("golden files/%s", (name) => {
  const { spec, expect: expected } = load(name);
  test.for(spec.items.map((item, i) => [item.id, item, expected.items[i]!] as const))(
    "%s",
    ([, item, result], context) => {
      expect(result.id).toBe(item.id);
      const [taken, before] = [processorClock(), process.memoryUsage().rss];
      try {
        expect(runFilesItem(item, result, folder)).toBeNull();
        if (result.outcome === "loaded" && !item.format.startsWith("hf")) look(folder + item.file);
        if (result.outcome === "rejected") {
          expect(() => look(folder + item.file)).toThrow(item.file.replace(/.*\//, ""));
          expect(taken()).toBeLessThan(1000);
          expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
        }
      } catch (error) {
        if (error instanceof Unsupported) context.skip(error.message);
        throw error;
      }
      expect(existsSync(MARKER)).toBe(false);
    },
  );
});

test("each hostile file is refused for its own defect, with its name and length", () => {
  const refusals = load("safetensors_malicious").spec.items.map(({ id, file }) => {
    try {
      loadSafetensors(folder + file);
    } catch (error) {
      expect(error).toBeInstanceOf(SafetensorsError);
      const { defect, message, fileBytes } = error as SafetensorsError;
      expect(message).toContain(`${id} (${fileBytes} bytes): `.replace(/(\d)(\d{3}) bytes/, "$1,$2 bytes"));
      return `${id.replace(/^bad_|\.safetensors$/g, "")}: ${defect.code}`;
    }
    return `${id}: loaded`;
  });
  expect(refusals).toMatchInlineSnapshot(`
    [
      "header_too_long: header-truncated",
      "header_huge: header-too-large",
      "header_over_limit: header-too-large",
      "tiny_file: file-too-short",
      "short_file: file-too-short",
      "zero_header: header-start",
      "bad_utf8: header-utf8",
      "bad_json: header-json",
      "not_object: header-start",
      "trailing_json: header-json",
      "duplicate_key: duplicate-key",
      "overlap: overlap",
      "same_range: overlap",
      "hole: hole",
      "hole_at_start: hole",
      "past_end: data-truncated",
      "trailing_data: trailing-data",
      "reversed_offsets: offsets",
      "size_mismatch: size-mismatch",
      "shape_overflow: overflow",
      "shape_overflow_wrap: overflow",
      "negative_shape: shape",
      "float_shape: shape",
      "negative_offset: offsets",
      "unknown_dtype: unknown-dtype",
      "missing_field: missing-field",
      "metadata_number: metadata",
      "metadata_list: metadata",
      "deep_json: header-start",
      "truncated_data: data-truncated",
    ]
  `);
});

test("differences are told", () => {
  const { spec, expect: expected } = load("safetensors_valid");
  const [item, result] = [spec.items[0]!, expected.items[0]!];
  expect(runFilesItem(item, { ...result, outcome: "rejected", why: "a test" }, folder)).toBe(
    "loaded, but must be refused: a test",
  );
  expect(runFilesItem(item, { ...result, metadata: { format: "pt" } }, folder)).toMatch(
    /^metadata: expected/,
  );
  expect(runFilesItem(item, { ...result, sha256: "0" }, folder)).toMatch(
    /^saved bytes: expected SHA-256 0, got/,
  );
  const [first, second] = (result.value as { $dict: [string, { $tensor: StoredGoldenTensor }][] }).$dict;
  expect(runFilesItem(item, { ...result, value: { $dict: [first!] } }, folder)).toBe(
    "expected 1 tensors, got 2",
  );
  const other: typeof first = [first![0], { $tensor: { ...first![1].$tensor, shape: [3, 2] } }];
  expect(runFilesItem(item, { ...result, value: { $dict: [other, second!] } }, folder)).toMatch(
    /expected F32 \[3, 2\], got F32 \[2, 3\]$/,
  );
  expect(() => runFilesItem({ ...item, format: "hf-bert" }, result, folder)).toThrow(Unsupported);
});
