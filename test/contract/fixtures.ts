// The exported names that the cases made with PyTorch cover: the contract test walks exports against them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { GradSpec } from "../parity/kinds/grad.ts";
import { camelCase } from "../parity/names.ts";
import type { SchedulerSpec } from "../parity/optimizers.ts";

const root = new URL("../fixtures/", import.meta.url);

interface Item extends GradSpec {
  init_fn?: string;
  optimizer?: { type: string };
  scheduler?: SchedulerSpec;
}

/** All items of one kind, of the golden cases and of our own. */
function items(kind: string): Item[] {
  return readdirSync(root)
    .map((folder) => new URL(`${folder}/${kind}/`, root))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".json"))
        .flatMap((name) => itemsOf(new URL(name, folder))),
    );
}

const read = (file: URL): unknown => JSON.parse(readFileSync(file, "utf8"));

const itemsOf = (file: URL): Item[] => (read(file) as { spec: { items: Item[] } }).spec.items;

const grads = items("grad");

/** The first case of each class with values and gradients: how it is made and called. */
export const MODULE_CASES: ReadonlyMap<string, GradSpec> = new Map(
  grads
    .filter(({ model }) => model !== undefined && model.type !== "custom")
    .toReversed()
    .map((item) => [item.model!.type, item]),
);

/** Names of functions that a case calls, as the library exports them. */
export const CALLED: ReadonlySet<string> = new Set([
  ...grads.flatMap(({ fn }) => (fn === undefined ? [] : [camelCase(fn.slice(fn.lastIndexOf(".") + 1))])),
  ...programs(),
  ...calls(),
]);

/** Calls of the programs over tensors. */
function programs(): string[] {
  const file = new URL("functions/programs.json", root);
  const { cases } = read(file) as { cases: { steps: { call: string }[] }[] };
  return cases.flatMap(({ steps }) => steps.map(({ call }) => call));
}

/** Functions that the cases of losses and distances call. */
function calls(): string[] {
  const folder = new URL("cases/", root);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => itemsOf(new URL(name, folder)))
    .flatMap(({ fn }) => (fn === undefined ? [] : [camelCase(fn.slice(fn.lastIndexOf(".") + 1))]));
}

const optims = items("optim");

/** Optimizers by class, as the golden cases name them; L-BFGS and SWALR have cases of their own. */
export const OPTIMIZERS: ReadonlySet<string> = new Set([
  ...optims.flatMap(({ optimizer }) => (optimizer === undefined ? [] : [optimizer.type])),
  ...("lbfgs" in (read(new URL("optim/optim.json", root)) as object) ? ["LBFGS"] : []),
]);

/** The first case of each schedule. */
export const SCHEDULES: ReadonlyMap<string, SchedulerSpec> = new Map(
  optims
    .flatMap(({ scheduler }) => (scheduler === undefined ? [] : [scheduler]))
    .toReversed()
    .map((spec) => [spec.type, spec]),
);

/** Functions of nn.init that a case starts tensors with. */
export const INITIALISERS: ReadonlySet<string> = new Set(
  items("init").flatMap(({ init_fn: fn }) => (fn === undefined ? [] : [camelCase(fn)])),
);
