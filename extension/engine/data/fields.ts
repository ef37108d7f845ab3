import { tensor } from "../../tensor/functions/creation/creation.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import type { Prepared } from "../training/prepare.ts";

export type Role = "input" | "target";

/** One value of a sample or of a batch: a tensor, or strings, one for each sample. */
export type FieldValue = { name: string; role: Role } & ({ tensor: Tensor } | { texts: readonly string[] });

/** Keys under which samples have what is to be predicted. */
const TARGET = /^(?:targets?|labels?|y|class(?:es)?|masks?|answers?)$/i;
const MAX_FIELDS = 32;
const MAX_DEPTH = 4;
/** Characters of a name: keys come from the user's data. */
const MAX_NAME = 80;

/**
 * The values of a sample or a batch of any form: tensors, numbers, strings, and lists, objects and maps of them. Of a list, the
 * last is the target; of an object, what its key says.
 * @param batched Whether strings and numbers stand for several samples
 * @param names Names of the inputs of a list: see {@link inputNames}
 */
export function fieldsOf(value: unknown, batched: boolean, names: readonly string[] = []): FieldValue[] {
  const found: FieldValue[] = [];
  const walk = (one: unknown, name: string, role: Role, depth: number): void => {
    if (found.length >= MAX_FIELDS) return;
    const leaf = leafOf(one, batched);
    if (leaf !== undefined) {
      found.push({ name: (name === "" ? "input" : name).slice(0, MAX_NAME), role, ...leaf });
      return;
    }
    if (depth === MAX_DEPTH) return;
    for (const [key, inner] of entriesOf(one))
      walk(inner, name === "" ? key : `${name}.${key}`, role, depth + 1);
  };
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    const target = list.length > 1 ? list.length - 1 : undefined;
    const inputs = target ?? list.length;
    list.forEach((one, i) => {
      if (i === target) return walk(one, "target", "target", 1);
      // The keys of a single input say enough.
      const alone = isTree(one, batched) ? "" : "input";
      const several = names.length >= inputs ? names[i]! : `input ${i + 1}`;
      walk(one, inputs === 1 ? alone : several, "input", 1);
    });
  } else if (isTree(value, batched))
    for (const [key, one] of entriesOf(value)) walk(one, key, TARGET.test(key) ? "target" : "input", 1);
  else walk(value, "", "input", 0);
  return found;
}

/** Names of the inputs of a sample that is a list: of the parameters of the model's `forward`, unless a step of the user's calls it. */
export function inputNames({ model, experiment }: Pick<Prepared, "model" | "experiment">): string[] {
  const forward: unknown = Reflect.get(model, "forward");
  if (experiment.options.trainStep !== undefined || typeof forward !== "function") return [];
  const [, list = ""] = /^[^(]*\(([^()]*)\)/.exec(Function.prototype.toString.call(forward)) ?? [];
  const names = list.split(",").map((one) => one.trim());
  // Others have patterns or defaults in them, whose text says little; the last value of a list is the target.
  return names.every((one) => /^[A-Za-z_$][\w$]*$/.test(one) && one !== "target") ? names : [];
}

type Leaf = { tensor: Tensor } | { texts: readonly string[] };

function leafOf(value: unknown, batched: boolean): Leaf | undefined {
  if (value instanceof Tensor) return { tensor: value };
  if (typeof value === "string") return batched ? undefined : { texts: [value] };
  if (typeof value === "number" || typeof value === "boolean") return { tensor: tensor(value) };
  if (ArrayBuffer.isView(value)) return { tensor: tensor(value as Float32Array) };
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const list: readonly unknown[] = value;
  if (list.every((one) => typeof one === "string")) return { texts: batched ? list : [list.join(" ")] };
  if (!batched && list.every((one) => typeof one === "number")) return { tensor: tensor(list) };
  return undefined;
}

const isTree = (value: unknown, batched: boolean): boolean =>
  typeof value === "object" && value !== null && leafOf(value, batched) === undefined;

function entriesOf(value: unknown): [string, unknown][] {
  if (value instanceof Map)
    return [...(value as ReadonlyMap<unknown, unknown>)].map(([key, one]) => [String(key), one]);
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}
