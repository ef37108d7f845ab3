// Python's print: how values look, and what stands between them.
import { beforeAll, expect, test, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { print, torch } from "../../../extension/nn/index.ts";

beforeAll(async () => {
  await loadExecutor("cpu");
});

function printed(body: () => void): string[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    body();
    return log.mock.calls.map(([line]) => String(line));
  } finally {
    log.mockRestore();
  }
}

test("types print as PyTorch's", () => {
  const x = torch.tensor([1.5]);
  expect(printed(() => print(x.dtype, torch.int64, x.gt(1).dtype))).toEqual([
    "torch.float32 torch.int64 torch.bool",
  ]);
  expect(printed(() => print("a float32", ["float32"]))).toEqual(["a float32 ['float32']"]);
});

test("sep stands between values", () => {
  expect(printed(() => print(1, 2, "three", { sep: ", " }))).toEqual(["1, 2, three"]);
  expect(printed(() => print(1, 2, { sep: null }))).toEqual(["1 2"]);
  expect(printed(() => print({ sep: ", ", x: 1 }))).toEqual(["{'sep': ', ', 'x': 1}"]);
  expect(printed(() => print({}))).toEqual(["{}"]);
});

test("end stands after them: a line that was begun waits for its end", () => {
  expect(
    printed(() => {
      print("loss", { end: ": " });
      print(1, 2, { sep: "-", end: ".\nnext " });
      print("line", { flush: true });
    }),
  ).toEqual(["loss: 1-2.", "next line"]);
});
