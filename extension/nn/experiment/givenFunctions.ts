// What stands where an experiment takes a function: types refuse it, but files run in spite of them.
import { TensorError } from "../../tensor/core/errors.ts";
import type { Callbacks } from "./experimentOptions.ts";

/** How a function of an option begins that makes something. */
const BEGINNINGS: Readonly<Record<string, string>> = {
  model: "() => ",
  data: "() => ",
  optimizer: "(parameters) => ",
  lrScheduler: "(optimizer) => ",
};

/** Every callback by name. */
const CALLBACKS: Record<keyof Callbacks, true> = {
  onSanityCheckStart: true,
  onSanityCheckEnd: true,
  onTrainStart: true,
  onEpochStart: true,
  onBatchStart: true,
  onBeforeBackward: true,
  onAfterBackward: true,
  onBeforeOptimizerStep: true,
  onStepEnd: true,
  onBatchEnd: true,
  onValidationStart: true,
  onValidationEnd: true,
  onEpochEnd: true,
  onSaveCheckpoint: true,
  onTrainEnd: true,
  onException: true,
  stateDict: true,
  loadStateDict: true,
};

function fail(name: string, expected: string, got: string, hint?: string): never {
  throw new TensorError("value", `experiment(): expected ${name} to be ${expected}, got ${got}`, hint);
}

const isClass = (value: unknown): value is { name: string } =>
  typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

/** The name of a class as the user wrote it: classes that were changed have another of their own. */
const nameOf = ({ name }: { name: string }): string => name.replace(/^_/, "");

/** @throws TensorError for a class that nothing is made of yet, such as `loss: nn.CrossEntropyLoss` */
export function demandNoClass(name: string, value: unknown): void {
  if (!isClass(value)) return;
  const made = `new ${nameOf(value)}(…)`;
  const beginning = BEGINNINGS[name];
  fail(
    name,
    beginning === undefined ? "a function" : "a function that makes it",
    `the class ${nameOf(value)}`,
    beginning === undefined ? made : `${name}: ${beginning}${made}`,
  );
}

/** @throws TensorError for a model in place of the function that makes it, which would be called like one */
export function demandMaker(name: string, value: object): void {
  if (typeof Reflect.get(value, "forward") === "function")
    fail(
      name,
      "a function that makes the model",
      `a ${nameOf(value.constructor)} itself`,
      `model: () => new ${nameOf(value.constructor)}(…): each training makes its own, with its seed`,
    );
}

/** @throws TensorError for callbacks that are no functions, or that are never called because of their names */
export function demandCallbacks(name: string, given: object): void {
  for (const one of Array.isArray(given) ? (given as unknown[]) : [given]) {
    demandNoClass(name, one);
    if (typeof one !== "object" || one === null)
      fail(name, "an object of functions, or a list of such", `a list with ${typeof one}`);
    for (const key of Object.keys(CALLBACKS)) {
      const value: unknown = Reflect.get(one, key);
      if (value !== undefined && typeof value !== "function")
        fail(`${name}.${key}`, "a function", typeof value);
    }
    // Classes may have what they need, under any name.
    const unknown = Object.keys(one).find((key) => /^on[A-Z]/.test(key) && !Object.hasOwn(CALLBACKS, key));
    if (unknown !== undefined)
      throw new TensorError(
        "value",
        `experiment(): ${name} got an unexpected callback '${unknown}'`,
        `callbacks are ${Object.keys(CALLBACKS).join(", ")}`,
      );
  }
}
