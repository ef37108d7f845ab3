// Python's print: how values look, and what stands between them.
import { expect, test, vi } from "vitest";
import { F, nn, print, torch } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

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

test("a state dict and its keys, values and entries print as an OrderedDict's", () => {
  const layer = new nn.Linear(1, 1);
  nn.init.ones_(layer.weight);
  nn.init.zeros_(layer.bias!);
  const state = layer.stateDict();
  const keys = state.keys();
  expect(printed(() => print(state.keys()))).toEqual(["odict_keys(['weight', 'bias'])"]);
  expect(printed(() => print(state.values()))).toEqual(["odict_values([tensor([[1.]]), tensor([0.])])"]);
  const pairs = "[('weight', tensor([[1.]])), ('bias', tensor([0.]))]";
  expect(printed(() => print(state.entries()))).toEqual([`odict_items(${pairs})`]);
  expect(printed(() => print(state))).toEqual([`OrderedDict(${pairs})`]);
  expect(printed(() => print(keys, keys))).toEqual([
    "odict_keys(['weight', 'bias']) odict_keys(['weight', 'bias'])",
  ]);
  expect([...keys]).toEqual(["weight", "bias"]);
});

test("cross entropy with probabilities is named as PyTorch's division by a number", () => {
  const scores = torch.zeros(2, 3).requiresGrad_();
  expect(F.crossEntropy(scores, torch.zeros(2, 3)).toString()).toMatch("grad_fn=<DivBackward1>");
});
