import { ConcatDataset, Subset } from "../../nn/data/dataset.ts";
import { TransformDataset, VisionDataset } from "../../nn/data/vision.ts";
import { inputKeys } from "./splits.ts";
import type { Rows } from "./rows.ts";

/** A sample before the transforms of its data set; undefined where the set has none, or doesn't tell. */
export function untransformed(dataset: unknown, index: number): { sample: unknown } | undefined {
  if (dataset instanceof Subset) return untransformed(dataset.dataset, dataset.indices[index]!);
  if (dataset instanceof ConcatDataset) {
    let at = index;
    for (const part of dataset.datasets) {
      if (at < part.length) return untransformed(part, at);
      at -= part.length;
    }
    return undefined;
  }
  if (dataset instanceof TransformDataset) {
    if (dataset.transform === null) return untransformed(dataset.dataset, index);
    return untransformed(dataset.dataset, index) ?? { sample: dataset.dataset.get(index) };
  }
  if (!(dataset instanceof VisionDataset) || dataset.transform === null) return undefined;
  const own = dataset as unknown as { untransformed(index: number): unknown };
  return { sample: own.untransformed(index) };
}

/** Whether all samples that were collected have the same inputs. */
export function allEqual(rows: Rows): boolean {
  const { fields } = rows.fields();
  return new Set(inputKeys({ name: "train", fields, read: rows.read })).size <= 1;
}
