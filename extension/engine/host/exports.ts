import { Experiment } from "../../nn/experiment/experiment.ts";
import { Module } from "../../nn/module/module.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { UserModule } from "./userModule.ts";

/** A model class that a file exports. */
export interface ModelClass {
  exportName: string;
  type: abstract new (...args: never[]) => Module;
}

export function experimentsOf({ exports }: UserModule): [exportName: string, experiment: Experiment][] {
  return Object.entries(exports).filter(
    (entry): entry is [string, Experiment] => entry[1] instanceof Experiment,
  );
}

export function modelClassesOf({ exports }: UserModule): ModelClass[] {
  return Object.entries(exports).flatMap(([exportName, value]) =>
    isModelClass(value) ? [{ exportName, type: value }] : [],
  );
}

function isModelClass(value: unknown): value is ModelClass["type"] {
  return typeof value === "function" && value.prototype instanceof Module;
}

/**
 * The experiment of an export. "default" also means the only one of a file without default export.
 * @throws EngineError "no-experiment" saying what the file exports
 */
export function findExperiment(
  module: UserModule,
  exportName: string,
): { exportName: string; experiment: Experiment } {
  const { file, exports } = module;
  const value = exports[exportName];
  if (value instanceof Experiment) return { exportName, experiment: value };
  const experiments = experimentsOf(module);
  const only = experiments[0];
  if (exportName === "default" && value === undefined && experiments.length === 1 && only !== undefined)
    return { exportName: only[0], experiment: only[1] };
  throw new EngineError({
    code: "no-experiment",
    message: problem(exportName, exportName in exports, value),
    position: { file, line: 1, column: 1 },
    hint: advice(
      experiments.map(([name]) => name),
      exports,
    ),
  });
}

function problem(exportName: string, exists: boolean, value: unknown): string {
  const what = exportName === "default" ? "default export" : `export "${exportName}"`;
  if (!exists)
    return exportName === "default" ? "The file has no default export." : `The file has no ${what}.`;
  if (isModelClass(value)) return `The ${what} is the model class ${value.name}, not an experiment.`;
  return `The ${what} is ${describe(value)}, not an experiment.`;
}

function describe(value: unknown): string {
  if (value instanceof Module) return `a model (${value.constructor.name})`;
  if (typeof value === "function") return "a function";
  if (value instanceof Promise) return "a promise";
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  return "an object";
}

function advice(experiments: readonly string[], exports: Readonly<Record<string, unknown>>): string {
  if (experiments.length > 0) return `Its experiments: ${experiments.map((name) => `#${name}`).join(", ")}.`;
  const names = Object.keys(exports);
  if (names.length === 0)
    return `It exports nothing. Run it as a program (layerwise run), or add: ${EXAMPLE}`;
  const has = `It exports ${names.join(", ")}.`;
  if (Object.values(exports).some((value) => value instanceof Promise))
    return `${has} Await the promise: export default await …`;
  return `${has} Add: ${EXAMPLE}`;
}

const EXAMPLE = "export default experiment({ model: …, data: …, loss: …, optimizer: …, epochs: … })";
