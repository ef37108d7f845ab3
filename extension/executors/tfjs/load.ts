import { createRequire } from "node:module";
import path from "node:path";
import { distFolder } from "../../files/shipped.ts";
import type { Tfjs } from "../../tensor/recording/op.ts";

type Library = typeof import("./library.ts");

/** Returns what loads tfjs when it is needed. A build has it in a file of its own, since most processes never read it. */
export async function tfjsLoader(): Promise<() => Library> {
  const dist = distFolder();
  if (dist === undefined) {
    const library = await import("./library.ts");
    return () => library;
  }
  return () => createRequire(import.meta.url)(path.join(dist, "tfjs.cjs")) as Library;
}

/** tfjs without its own checks and advertisement: the op table has checked shapes already. */
export function quiet({ tfjs: k }: Library): Tfjs {
  k.enableProdMode();
  return k;
}
