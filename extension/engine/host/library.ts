import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { distFolder } from "../../files/shipped.ts";
import { LOADERS } from "../../formats/datasets.ts";
import { setDataFiles } from "../../nn/data/access.ts";
import { setBundledSets, type BundledData, type BundledName } from "../../nn/data/bundled.ts";
import { setTensorFiles } from "../../nn/files.ts";
import * as nn from "../../nn/index.ts";
import { diskFiles } from "../files/dataFiles.ts";
import { FILES } from "./userFiles.ts";

/** The folder of the bundled sets: beside dist/ in a build, at the root when running from source. */
function dataFolder(): string {
  const dist = distFolder();
  return dist === undefined
    ? fileURLToPath(new URL("../../../media/data", import.meta.url))
    : join(dist, "..", "media", "data");
}

/** Bundled data sets that were read: a preview needs them at every keystroke. Tensors copy before they write. */
const bundled = new Map<BundledName, BundledData>();

setBundledSets({
  samples(name) {
    const data = bundled.get(name) ?? LOADERS[name](dataFolder());
    bundled.set(name, data);
    return data;
  },
  text: (file) => readFileSync(join(dataFolder(), file), "utf8"),
});
setDataFiles(diskFiles);
setTensorFiles(FILES);

/** Exports of `import … from "layerwise"` in user code: the instance that this process computes with. */
export const library: Readonly<Record<string, unknown>> = { ...nn };
