import { findingOf, type Finding, type FindingKind } from "../../protocol/findings.ts";
import type { LayerRow } from "../../protocol/run.ts";

/** A gradient's norm above which it explodes. */
const EXPLODING = 1e3;
/** Relative change of the loss by that of the weights, above which no usual step is small enough. */
const STEEP = 1e3;
/** How far a first loss may be above that of predicting 0, for targets' size to explain large gradients. */
const EXPLAINED = 100;
/** The part of the largest layer's gradient below which a layer's vanishes. */
const VANISHING = 1e-6;
/** Part of the weights that a step changes, above which it is too large: about 0.001 is usual. */
const LARGE_UPDATE = 0.1;
/** Part of a ReLU's units that are dead, above which it is a finding. */
const MANY_DEAD = 0.5;

/** Measurements of one check of the layers. */
export interface LayerCheck {
  layers: LayerRow["layers"];
  /** Units of each layer's ReLUs that were 0 for all samples of enough checks. */
  silent: ReadonlyMap<string, number>;
  /** Norms of the layers' weights. */
  weights: ReadonlyMap<string, number>;
  /** The step's loss, where it is one number. */
  loss: number | undefined;
}

/** Losses on the first batch, as a scale: see Probe. */
export interface LossScale {
  loss: number | undefined;
  baseline: number | undefined;
}

/** Judges checks of layers: only a problem in two consecutive checks counts, since one step proves little. */
export class LayerRules {
  #scale: LossScale = { loss: undefined, baseline: undefined };
  #suspected = new Set<string>();

  set scale(scale: LossScale) {
    this.#scale = scale;
  }

  judge(check: LayerCheck): Finding[] {
    const { layers, silent } = check;
    const norms = Object.values(layers).flatMap(({ gradNorm }) => (gradNorm === undefined ? [] : [gradNorm]));
    const largest = Math.max(0, ...norms);
    const suspected = new Set<string>();
    const findings: Finding[] = [];
    for (const [layer, { gradNorm, updateRatio }] of Object.entries(layers)) {
      const name = layer === "" ? "the model" : layer;
      const say = (kind: FindingKind, what: string): void => {
        const key = `${kind} ${layer}`;
        suspected.add(key);
        if (this.#suspected.has(key)) findings.push(findingOf(kind, what, { layer }));
      };
      if (gradNorm !== undefined && gradNorm > EXPLODING) {
        if (!this.#explained(layer, gradNorm, check))
          say("explodingGradient", `Exploding gradient in ${name}: its norm is ${short(gradNorm)}.`);
      } else if (gradNorm !== undefined && largest > 0 && gradNorm < VANISHING * largest)
        say(
          "vanishingGradient",
          `Vanishing gradient in ${name}: its norm is ${short(gradNorm)}, the largest layer's ${short(largest)}.`,
        );
      if (updateRatio !== undefined && updateRatio > LARGE_UPDATE)
        say(
          "learningRateHigh",
          `Each step changes ${name} by ${(100 * updateRatio).toFixed(0)} % of its weights; 0.1 % is usual.`,
        );
    }
    this.#suspected = suspected;
    return [...findings, ...this.deadUnits(layers, silent)];
  }

  /** @param silent Units of each layer's ReLUs that count as dead */
  deadUnits(layers: LayerRow["layers"], silent: LayerCheck["silent"]): Finding[] {
    return Object.entries(layers).flatMap(([layer, { units = 0 }]) => {
      const dead = silent.get(layer) ?? 0;
      if (dead <= MANY_DEAD * units) return [];
      return [
        findingOf(
          "deadUnits",
          `${dead} of ${units} units of the ReLU in ${layer === "" ? "the model" : layer} are 0 for every sample: they learn nothing any more.`,
          { layer },
        ),
      ];
    });
  }

  /** Whether the size of the targets, such as prices in thousands, explains a large gradient. */
  #explained(layer: string, gradNorm: number, { weights, loss }: LayerCheck): boolean {
    const { loss: first, baseline } = this.#scale;
    if (baseline === undefined || loss === undefined) return false;
    const slope = (gradNorm * (weights.get(layer) ?? Infinity)) / Math.abs(loss);
    return (first ?? 0) <= EXPLAINED * baseline && slope <= STEEP;
  }
}

const short = (x: number): string => String(Number(x.toPrecision(2)));
