import fs from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
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
  /** The file that replaces {@link REPLACED} among them. */
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
      own: path.join(shipped, "binding.cc"),
      headers: path.join(shipped, "include"),
      prebuilt: findPrebuilt(path.join(shipped, "prebuilt"), host),
    };
  }
  const require = createRequire(import.meta.url);
  const folder = (name: string): string => path.dirname(require.resolve(`${name}/package.json`));
  return {
    sources: path.join(folder("@tensorflow/tfjs-node"), "binding"),
    own: fileURLToPath(new URL("../binding.cc", import.meta.url)),
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
  /** TensorFlow's headers and libraries. */
  headers: string;
  libraries: string;
  /** For intermediate files; removed afterwards. */
  scratch: string;
  output: string;
  host: Host;
  signal?: AbortSignal | undefined;
}

/** Copies the prebuilt binding, or compiles one where none fits (about 20 s). */
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
  const files = await fs.readdir(binding.sources);
  await fs.mkdir(scratch, { recursive: true });
  const calls = platform.compile({
    sources: [
      binding.own,
      ...files
        .filter((name) => name.endsWith(".cc") && name !== REPLACED)
        .map((name) => path.join(binding.sources, name)),
    ],
    includes: [binding.sources, binding.headers, options.headers],
    libraries: options.libraries,
    scratch,
    output,
  });
  for (const args of calls) {
    const { code, output: detail } = await runCommand(compiler, args, {
      env: host.env,
      signal,
      cwd: scratch,
    });
    if (code === 0) continue;
    const line = detail.split("\n").find((text) => /error/i.test(text)) ?? `exit code ${code}`;
    throw new NativeError(
      "compile-failed",
      `${path.basename(compiler)} can't compile the binding: ${line.trim()}`,
      { detail },
    );
  }
  await fs.rm(scratch, { recursive: true, force: true });
}
