/** Measured times and memory of a model's layers. */
import type { LayerProfile, Pass, Profile } from "../../extension/protocol/profile.ts";

export type LayerTimes = Pick<LayerProfile, "forward" | "backward" | "activationBytes" | "gradientBytes">;

const add = (a: Pass, b: Pass): Pass => ({
  ms: a.ms + b.ms,
  ops: a.ops + b.ops,
  multiplyAdds: a.multiplyAdds + b.multiplyAdds,
});

/** Measurements of each module, its children included. */
export class MeasuredLayers {
  readonly profile: Profile;
  readonly #layers = new Map<string, LayerTimes>();

  constructor(profile: Profile) {
    this.profile = profile;
    for (const layer of profile.layers) {
      const parts = layer.path.split(".");
      // Time outside all layers belongs to no module.
      if (layer.path !== "")
        for (let depth = 1; depth <= parts.length; depth++) this.#add(parts.slice(0, depth).join("."), layer);
    }
  }

  of(path: string): LayerTimes | undefined {
    return this.#layers.get(path);
  }

  #add(path: string, layer: LayerTimes): void {
    const known = this.#layers.get(path);
    this.#layers.set(
      path,
      known === undefined
        ? layer
        : {
            forward: add(known.forward, layer.forward),
            backward: add(known.backward, layer.backward),
            activationBytes: known.activationBytes + layer.activationBytes,
            gradientBytes: known.gradientBytes + layer.gradientBytes,
          },
    );
  }
}
