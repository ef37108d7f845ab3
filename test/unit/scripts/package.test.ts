import { describe, expect, test } from "vitest";
import {
  bindingFiles,
  checkContents,
  required,
  SIZE_BUDGET,
  type Entry,
} from "../../../scripts/package/vsix-contents.mjs";

/** Files of a good VSIX, and more. */
const contents = (target: string, ...more: string[]): Entry[] =>
  [...required(target), "media/icon.png", "dist/types/nn/index.d.ts", ...more].map((name) => ({
    name,
    bytes: 1000,
  }));

const check = (entries: readonly Entry[], size = SIZE_BUDGET, target = "linux-x64", prebuilt = false): void =>
  checkContents(target, entries, size, prebuilt);

describe("a VSIX", () => {
  test.each(["linux-x64", "darwin-arm64", "win32-arm64"])("for %s holds its own esbuild", (target) => {
    expect(() => check(contents(target), 1, target)).not.toThrow();
    const other = contents(target === "linux-x64" ? "darwin-x64" : "linux-x64");
    expect(() => check(other, 1, target)).toThrow(
      `dist/node_modules/@esbuild/${target}/${target.startsWith("win32") ? "esbuild.exe" : "bin/esbuild"} is missing`,
    );
    expect(() => check(other, 1, target)).toThrow(/@esbuild\/\S+ has no place in it/);
  });

  test("misses neither a bundle, a view, the wasm engine nor the TypeScript plugin", () => {
    for (const name of [
      "dist/extension.cjs",
      "dist/hubDownload.js",
      "dist/webview/training.js",
      "dist/wasm/tfjs-backend-wasm-threaded-simd.wasm",
      "node_modules/layerwise-ts-plugin/package.json",
    ])
      expect(() => check(contents("linux-x64").filter((entry) => entry.name !== name))).toThrow(
        `The VSIX for linux-x64:\n  ${name} is missing`,
      );
  });

  test("of a release holds its platform's binding and its list", () => {
    const bindings = bindingFiles(["linux-x64"]);
    expect(() => check(contents("linux-x64", ...bindings), 1, "linux-x64", true)).not.toThrow();
    expect(() => check(contents("linux-x64"), 1, "linux-x64", true)).toThrow(
      "dist/native/prebuilt/linux-x64/tfjs_binding.node is missing",
    );
    const other = [...bindings, ...bindingFiles(["linux-arm64"])];
    expect(() => check(contents("linux-x64", ...other), 1, "linux-x64", true)).toThrow(
      "dist/native/prebuilt/linux-arm64/tfjs_binding.node has no place in it",
    );
  });

  test.each([
    "extension/main.ts",
    "test/unit/package.test.ts",
    "dist/runEngine.cjs.map",
    "dist/webview/training.js.map",
    "media/data/speeches/make.mjs",
    "dist/types/nn/index.ts",
    "dist/native/tfjs_binding.node",
    "dist/native/binding/libtensorflow_cc.so.2",
    "dist/node_modules/esbuild/bin/esbuild",
    "dist/node_modules/typescript/package.json",
    "node_modules/lit/package.json",
    "package-lock.json",
  ])("does not hold %s", (name) => {
    expect(() => check(contents("linux-x64", name))).toThrow(
      `The VSIX for linux-x64:\n  ${name} has no place in it`,
    );
  });

  test("over 25 MB names its largest files", () => {
    const entries = contents("linux-x64").map((entry) =>
      entry.name === "dist/runEngine.cjs" ? { ...entry, bytes: 24_000_000 } : entry,
    );
    expect(() => check(entries, 25_000_001)).toThrow(
      /it has 25\.0 MB, more than 25\.0 MB; the largest files:\n +24\.0 MB {2}dist\/runEngine\.cjs\n/,
    );
    expect(() => check(entries, 25_000_000)).not.toThrow();
  });
});
