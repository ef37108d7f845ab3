import * as v from "valibot";
import * as vscode from "vscode";
import { EngineError } from "../../protocol/errors.ts";
import type { LayerHistoryMethods } from "../../protocol/layers/history.ts";
import type { LayerPictureMethods } from "../../protocol/layers/pictures.ts";
import { LayerHistory } from "../../supervisor/runs/layerHistory.ts";
import { LayerPictures } from "../../supervisor/runs/layerPictures.ts";
import { PictureTensor } from "./pictureTensor.ts";
import type { ViewedTensor } from "./tensorPanel.ts";
import type { MethodSchemas } from "./webviewHost.ts";

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Path = v.pipe(v.string(), v.maxLength(10_000));
const Step = v.pipe(v.number(), v.integer(), v.minValue(-1));

export const layerSchemas: MethodSchemas<LayerHistoryMethods> = {
  layers: v.strictTuple([v.strictObject({ generation: Count, kept: Count })]),
  layerValues: v.strictTuple([Path]),
};

export const pictureSchemas: MethodSchemas<LayerPictureMethods> = {
  layerPictures: v.strictTuple([Step, v.strictObject({ version: Step, step: Step })]),
  openPicture: v.strictTuple([Path, Step]),
};

/** Methods for the statistics of a run's layers. `current` returns the directory of the shown run, if any. */
export function layerHistory(current: () => string | undefined): LayerHistoryMethods {
  const history = ofDirectory(current, (directory) => new LayerHistory(directory));
  return {
    layers: async (have) => (await history()?.columns(have)) ?? null,
    layerValues: async (path) => (await history()?.values(path)) ?? null,
  };
}

/** Methods for the pictures of a run's layers. `current` returns the directory and name of the shown run, if any. */
export function layerPictures(
  current: () => { directory: string; name: string } | undefined,
  showTensor: (tensor: ViewedTensor) => Promise<unknown>,
): LayerPictureMethods {
  const pictures = ofDirectory(
    () => current()?.directory,
    (directory) => new LayerPictures(directory),
  );
  return {
    layerPictures: async (step, have) => (await pictures()?.at(step, have)) ?? null,
    openPicture: async (path, step) => {
      const shown = await pictures()?.at(step);
      const { row } = shown ?? {};
      const picture = row && Object.hasOwn(row.layers, path) ? row.layers[path] : undefined;
      if (!row || picture === undefined)
        throw new EngineError({
          code: "layer",
          message: vscode.l10n.t("There are no pictures of this layer any more."),
        });
      const name = path === "" ? vscode.l10n.t("model") : path;
      const from = vscode.l10n.t("{0}, step {1}", current()?.name ?? "", row.step);
      await showTensor(new PictureTensor(picture, { name, from }));
    },
  };
}

/** Returns a function for the reader of the shown run's directory. */
function ofDirectory<T>(
  current: () => string | undefined,
  make: (directory: string) => T,
): () => T | undefined {
  let known: { directory: string; made: T } | undefined;
  return () => {
    const directory = current();
    if (directory === undefined) return undefined;
    if (known?.directory !== directory) known = { directory, made: make(directory) };
    return known.made;
  };
}
