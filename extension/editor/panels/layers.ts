import * as v from "valibot";
import type { LayerHistoryMethods } from "../../protocol/layers/history.ts";
import { LayerHistory } from "../../supervisor/runs/layerHistory.ts";
import type { MethodSchemas } from "./webviewHost.ts";

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));

export const layerSchemas: MethodSchemas<LayerHistoryMethods> = {
  layers: v.strictTuple([v.strictObject({ generation: Count, kept: Count })]),
  layerValues: v.strictTuple([v.pipe(v.string(), v.maxLength(10_000))]),
};

/** What each layer of a run did: `current` answers its directory, if one is shown. */
export function layerHistory(current: () => string | undefined): LayerHistoryMethods {
  let known: { directory: string; history: LayerHistory } | undefined;
  const history = (): LayerHistory | undefined => {
    const directory = current();
    if (directory === undefined) return undefined;
    if (known?.directory !== directory) known = { directory, history: new LayerHistory(directory) };
    return known.history;
  };
  return {
    layers: async (have) => (await history()?.columns(have)) ?? null,
    layerValues: async (path) => (await history()?.values(path)) ?? null,
  };
}
