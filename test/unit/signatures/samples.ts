// Calls that the fixtures of functions and modules contain, by what they call.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { camelCase, keywords, argument } from "../../parity/names.ts";
import type { GradSpec } from "../../parity/kinds/grad.ts";
import { cases, execute, type Names } from "../../functionPrograms.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";
import type { Call } from "./forms.ts";

const root = new URL("../../fixtures/", import.meta.url);

/** How many calls of one function are tried. */
const ENOUGH = 8;

export interface Sample extends Call {
  /** Of a method. */
  readonly self?: Tensor;
}

const found = new Map<string, Sample[]>();

/** Adds a call that differs in form from those that are there. */
function add(key: string, sample: Sample): void {
  const list = found.get(key) ?? [];
  found.set(key, list);
  const kind = (x: unknown): string =>
    x instanceof Tensor ? `${x.dtype}${x.ndim}` : (JSON.stringify(x) ?? "");
  const text = (s: Sample): string =>
    [s.self, ...s.args, ...Object.entries(s.kwargs).flat()].map(kind).join(";");
  if (list.length < ENOUGH && !list.some((other) => text(other) === text(sample))) list.push(sample);
}

function items(): GradSpec[] {
  const files = readdirSync(root).flatMap((folder) => {
    const at = folder === "cases" ? new URL(`${folder}/`, root) : new URL(`${folder}/grad/`, root);
    return existsSync(at)
      ? readdirSync(at).flatMap((f) => (f.endsWith(".json") ? [new URL(f, at)] : []))
      : [];
  });
  return files.flatMap(
    (file) => (JSON.parse(readFileSync(file, "utf8")) as { spec: { items: GradSpec[] } }).spec.items,
  );
}

/** Calls by `torch.topk`, `Tensor.topk`, `F.relu`, `nn.Linear`. */
export function samples(): ReadonlyMap<string, readonly Sample[]> {
  if (found.size > 0) return found;
  for (const { fn, args = [], kwargs, model } of items()) {
    const named = (given: GradSpec["kwargs"]): Record<string, unknown> =>
      Object.fromEntries(Object.entries(keywords(given)).map(([name, value]) => [camelCase(name), value]));
    if (fn !== undefined) {
      const at = fn.lastIndexOf(".");
      const [space, name] = [fn.slice(0, at), camelCase(fn.slice(at + 1))];
      const values = args.map(argument);
      if (space === "Tensor") {
        const [self, ...rest] = values;
        add(`Tensor.${name}`, { self: self as Tensor, args: rest, kwargs: named(kwargs) });
      } else add(`${space}.${name}`, { args: values, kwargs: named(kwargs) });
    } else if (model !== undefined && model.args !== undefined && model.layer === undefined) {
      if (model.type !== "custom" && model.layers === undefined && model.named === undefined) {
        add(`nn.${model.type}`, { args: model.args.map(argument), kwargs: named(model.kwargs) });
      }
    }
  }
  for (const c of cases) {
    if (c.error !== undefined) continue;
    try {
      execute(c, [], (step, target, args, kwargs, names: Names) => {
        if (step.on === "torch") add(`torch.${step.call}`, { args, kwargs });
        else if (target instanceof Tensor) {
          const self = names[step.on] as Tensor;
          add(`Tensor.${step.call}`, { self, args, kwargs });
          add(`torch.${step.call}`, { args: [self, ...args], kwargs });
        }
      });
    } catch {
      // A program that fails has its own test.
    }
  }
  return found;
}
