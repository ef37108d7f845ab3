import { isAscii } from "node:buffer";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { cacheDirectory } from "../native/cache.ts";
import { CompiledCode } from "./compiledCode.ts";

/** A CommonJS module, as a function of what such a module can use. */
type Module = (
  exports: object,
  require: NodeJS.Require,
  module: object,
  filename: string,
  dirname: string,
  keepCompiledCode: () => void,
) => void;

const PARAMETERS = "exports, require, module, __filename, __dirname, __keepCompiledCode";

/**
 * Runs the program beside a file: `cli.cjs` for `cli.js`. Its compiled code is kept for the next process when this one ends, or when the
 * program calls `__keepCompiledCode`, since some processes are killed.
 *
 * Node's own `module.enableCompileCache` needs Node 22.
 * @param url of the file that was started
 */
export function startProgram(url: string): void {
  const file = fileURLToPath(url).replace(/\.js$/, ".cjs");
  const bytes = readFileSync(file);
  const code = new CompiledCode(path.join(cacheDirectory(), "compiled"), path.basename(file, ".cjs"), bytes);
  // A string of bytes is half as large, and made at once.
  const source = bytes.toString(isAscii(bytes) ? "latin1" : "utf8");
  const script = code.compile(`(function (${PARAMETERS}) {${source}\n})`, pathToFileURL(file).href);
  const keep = (): void => code.keep(script);
  process.once("exit", keep);
  const module = { exports: {} };
  const run = script.runInThisContext() as Module;
  run(module.exports, createRequire(file), module, file, path.dirname(file), keep);
}
