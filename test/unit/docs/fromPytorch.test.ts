import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { expect, test, vi } from "vitest";
import { transformSync } from "esbuild";
import * as library from "layerwise";
import { listsOf } from "./names.ts";
import { useEngine } from "../../engines.ts";

const file = fileURLToPath(new URL("../../../docs/from-pytorch.md", import.meta.url));
const page = fs.readFileSync(file, "utf8");

useEngine("cpu");

test("the page's lists are what is exported; `npx vitest run --project unit test/unit/docs -u` writes them", async () => {
  const written = page.replaceAll(
    /(<!-- names of (\S+) -->\n)[\s\S]*?(?=<!-- end -->)/g,
    (_, start: string, module: string) => `${start}\n${listsOf(module)}\n\n`,
  );
  await expect(written).toMatchFileSnapshot(file);
});

test("all modules of PyTorch whose names are known have their list", () => {
  const { names } = JSON.parse(
    fs.readFileSync(new URL("../../fixtures/names/torch.json", import.meta.url), "utf8"),
  ) as { names: object };
  const listed = [...page.matchAll(/<!-- names of (\S+) -->/g)].map(([, module]) => module);
  expect(new Set(listed)).toEqual(new Set(Object.keys(names)));
});

const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, example]) => example!);

test.each(examples)("the page's example prints what it says: %s", (example) => {
  const printed: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((text: string) => void printed.push(text));
  try {
    const { code } = transformSync(example.replaceAll(/^import .*$/gm, ""), { loader: "ts" });
    const run = compileFunction(code, Object.keys(library)) as (...given: unknown[]) => void;
    run(...Object.values(library));
  } finally {
    log.mockRestore();
  }
  const promised = [...example.matchAll(/^print\(.*\);\s*\/\/ (.*)$/gm)].map(([, text]) => text);
  expect(printed).toEqual(promised);
});
