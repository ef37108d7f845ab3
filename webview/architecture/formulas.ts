import { ownValue } from "../../extension/protocol/data/own.ts";

/** Formulas of well-known layers. */
const FORMULAS: Readonly<Record<string, string>> = {
  Linear: "y = x Wᵀ + b",
  Bilinear: "y = x₁ᵀ A x₂ + b",
  Conv1d: "y[o] = b[o] + Σᵢ W[o, i] ⋆ x[i]",
  Conv2d: "y[o] = b[o] + Σᵢ W[o, i] ⋆ x[i]",
  Conv3d: "y[o] = b[o] + Σᵢ W[o, i] ⋆ x[i]",
  Embedding: "y = W[x]",
  BatchNorm1d: "y = (x − E[x]) / √(Var[x] + ε) · γ + β, over the batch",
  BatchNorm2d: "y = (x − E[x]) / √(Var[x] + ε) · γ + β, over the batch",
  BatchNorm3d: "y = (x − E[x]) / √(Var[x] + ε) · γ + β, over the batch",
  LayerNorm: "y = (x − E[x]) / √(Var[x] + ε) · γ + β, over the last dimensions",
  GroupNorm: "y = (x − E[x]) / √(Var[x] + ε) · γ + β, over groups of channels",
  RMSNorm: "y = x / √(E[x²] + ε) · γ",
  ReLU: "y = max(0, x)",
  LeakyReLU: "y = max(0, x) + slope · min(0, x)",
  ELU: "y = x > 0 ? x : α (eˣ − 1)",
  GELU: "y = x Φ(x)",
  GELUActivation: "y = x Φ(x)",
  SiLU: "y = x σ(x)",
  Sigmoid: "y = 1 / (1 + e⁻ˣ)",
  Tanh: "y = tanh(x)",
  Softplus: "y = log(1 + e^(βx)) / β",
  Softmax: "yᵢ = e^xᵢ / Σⱼ e^xⱼ",
  LogSoftmax: "yᵢ = xᵢ − log Σⱼ e^xⱼ",
  Dropout: "y = x · Bernoulli(1 − p) / (1 − p) in training, x else",
  MaxPool1d: "y = max of each window of x",
  MaxPool2d: "y = max of each window of x",
  AvgPool1d: "y = mean of each window of x",
  AvgPool2d: "y = mean of each window of x",
  AdaptiveAvgPool2d: "y = mean of each cell of x",
  RNN: "hₜ = tanh(Wᵢ xₜ + bᵢ + Wₕ hₜ₋₁ + bₕ)",
  LSTM: "cₜ = f ⊙ cₜ₋₁ + i ⊙ g,  hₜ = o ⊙ tanh(cₜ)",
  GRU: "hₜ = (1 − z) ⊙ n + z ⊙ hₜ₋₁",
  MultiheadAttention: "softmax(Q Kᵀ / √d) V, for each head",
  Identity: "y = x",
};

export const formulaOf = (className: string): string | undefined => ownValue(FORMULAS, className);

/** Names of the settings that a printed layer lists by position. */
const BY_PLACE: readonly [RegExp, readonly string[]][] = [
  [/^(Lazy)?Conv(Transpose)?\dd$/, ["in_channels", "out_channels"]],
  [/^(Embedding|EmbeddingBag)$/, ["num_embeddings", "embedding_dim"]],
  [/^(BatchNorm|InstanceNorm)\dd$/, ["num_features"]],
  [/^(LayerNorm|RMSNorm)$/, ["normalized_shape"]],
  [/^GroupNorm$/, ["num_groups", "num_channels"]],
  [/^(RNN|LSTM|GRU)(Cell)?$/, ["input_size", "hidden_size"]],
];

/** Parses "in_features=10, kernel_size=(3, 3)" into pairs; settings printed without a name get that of their position. */
export function settingsOf(className: string, detail: string): [name: string, value: string][] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of detail) {
    if ("([{".includes(char)) depth++;
    if (")]}".includes(char)) depth--;
    if (char === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += char;
  }
  parts.push(part);
  const places = BY_PLACE.find(([pattern]) => pattern.test(className))?.[1] ?? [];
  return parts
    .map((one) => one.trim())
    .filter((one) => one !== "")
    .map((one, i) => {
      const [, name = places[i] ?? "", value = one] = /^(\w+)=(.*)$/s.exec(one) ?? [];
      return [name, value];
    });
}
