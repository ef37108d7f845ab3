import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Finds `dist/`, the folder of the built programs and of the files that they read at run time. It is the running bundle's folder,
 * or that of the installed package if a user's bundler has copied the library into another file. Undefined when running from source.
 */
export function distFolder(): string | undefined {
  const own = path.dirname(fileURLToPath(import.meta.url));
  if (existsSync(path.join(own, "wasm"))) return own;
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve("layerwise/package.json")), "dist");
  } catch {
    return undefined;
  }
}
