import * as v from "valibot";

/** A request that a host can make of a live run. */
interface Control {
  /** Arguments of the call. */
  arguments: v.GenericSchema<unknown, unknown[]>;
  /** The engine's answer. */
  result: v.GenericSchema;
  /** Completes the message of a run that another window controls: it can't be … from here. */
  refused: string;
  /** Whether the training panel may ask for it. */
  panel: boolean;
}

const none = v.strictTuple([]);
const nothing = v.pipe(
  v.unknown(),
  v.transform((): void => undefined),
);

/**
 * The controls of a run. All sides between a button and the training loop derive from this map: the engine's methods,
 * `RunHandle`, runs in the queue, runs of other windows, `RunSession` and the training panel.
 */
export const RUN_CONTROLS = {
  pause: { arguments: none, result: nothing, refused: "paused", panel: true },
  resume: { arguments: none, result: nothing, refused: "resumed", panel: true },
  /** Does one optimizer step, or as many as given, and pauses after them. */
  step: {
    arguments: v.pipe(
      v.tuple([v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000_000)))]),
      v.transform(([count]): [count?: number] => (typeof count === "number" ? [count] : [])),
    ),
    result: nothing,
    refused: "stepped",
    panel: true,
  },
  /** Ends the run after the current step; saves the weights first. */
  stop: { arguments: none, result: nothing, refused: "stopped", panel: true },
  /** Saves the weights after the current step; answers the file's path. */
  checkpoint: { arguments: none, result: v.string(), refused: "told to save", panel: true },
  /** Adds epochs; answers how many there are now. */
  addEpochs: {
    arguments: v.strictTuple([v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000))]),
    result: v.number(),
    refused: "made longer",
    panel: true,
  },
  /**
   * Sets the learning rate of the first parameter group from the next step on. Those of the other groups, and the
   * schedules, change by the same factor. `optimizer` names one of several optimizers; the default is all.
   */
  setLearningRate: {
    arguments: v.pipe(
      v.tuple([v.pipe(v.number(), v.finite(), v.minValue(0)), v.nullish(v.string())]),
      v.transform(([lr, name]): [lr: number, optimizer?: string] =>
        typeof name === "string" ? [lr, name] : [lr],
      ),
    ),
    result: nothing,
    refused: "given another rate",
    panel: true,
  },
  /** Answers the executor's counters. */
  counters: {
    arguments: none,
    result: v.record(v.string(), v.number()),
    refused: "asked for its counters",
    panel: false,
  },
} as const satisfies Record<string, Control>;

type Controls = typeof RUN_CONTROLS;
export type ControlName = keyof Controls;
type Arguments<K extends ControlName> = v.InferOutput<Controls[K]["arguments"]>;
type Result<K extends ControlName> = v.InferOutput<Controls[K]["result"]>;

/** The controls as methods. */
export type RunControls = { [K in ControlName]: (...args: Arguments<K>) => Promise<Result<K>> };

/** Code that answers some of the controls. */
export type ControlAnswers<K extends ControlName = ControlName> = {
  [Name in K]: (...args: Arguments<Name>) => Result<Name> | Promise<Result<Name>>;
};

/** The controls that the training panel may ask for. */
export type PanelControl = { [K in ControlName]: Controls[K]["panel"] extends true ? K : never }[ControlName];

const NAMES = Object.keys(RUN_CONTROLS) as ControlName[];
export const PANEL_CONTROLS = NAMES.filter((name): name is PanelControl => RUN_CONTROLS[name].panel);

/** Makes every control a call of `answer`. Arguments and results are validated. */
export function controlsBy(answer: (name: ControlName, args: unknown[]) => unknown): RunControls {
  const controls = NAMES.map((name) => {
    const { arguments: expected, result }: Control = RUN_CONTROLS[name];
    const call = async (...args: unknown[]): Promise<unknown> =>
      v.parse(result, await answer(name, v.parse(expected, args)));
    return [name, call] as const;
  });
  return Object.fromEntries(controls) as unknown as RunControls;
}

/** Makes every control a call of the same one of `target()`, which may throw. */
export function forwardControls(target: () => RunControls): RunControls {
  return controlsBy((name, args) => (target()[name] as (...args: unknown[]) => Promise<unknown>)(...args));
}
