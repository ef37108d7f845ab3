import fs from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../../files/folders.ts";
import { distFolder } from "../../files/shipped.ts";
import type { Host } from "../cache.ts";
import { runCommand } from "./command.ts";
import { NativeError } from "../errors.ts";
import type { Platform } from "../platforms.ts";
import { copyPrebuilt, findPrebuilt, type Prebuilt } from "./prebuilt.ts";
import { findCompiler, toolsNotFound, type MissingTool } from "./tools.ts";

/** The file of tfjs-node that registers the module; binding.cc includes it. */
const REPLACED = "tfjs_binding.cc";

/** The sources of the binding. */
export interface BindingSources {
  /** Folder of tfjs-node's C++ files. */
  sources: string;
  /** Folder of our own: binding.cc, which replaces {@link REPLACED}, and the kernels. */
  own: string;
  /** Folder with node_api.h: the binding needs no other header of Node. */
  headers: string;
  /** The binding that ships with Layerwise, if one fits this platform. */
  prebuilt: Prebuilt | undefined;
}

/** Finds the sources in `dist/native/` beside the running bundle; when run from source, in the npm packages. */
export function findBindingSources(host: Host): BindingSources {
  const dist = distFolder();
  if (dist !== undefined) {
    const shipped = path.join(dist, "native");
    return {
      sources: path.join(shipped, "binding"),
      own: shipped,
      headers: path.join(shipped, "include"),
      prebuilt: findPrebuilt(path.join(shipped, "prebuilt"), host),
    };
  }
  const require = createRequire(import.meta.url);
  const folder = (name: string): string => path.dirname(require.resolve(`${name}/package.json`));
  return {
    sources: path.join(folder("@tensorflow/tfjs-node"), "binding"),
    own: fileURLToPath(new URL("..", import.meta.url)),
    headers: path.join(folder("node-api-headers"), "include"),
    prebuilt: undefined,
  };
}

/** Tools that an installation needs but that aren't on PATH; a prebuilt binding needs no compiler. */
export const missingTools = (host: Host, { prebuilt }: BindingSources): MissingTool[] =>
  toolsNotFound(host).filter(({ tool }) => tool === "python" || prebuilt === undefined);

export interface CompileOptions {
  binding: BindingSources;
  platform: Platform;
  /** TensorFlow's headers. */
  headers: string;
  /** For intermediate files; removed afterwards. */
  scratch: string;
  output: string;
  host: Host;
  signal?: AbortSignal | undefined;
}

/** Copies the prebuilt binding, or compiles one where none fits (about 45 s on two cores). */
export async function makeBinding(options: CompileOptions): Promise<void> {
  const { binding, platform, host, signal, scratch, output } = options;
  if (binding.prebuilt !== undefined) return copyPrebuilt(binding.prebuilt, path.dirname(output));
  if (platform.compile === undefined)
    throw new NativeError(
      "no-compiler",
      "The binding for Windows is compiled when Layerwise is packed: install its VSIX or npm package.",
    );
  const compiler = findCompiler(host);
  if (compiler === undefined) throw new NativeError("no-compiler", "There is no C++ compiler on PATH.");
  await makeFolder(scratch);
  const { units, link } = platform.compile({
    // The kernels first: they take longest.
    sources: [
      ...(await unitsIn(path.join(binding.own, "kernels"))),
      ...(await unitsIn(binding.own)),
      ...(await unitsIn(binding.sources)).filter((file) => path.basename(file) !== REPLACED),
    ],
    includes: [binding.sources, binding.headers, options.headers],
    scratch,
    output,
  });
  const call = async (args: readonly string[], ended: AbortSignal | undefined): Promise<void> => {
    const { code, output: detail } = await runCommand(compiler, args, {
      env: host.env,
      signal: ended,
      cwd: scratch,
    });
    if (code === 0) return;
    const line = detail.split("\n").find((text) => /error/i.test(text)) ?? `exit code ${code}`;
    throw new NativeError(
      "compile-failed",
      `${path.basename(compiler)} can't compile the binding: ${line.trim()}`,
      { detail },
    );
  };
  await callAll(units, call, signal);
  await call(link, signal);
  await fs.rm(scratch, { recursive: true, force: true });
}

/** The compiler's inputs in a folder. */
const unitsIn = async (folder: string): Promise<string[]> =>
  (await fs.readdir(folder)).filter((name) => name.endsWith(".cc")).map((name) => path.join(folder, name));

/**
 * Makes several calls, as many at once as there are cores. The first one that fails ends the others; all have ended when this
 * function throws its error.
 */
async function callAll(
  calls: readonly string[][],
  call: (args: readonly string[], ended: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failure = new AbortController();
  const ended = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
  const rest = calls.values();
  const lane = async (): Promise<void> => {
    try {
      for (const args of rest) await call(args, ended);
    } catch (error) {
      failure.abort(error);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  ended.throwIfAborted();
}
