import { expect, test } from "vitest";
import init, { resolveTo } from "../../../extension/tsPlugin/plugin.ts";

const literals = ["layerwise", "./other", "layerwise/x"].map((text) => ({ text }));
const resolved = {
  resolvedModule: { resolvedFileName: "/other.ts", extension: ".ts", isExternalLibraryImport: false },
};

test("layerwise resolves to the shipped types where nothing else resolves it", () => {
  const resolve = resolveTo("C:\\ext\\types\\index.d.ts", (asked) =>
    asked.map(() => ({ resolvedModule: undefined })),
  );
  expect(resolve(literals, "/a.nn.ts")).toEqual([
    {
      resolvedModule: {
        resolvedFileName: "C:/ext/types/index.d.ts",
        extension: ".d.ts",
        isExternalLibraryImport: true,
      },
    },
    { resolvedModule: undefined },
    { resolvedModule: undefined },
  ]);
});

test("an installed layerwise stays what it is, and arguments are passed on", () => {
  const calls: unknown[][] = [];
  const resolve = resolveTo("/types/index.d.ts", (asked, ...rest) => {
    calls.push(rest);
    return asked.map(() => resolved);
  });
  expect(resolve(literals, "/a.nn.ts", "more")).toEqual([resolved, resolved, resolved]);
  expect(calls).toEqual([["/a.nn.ts", "more"]]);
});

test("a project's host is wrapped in place; an old TypeScript is left alone, with a line in its log", () => {
  const log: string[] = [];
  const project = { projectService: { logger: { info: (text: string) => void log.push(text) } } };
  const host = {
    calls: 0,
    resolveModuleNameLiterals(asked: readonly { text: string }[]) {
      this.calls++;
      return asked.map(() => ({}));
    },
  };
  const languageService = {};
  expect(init().create({ languageService, languageServiceHost: host, project })).toBe(languageService);
  expect(host.resolveModuleNameLiterals(literals)[0]).toHaveProperty("resolvedModule.extension", ".d.ts");
  expect(host.calls).toBe(1);
  init().create({ languageService, languageServiceHost: {}, project });
  expect(log.at(-1)).toContain("older than 5.0");
});
