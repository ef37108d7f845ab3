import fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ReadBudget } from "../../../extension/files/budget.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

test("a budget allows files up to its bytes; those that their readers refuse don't count", async () => {
  const file = join(folder, "file");
  fs.writeFileSync(file, "");
  fs.truncateSync(file, 2 ** 20);
  const budget = new ReadBudget(2 * 2 ** 20);
  expect(await budget.allows(join(folder, "missing"), 2 ** 20)).toBe(true);
  expect(await budget.allows(file, 1000)).toBe(true);
  expect([await budget.allows(file, 2 ** 20), await budget.allows(file, 2 ** 20)]).toEqual([true, true]);
  expect(budget.exceeded).toBeUndefined();
  expect(await budget.allows(file, 2 ** 20)).toBe(false);
  expect(budget.exceeded).toBe("files of more than 2 MB were to be read");
  expect(await budget.allows(join(folder, "missing"), 2 ** 20)).toBe(false);
});

test("a budget of time allows nothing afterwards", async () => {
  const budget = new ReadBudget(2 ** 20, 0);
  expect(await budget.allows(join(folder, "missing"), 1)).toBe(false);
  expect(budget.exceeded).toBe("reading took more than 0 s");
});
