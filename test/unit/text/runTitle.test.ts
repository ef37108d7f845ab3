import { expect, test } from "vitest";
import { runTitle } from "../../../extension/protocol/run.ts";

const title = (model: string, exportName = "default", file = "/w/nets/slow.nn.ts"): string =>
  runTitle({ model, exportName, file });

test("a run is named by its model's class, or where that says nothing, by its file", () => {
  expect(title("SimpleNN")).toBe("SimpleNN");
  expect(title("SimpleNN", "small")).toBe("SimpleNN (small)");
  expect(title("Sequential")).toBe("slow");
  expect(title("", "default", "C:\\w\\digits.nn.ts")).toBe("digits");
  expect(title("Sequential", "wide")).toBe("slow (wide)");
});
