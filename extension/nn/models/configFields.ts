// Checks of the fields of a configuration: a config.json comes from elsewhere.
import { clipped } from "../../protocol/text/clip.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { snakeCase } from "../module/repr.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Allowed values of a field, in words and as a test. */
interface Rule {
  readonly expected: string;
  readonly allows: (value: unknown) => boolean;
}

function whole(least: number, most: number): Rule {
  return {
    // When it is needed: the first number that a process writes so takes 20 ms.
    get expected() {
      return `a whole number from ${least.toLocaleString("en-US")} to ${most.toLocaleString("en-US")}`;
    },
    allows: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  };
}

const isNumber = (value: unknown, most: number): boolean =>
  typeof value === "number" && value >= 0 && value <= most;

const orNull = (rule: Rule): Rule => ({
  get expected() {
    return `${rule.expected}, or null`;
  },
  allows: (value) => value === null || rule.allows(value),
});

const share: Rule = { expected: "a number from 0 to 1", allows: (value) => isNumber(value, 1) };
const size: Rule = { expected: "a number from 0 to 1,000", allows: (value) => isNumber(value, 1000) };
const text: Rule = { expected: "a text", allows: (value) => typeof value === "string" };
const flag: Rule = { expected: "true or false", allows: (value) => typeof value === "boolean" };

const PROBLEMS: readonly unknown[] = [
  "regression",
  "single_label_classification",
  "multi_label_classification",
];

// Above everything published: the deepest transformers have 1,000 layers, the largest vocabularies a million tokens.
const LAYERS = whole(0, 1024);
const HEADS = whole(1, 65_536);
const WIDTH = whole(1, 131_072);
const INNER = whole(1, 1_048_576);
const MOST_TOKENS = 10_000_000;

/** By the fields' names. */
const RULES: Readonly<Record<string, Rule>> = {
  vocabSize: whole(1, MOST_TOKENS),
  hiddenSize: WIDTH,
  dim: WIDTH,
  numHiddenLayers: LAYERS,
  nLayers: LAYERS,
  numAttentionHeads: HEADS,
  nHeads: HEADS,
  intermediateSize: INNER,
  hiddenDim: INNER,
  maxPositionEmbeddings: whole(1, 1_048_576),
  typeVocabSize: whole(0, 65_536),
  numLabels: whole(0, 1_000_000),
  padTokenId: orNull(whole(-MOST_TOKENS, MOST_TOKENS)),
  hiddenAct: text,
  activation: text,
  hiddenDropoutProb: share,
  attentionProbsDropoutProb: share,
  dropout: share,
  attentionDropout: share,
  seqClassifDropout: share,
  classifierDropout: orNull(share),
  initializerRange: size,
  layerNormEps: size,
  isDecoder: flag,
  problemType: orNull({
    expected: PROBLEMS.map((one) => JSON.stringify(one)).join(", "),
    allows: (value) => PROBLEMS.includes(value),
  }),
};

/**
 * The fields of a configuration: as given, in camelCase or as a `config.json` has them, else with their defaults; those
 * of a `config.json` that don't affect the computation are left out.
 * @throws TensorError "num_hidden_layers: expected a whole number from 0 to 1,024, got 100000000"
 */
export function configured<T extends { numLabels: number; padTokenId: number | null }>(
  defaults: T,
  given: Fields,
): T {
  const own: Record<string, unknown> = {};
  for (const [name, standard] of Object.entries(defaults)) {
    const known = [name, snakeCase(name)].find((one) => (given[one] ?? undefined) !== undefined);
    own[name] = known === undefined ? standard : given[known];
    // A null of its own: no padding token.
    if (name === "padTokenId" && (given[name] === null || given["pad_token_id"] === null)) own[name] = null;
    check(known ?? name, RULES[name], own[name]);
  }
  const labels = given["id2label"];
  if (typeof labels === "object" && labels !== null) {
    own["numLabels"] = Object.keys(labels).length;
    check("id2label", RULES["numLabels"], own["numLabels"]);
  }
  return own as T;
}

function check(shown: string, rule: Rule | undefined, value: unknown): void {
  if (rule === undefined || rule.allows(value)) return;
  throw new TensorError("value", `${shown}: expected ${rule.expected}, got ${described(value)}`);
}

/** A value from a file, short and on one line. */
export function described(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return clipped(typeof value === "string" ? JSON.stringify(value) : String(value), 100);
}
