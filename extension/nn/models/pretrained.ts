// First weights of Hugging Face's models, and loading them from a folder.
import { TensorError } from "../../tensor/core/errors.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { normal_, ones_, zeros_ } from "../init.ts";
import type { Module } from "../module/module.ts";
import { Embedding } from "../modules/embedding.ts";
import { Linear } from "../modules/linear.ts";
import { LayerNorm } from "../modules/norm/normalization.ts";
import { warnOnce } from "../warnings.ts";
import { naming, readWeights } from "./folder.ts";

/**
 * First weights as Hugging Face's models have them, children first: of linear layers N(0, std) and biases 0; of embeddings
 * N(0, std) with a padding row of 0; of norms 1 and 0.
 * @param wanted which parameters; all by default
 */
export function initializeWeights(
  model: Module,
  std: number,
  wanted: (parameter: Parameter) => boolean = () => true,
): void {
  model.apply((module) => {
    const [weight, bias] =
      module instanceof Linear || module instanceof LayerNorm
        ? [module.weight, module.bias].map((p) => (p !== null && wanted(p) ? p : null))
        : [null, null];
    if (module instanceof Embedding && wanted(module.weight)) module.resetParameters(std);
    if (weight) {
      if (module instanceof Linear) normal_(weight, 0, std);
      else ones_(weight);
    }
    if (bias) zeros_(bias);
  });
}

/** Weights that a folder may lack beside as many as it has: those of a large vocabulary, not of a made-up size. */
const MAX_FRESH = 2 ** 28;

/** Tensors that files of older versions have beside the weights. */
const CONSTANTS = /(^|\.)(position_ids|token_type_ids)$/;

/**
 * Loads the folder's weights into a model whose own don't matter. Missing weights are initialised, others of the folder are
 * ignored; a warning names both.
 * @param prefix the name of the base model within others: weights of one kind of model fit into another
 * @param std of weights that are initialised
 * @throws TensorError for weights of another size; the reader's error for a damaged file
 */
export function loadPretrained(model: Module, folder: string, prefix: string, std: number): void {
  const own = new Map(model.namedParameters());
  const given = [...readWeights(folder)].map(([name, tensor]): [string, Tensor] => [
    name.replace(/\.gamma$/, ".weight").replace(/\.beta$/, ".bias"),
    tensor,
  ]);
  const inside = (name: string): boolean => name.startsWith(`${prefix}.`);
  const wraps = [...own.keys()].some(inside);
  const wrapped = given.some(([name]) => inside(name));
  const fitting = (name: string): string => {
    if (wraps && !wrapped) return `${prefix}.${name}`;
    return !wraps && inside(name) ? name.slice(prefix.length + 1) : name;
  };
  const state = new Map<string, Tensor>();
  const unused: string[] = [];
  for (const [name, tensor] of given) {
    const fit = fitting(name);
    if (own.has(fit)) state.set(fit, tensor);
    else if (!CONSTANTS.test(name)) unused.push(name);
  }
  naming(folder, () => model.loadStateDict(state, { strict: false }));
  const list = (names: readonly string[]): string => `[${names.map((name) => `'${name}'`).join(", ")}]`;
  const type = model.constructor.name;
  if (unused.length > 0) {
    warnOnce(
      `Some weights of the model checkpoint at ${folder} were not used when initializing ${type}: ${list(unused)}`,
    );
  }
  const missing = [...own].filter(([name]) => !state.has(name));
  if (missing.length === 0) return;
  const count = (tensors: readonly Tensor[]): number =>
    tensors.reduce((sum, { shape }) => sum + numel(shape), 0);
  const absent = count(missing.map(([, parameter]) => parameter));
  const most = MAX_FRESH + count(given.map(([, tensor]) => tensor));
  if (absent > most)
    throw new TensorError(
      "value",
      `${folder}: config.json describes ${absent.toLocaleString("en-US")} weights that the folder lacks; the limit is ${most.toLocaleString("en-US")}`,
    );
  const fresh = new Set(missing.map(([, parameter]) => parameter));
  initializeWeights(model, std, (parameter) => fresh.has(parameter));
  warnOnce(
    `Some weights of ${type} were not initialized from the model checkpoint at ${folder} and are newly initialized: ${list(missing.map(([name]) => name))}\nYou should probably TRAIN this model on a down-stream task to be able to use it for predictions and inference.`,
  );
}
