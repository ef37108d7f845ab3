import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import { loadExecutor } from "../../executors/index.ts";
import { listCoders, type Codes } from "../../nn/data/tokenizers.ts";
import { Experiment, type ExperimentOptions } from "../../nn/experiment/experiment.ts";
import { Linear } from "../../nn/modules/linear.ts";
import { SGD } from "../../nn/optim/sgd.ts";
import type {
  DataDraws,
  DataPage,
  DataQuery,
  DataReading,
  DataRequest,
  DataSample,
  DataSummary,
  SamplePlace,
  SplitName,
} from "../../protocol/data/data.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import type { OpenTensor } from "../../protocol/tensorValues.ts";
import { findExperiment } from "../host/exports.ts";
import { KeptTensors } from "../host/keptTensors.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { loadUserModule } from "../host/userModule.ts";
import { describeError } from "../host/userErrors.ts";
import type { Limit, Watchdog } from "../host/watchdog.ts";
import { randomSeed } from "../resume/startingWeights.ts";
import type { Batches } from "../training/batches.ts";
import { prepare, type Prepared } from "../training/prepare.ts";
import { allEqual, untransformed } from "./draws.ts";
import { inputNames } from "./fields.ts";
import { Rows, valueAt } from "./rows.ts";
import { addSamples, readSplits, readSteps, SampleError, splitsOf, type Split } from "./splits.ts";
import { samplesOf, summaryOf } from "./summary.ts";
import { SampleViewer } from "./views.ts";

/** Time limits in seconds: of loading the data, and of reading a split. The last sample may take as long again. */
const LOAD_SECONDS = 240;
const READ_SECONDS = Number(process.env["LAYERWISE_READ_LIMIT"]) || 20;
/** Milliseconds between two reports of progress. */
const INTERVAL = 100;
/** How often the transforms of a sample are drawn. */
const DRAWS = 8;

export interface DataSurroundings {
  watchdog: Watchdog;
  /** Called when the file's code hangs; nothing follows. */
  fail: (error: UserError) => void;
  tell?: (progress: DataReading) => void;
}

/** Prepares an experiment without training it, keeps its data in memory, and answers questions about it. */
export class DataSession {
  readonly summary: DataSummary;
  /** Those of samples that the viewer shows. */
  readonly tensors = new KeptTensors();
  readonly #prepared: Prepared;
  readonly #splits: readonly Split[];
  readonly #viewer: SampleViewer;

  private constructor(
    prepared: Prepared,
    splits: readonly Split[],
    viewer: SampleViewer,
    problem: UserError | undefined,
  ) {
    this.#prepared = prepared;
    this.#splits = splits;
    this.#viewer = viewer;
    this.summary = { ...summaryOf(prepared, splits), ...(problem === undefined ? {} : { problem }) };
  }

  static async open(request: DataRequest, surroundings: DataSurroundings): Promise<DataSession> {
    const { file, exportName, device, seed, defaultSeed } = request;
    const { watchdog, fail } = surroundings;
    await loadExecutor(device);
    const coders = listCoders();
    const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
    const { experiment } = findExperiment(module, exportName);
    const limit = (seconds: number, what: string): Limit => limitOf(seconds, what, file, fail);
    const { prepared, problem } = await watchdog.guard(limit(LOAD_SECONDS, "Loading the data"), () =>
      prepareData(experiment, seed ?? experiment.options.seed ?? defaultSeed ?? randomSeed()),
    );
    coders.end();
    const splits: Split[] = [];
    for (const [name, batches] of splitsOf(prepared)) {
      const what = `Reading the ${name} data`;
      const split = await watchdog.guard(limit(2 * READ_SECONDS, what), () =>
        read(name, batches, surroundings, inputNames(prepared)),
      );
      if (split !== undefined) splits.push(split);
    }
    return watchdog.guard(limit(LOAD_SECONDS, "Describing the data"), async () =>
      DataSession.of(prepared, splits, coders.made, problem),
    );
  }

  /** That of a prepared experiment, whose splits were read. */
  static of(
    prepared: Prepared,
    splits: readonly Split[] = readSplits(prepared, false),
    codes: readonly Codes[] = [],
    problem?: UserError,
  ): DataSession {
    return new DataSession(prepared, splits, new SampleViewer(prepared, splits, codes), problem);
  }

