import { expect, test } from "vitest";
import type { TensorFile } from "../../../extension/protocol/tensorFile.ts";
import { defaultUi, listed, type TensorsUi } from "../../../webview/tensors/state.ts";

const file: TensorFile = {
  file: "/w/a.safetensors",
  format: "safetensors",
  bytes: 0,
  metadata: [],
  tensors: [
    { name: "layer.10.weight", dtype: "F32", shape: [4, 16], bytes: 256 },
    { name: "layer.2.weight", dtype: "F16", shape: [64], bytes: 128 },
    { name: "layer.2.bias", dtype: "F32", shape: [], bytes: 4 },
    { name: "Head.weight", dtype: "F32", shape: [4, 3], bytes: 48 },
  ],
};
const names = (ui: Partial<TensorsUi>): string[] =>
  listed(file, { ...defaultUi, ...ui }).map(({ name }) => name);

test("tensors stand as in the file, or sorted by what a person sees", () => {
  const inFile = file.tensors.map(({ name }) => name);
  expect(names({})).toEqual(inFile);
  expect(names({ sort: "name" })).toEqual([
    "Head.weight",
    "layer.2.bias",
    "layer.2.weight",
    "layer.10.weight",
  ]);
  expect(names({ sort: "bytes", descending: true })).toEqual([
    "layer.10.weight",
    "layer.2.weight",
    "Head.weight",
    "layer.2.bias",
  ]);
  // By rank, then by extents as numbers; equal ones as in the file.
  expect(names({ sort: "shape" })).toEqual([
    "layer.2.bias",
    "layer.2.weight",
    "Head.weight",
    "layer.10.weight",
  ]);
  expect(names({ sort: "elements" })).toEqual([
    "layer.2.bias",
    "Head.weight",
    "layer.10.weight",
    "layer.2.weight",
  ]);
});

test("each word of the filter is matched with name, type and shape", () => {
  expect(names({ filter: "LAYER f32" })).toEqual(["layer.10.weight", "layer.2.bias"]);
  expect(names({ filter: "[4," })).toEqual(["layer.10.weight", "Head.weight"]);
  expect(names({ filter: "nothing" })).toEqual([]);
});
