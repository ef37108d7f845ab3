import { expect, test, vi } from "vitest";
import { EngineError } from "../../../extension/protocol/errors.ts";

vi.mock("vscode", () => ({ l10n: { t: (text: string) => text } }));

const WINDOW = { rowAxis: -1, columnAxis: 0, at: [0], row: 0, rows: 1, column: 0, columns: 2 };
const VALUES = { rows: 1, columns: 2, values: [1, 2] };
const OF = { name: "conv", from: "run, sample 1" };
const gone = new EngineError({ code: "index", message: "no longer kept" });

/** A process that keeps the tensors of these ids. */
function keeperOf(...ids: number[]) {
  const answer = (id: number): Promise<typeof VALUES> =>
    ids.includes(id) ? Promise.resolve(VALUES) : Promise.reject(gone);
  return { window: vi.fn(answer), statistics: vi.fn(() => Promise.resolve(undefined)) };
}

const open = (id: number) => ({ id, dtype: "float32", shape: [2], axes: ["features"] });

test("a tensor that can be computed again is, once for all questions that find it gone", async () => {
  const { KeptTensor } = await import("../../../extension/editor/panels/keptTensor.ts");
  const again = vi.fn(() => Promise.resolve(open(2)));
  const tensor = new KeptTensor(OF, keeperOf(2), open(1), again);
  expect(await tensor.snapshot()).toEqual({ ...OF, dtype: "float32", shape: [2], axes: ["features"] });
  expect(await Promise.all([tensor.window(WINDOW), tensor.window(WINDOW)])).toEqual([VALUES, VALUES]);
  expect(await tensor.window(WINDOW)).toEqual(VALUES);
  expect(again).toHaveBeenCalledTimes(1);
});

test("one that can't says that it is gone", async () => {
  const { KeptTensor } = await import("../../../extension/editor/panels/keptTensor.ts");
  const tensor = new KeptTensor(OF, keeperOf(), open(1));
  await expect(tensor.window(WINDOW)).rejects.toThrow("no longer kept");
  await expect(tensor.statistics()).rejects.toThrow(/no longer loaded/);
});