  samples({ split: name, offset, count, actual }: DataQuery): DataPage {
    const split = this.#split(name);
    const batches = this.#prepared[name]!;
    const known = actual === undefined ? split.indices : samplesOf(split, actual);
    const listed = batches.listed && batches.samples !== undefined && actual === undefined;
    const total = listed ? batches.samples : known.length;
    const indices = listed
      ? Array.from({ length: Math.max(0, Math.min(count, total - offset)) }, (_, i) => offset + i)
      : known.slice(offset, offset + count);
    return { total, samples: indices.map((index) => this.#view({ split: name, index })) };
  }

  places(places: readonly SamplePlace[]): DataSample[] {
    return places.map((place) => this.#view(place));
  }

  draw(place: SamplePlace): DataDraws {
    const batches = this.#prepared[place.split];
    if (batches?.listed !== true) return { draws: [this.#view(place)], fixed: true };
    const rows = new Rows(inputNames(this.#prepared));
    const { loader } = batches;
    withCause(() => {
      for (let i = 0; i < DRAWS; i++) addSamples(loader, [place.index], rows);
    });
    const fixed = allEqual(rows);
    const { fields } = rows.fields();
    const count = fixed ? 1 : DRAWS;
    const draws = Array.from({ length: count }, (_, i) => this.#viewer.sample(place, fields, i));
    const before = untransformed(loader.samples, place.index);
    if (before === undefined) return { draws, fixed };
    const one = new Rows(inputNames(this.#prepared));
    one.addSample(before.sample, place.index);
    return { original: this.#viewer.sample(place, one.fields().fields, 0), draws, fixed };
  }

  /** Keeps a tensor of a sample for the viewer. @throws EngineError where there is none of this name */
  openTensor(place: SamplePlace, name: string): OpenTensor {
    const { fields, at } = this.#read(place);
    const field = fields.find((one) => one.name === name);
    const row = field && valueAt(field, at);
    if (field === undefined || typeof row !== "object")
      throw new EngineError({
        code: "index",
        message: `Sample ${place.index} has no tensor ${JSON.stringify(name)}.`,
      });
    return this.tensors.keep(field.dtype, row.shape, row.values);
  }

  #split(name: SplitName): Split {
    const split = this.#splits.find((one) => one.name === name);
    if (split !== undefined) return split;
    throw new EngineError({
      code: "index",
      message: `The experiment has no ${name} data that can be shown.`,
    });
  }

  /** A sample that can't be read is shown with the reason. */
  #view(place: SamplePlace): DataSample {
    try {
      const { fields, at } = this.#read(place);
      return this.#viewer.sample(place, fields, at);
    } catch (error) {
      return { ...place, fields: [], error: describeError(error) };
    }
  }

  /** By number, or from what was read of a stream. */
  #read({ split: name, index }: SamplePlace): Pick<Split, "fields"> & { at: number } {
    const split = this.#split(name);
    const batches = this.#prepared[name]!;
    const known = split.indices.indexOf(index);
    if (!batches.listed) {
      if (known >= 0) return { fields: split.fields, at: known };
      throw new EngineError({ code: "index", message: `Sample ${index} of the stream was not read.` });
    }
    if (index >= (batches.samples ?? Infinity))
      throw new EngineError({ code: "index", message: `There is no sample ${index}.` });
    const rows = new Rows(inputNames(this.#prepared));
    withCause(() => addSamples(batches.loader, [index], rows));
    return { fields: rows.fields().fields, at: 0 };
  }
}

/** Reads a sample. @throws What the user's code threw, which has its line */
function withCause<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof SampleError ? error.cause : error;
  }
}

async function read(
  name: SplitName,
  batches: Batches,
  { tell }: DataSurroundings,
  names: readonly string[],
): Promise<Split | undefined> {
  const steps = readSteps(name, batches, READ_SECONDS, names);
  const { samples } = batches;
  let told = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - told < INTERVAL) continue;
    told = performance.now();
    tell?.({ split: name, read: step.value, ...(samples === undefined ? {} : { of: samples }) });
    await setImmediate();
  }
}

/** An experiment with its data. If its model can't be made, a placeholder takes its place. */
export async function prepareData(
  experiment: Experiment,
  seed: number,
): Promise<{ prepared: Prepared; problem?: UserError }> {
  try {
    return { prepared: await prepare(experiment, seed) };
  } catch (error) {
    const { lrScheduler: _, ...options } = experiment.options;
    const other: ExperimentOptions = {
      ...options,
      model: () => new Linear(1, 1),
      optimizer: (parameters) => new SGD(parameters, { lr: 0 }),
    };
    const prepared = await prepare(new Experiment(other), seed).catch(() => {
      throw error;
    });
    return { prepared, problem: describeError(error) };
  }
}

function limitOf(seconds: number, what: string, file: string, fail: (error: UserError) => void): Limit {
  const text = `${what} of ${basename(file)} has taken ${seconds} s`;
  return {
    milliseconds: seconds * 1000,
    text,
    onOver: (position) =>
      fail({
        code: "timeout",
        message: text,
        ...(position === undefined ? {} : { position }),
        hint: "An endless loop? A sample should take milliseconds.",
      }),
  };
}

/** Describes the data of an experiment. */
export async function describeData(
  request: DataRequest,
  surroundings: DataSurroundings,
): Promise<DataSummary> {
  return (await DataSession.open(request, surroundings)).summary;
}
