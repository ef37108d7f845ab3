import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { access } from "../../files.ts";
import { warnOnce } from "../../warnings.ts";
import type {
  At,
  GraphArguments,
  HistogramArguments,
  HparamsOptions,
  ImageArguments,
  RawHistogramArguments,
  Scalar,
  ScalarArguments,
  SummaryWriterOptions,
  TextArguments,
} from "./arguments.ts";
import type { EventSink, Hyperparameter, SummaryEvent, SummaryValue } from "./events.ts";
import { histogramOf } from "./histogram.ts";
import { imageOf } from "./image.ts";
import { dictOf, numberOf, numbersOf, parameterOf, stepOf, textOf, timeName } from "./values.ts";

const NOW = { globalStep: null, walltime: null } as const;

/**
 * Writes event files for TensorBoard: PyTorch's `torch.utils.tensorboard.SummaryWriter`, with the same names of files.
 *
 * ```ts
 * const writer = new torch.utils.tensorboard.SummaryWriter("runs/experiment_1");
 * for (let step = 0; step < 100; step++) writer.addScalar("Loss/train", 1 / (step + 1), step);
 * writer.close();
 * ```
 * `tensorboard --logdir runs` shows them, and so does "Open as Layerwise Runs". Each event is written at once, so none is
 * lost when the process is killed. With `maxQueue`, events wait until there are as many, until `flushSecs` seconds have passed,
 * or until `flush()`, `close()` or the process's own end. A preview writes nothing.
 * @throws TensorError if a file can't be written
 * @see https://docs.pytorch.org/docs/stable/tensorboard.html
 */
export class SummaryWriter {
  readonly logDir: string;
  readonly #options: Readonly<Record<"maxQueue" | "flushSecs", number>> & { readonly filenameSuffix: string };
  #purgeStep: number | undefined;
  /** Open files by their folders; undefined in a preview. */
  readonly #files = new Map<string, EventSink | undefined>();

  constructor(logDir?: string | null, options?: Omit<SummaryWriterOptions, "logDir">);
  constructor(
    ...args: Call<SummaryWriterOptions, "logDir comment purgeStep maxQueue flushSecs filenameSuffix">
  );
  constructor(...args: unknown[]) {
    const { logDir, comment, purgeStep, ...options } = bind<SummaryWriterOptions>("SummaryWriter", args, {
      logDir: null,
      comment: "",
      purgeStep: null,
      // A write takes 5 µs. No handler could write later what waits: a signal ends a process that computes.
      maxQueue: 1,
      flushSecs: 120,
      filenameSuffix: "",
    });
    const folder = logDir === null ? "" : textOf("SummaryWriter", "logDir", logDir);
    const files = access("SummaryWriter");
    this.logDir = folder === "" ? `runs/${timeName(new Date())}_${files.hostName()}${comment}` : folder;
    this.#options = options;
    this.#purgeStep = stepOf("SummaryWriter", purgeStep);
    this.#file();
  }

  /** The folder of the event files. */
  getLogdir(): string {
    return this.logDir;
  }

  /**
   * Adds a point to a curve. A tensor's value is read as by `item()`.
   *
   * ```ts
   * writer.addScalar("Loss/train", loss, step);
   * ```
   */
  addScalar(
    tag: string,
    scalarValue: Scalar,
    globalStep?: At["globalStep"],
    options?: Omit<ScalarArguments, "tag" | "scalarValue" | "globalStep">,
  ): void;
  addScalar(
    ...args: Call<ScalarArguments, "tag scalarValue globalStep walltime newStyle doublePrecision">
  ): void;
  addScalar(...args: unknown[]): void {
    const callee = "add_scalar";
    const { tag, scalarValue, newStyle, doublePrecision, ...at } = bind<ScalarArguments>(callee, args, {
      tag: REQUIRED,
      scalarValue: REQUIRED,
      ...NOW,
      newStyle: false,
      doublePrecision: false,
    });
    const style = newStyle ? (doublePrecision ? "double" : "float") : undefined;
    this.#add(callee, at, () => ({
      tag: textOf(callee, "tag", tag),
      scalar: numberOf(callee, "scalarValue", scalarValue),
      style,
    }));
  }

  /**
   * Adds a point to several curves of one chart. Each curve has event files of its own, in a subfolder of its name.
   *
   * ```ts
   * writer.addScalars("Loss", { train: loss, validation: validationLoss }, epoch);
   * ```
   */
  addScalars(
    mainTag: string,
    tagScalarDict: Readonly<Record<string, Scalar>> | ReadonlyMap<string, Scalar>,
    ...at: Call<At, "globalStep walltime">
  ): void {
    const callee = "add_scalars";
    const { globalStep, walltime } = bind<At>(callee, at, NOW);
    const when = { globalStep, walltime: walltime ?? Date.now() / 1000 };
    const tag = textOf(callee, "mainTag", mainTag);
    for (const [name, value] of dictOf(callee, "tagScalarDict", tagScalarDict)) {
      const folder = `${this.logDir}/${tag.replaceAll("/", "_")}_${name}`;
      this.#add(callee, when, () => ({ tag, scalar: numberOf(callee, name, value) }), folder);
    }
  }

  /** Adds a histogram of a tensor's values. */
  addHistogram(
    tag: string,
    values: HistogramArguments["values"],
    globalStep?: At["globalStep"],
    options?: Omit<HistogramArguments, "tag" | "values" | "globalStep">,
  ): void;
  addHistogram(...args: Call<HistogramArguments, "tag values globalStep bins walltime maxBins">): void;
  addHistogram(...args: unknown[]): void {
    const callee = "add_histogram";
    const { tag, values, bins, maxBins, ...at } = bind<HistogramArguments>(callee, args, {
      tag: REQUIRED,
      values: REQUIRED,
      globalStep: null,
      bins: "tensorflow",
      walltime: null,
      maxBins: null,
    });
    this.#add(callee, at, () => ({
      tag: textOf(callee, "tag", tag),
      histogram: histogramOf(values instanceof Tensor ? valuesOf(values.value) : values, bins, maxBins),
    }));
  }

  /** Adds a histogram that you have counted. */
  addHistogramRaw(
    ...args: Call<
      RawHistogramArguments,
      "tag min max num sum sumSquares bucketLimits bucketCounts globalStep walltime"
    >
  ): void {
    const callee = "add_histogram_raw";
    const { tag, bucketLimits, bucketCounts, globalStep, walltime, ...facts } = bind<RawHistogramArguments>(
      callee,
      args,
      {
        tag: REQUIRED,
        min: REQUIRED,
        max: REQUIRED,
        num: REQUIRED,
        sum: REQUIRED,
        sumSquares: REQUIRED,
        bucketLimits: REQUIRED,
        bucketCounts: REQUIRED,
        ...NOW,
      },
    );
    this.#add(callee, { globalStep, walltime }, () => {
      const [limits, counts] = [numbersOf(bucketLimits), numbersOf(bucketCounts)];
      if (limits.length !== counts.length)
        throw new TensorError("value", "len(bucket_limits) != len(bucket_counts), see the document.");
      return { tag: textOf(callee, "tag", tag), histogram: { ...facts, limits, counts } };
    });
  }

  /**
   * Adds an image of 1 or 3 channels, or 4 with opacity. Floats are from 0 to 1, int64 values from 0 to 255.
   *
   * ```ts
   * writer.addImage("samples", data.makeGrid(images), step);
   * ```
   */
  addImage(
    tag: string,
    imgTensor: Tensor,
    globalStep?: At["globalStep"],
    options?: Omit<ImageArguments, "tag" | "imgTensor" | "globalStep">,
  ): void;
  addImage(...args: Call<ImageArguments, "tag imgTensor globalStep walltime dataformats">): void;
  addImage(...args: unknown[]): void {
    this.#addImage("add_image", args, "CHW");
  }

  /** Adds several images as one, in a grid of 8 columns. */
  addImages(
    tag: string,
    imgTensor: Tensor,
    globalStep?: At["globalStep"],
    options?: Omit<ImageArguments, "tag" | "imgTensor" | "globalStep">,
  ): void;
  addImages(...args: Call<ImageArguments, "tag imgTensor globalStep walltime dataformats">): void;
  addImages(...args: unknown[]): void {
    this.#addImage("add_images", args, "NCHW");
  }

  /** Adds a text, in Markdown. */
  addText(tag: string, textString: string, globalStep?: At["globalStep"]): void;
  addText(...args: Call<TextArguments, "tag textString globalStep walltime">): void;
  addText(...args: unknown[]): void {
    const callee = "add_text";
    const { tag, textString, ...at } = bind<TextArguments>(callee, args, {
      tag: REQUIRED,
      textString: REQUIRED,
      ...NOW,
    });
    this.#add(callee, at, () => ({
      tag: textOf(callee, "tag", tag),
      text: textOf(callee, "textString", textString),
    }));
  }

  /** Accepted, with a warning: no graph is written. The editor's architecture panel shows a model's graph. */
  addGraph(...args: Call<GraphArguments, "model inputToModel verbose useStrictTrace">): void {
    bind<GraphArguments>("add_graph", args, {
      model: REQUIRED,
      inputToModel: null,
      verbose: false,
      useStrictTrace: true,
    });
    if (this.#file() === undefined) return;
    warnOnce(
      "SummaryWriter.addGraph() writes no graph. The architecture panel of the editor shows the model.",
    );
  }

  /**
   * Adds a set of hyperparameters with the metrics that it gave, as a run in a subfolder.
   *
   * ```ts
   * writer.addHparams({ lr: 0.1, optimizer: "SGD" }, { "hparam/accuracy": 0.93 });
   * ```
   */
  addHparams(
    hparamDict: Readonly<Record<string, Scalar | string | null>>,
    metricDict: Readonly<Record<string, Scalar>>,
    ...rest: Call<HparamsOptions, "hparamDomainDiscrete runName globalStep">
  ): void {
    const callee = "add_hparams";
    const options = bind<HparamsOptions>(callee, rest, {
      hparamDomainDiscrete: null,
      runName: null,
      globalStep: null,
    });
    const { globalStep, hparamDomainDiscrete, runName } = options;
    const metrics = dictOf(callee, "metricDict", metricDict);
    const entries = dictOf(callee, "hparamDict", hparamDict);
    if (this.#file() === undefined) return;
    const parameters = Object.fromEntries(
      entries.flatMap(([name, value]) =>
        value === null || value === undefined ? [] : [[name, parameterOf(value)]],
      ),
    ) as Record<string, Hyperparameter>;
    const domains = hparamDomainDiscrete ?? {};
    for (const [name, domain] of Object.entries(domains)) {
      const type = typeof parameters[name];
      if (!Array.isArray(domain) || domain.some((one) => typeof one !== type))
        throw new TensorError(
          "value",
          `parameter: hparam_domain_discrete[${name}] should be a list of same type as hparam_dict[${name}].`,
        );
    }
    const writer = new SummaryWriter(`${this.logDir}/${runName || String(Date.now() / 1000)}`);
    const at = { globalStep, walltime: null };
    writer.#write(callee, at, {
      hparams: { kind: "experiment", parameters, domains, metrics: metrics.map(([name]) => name) },
    });
    writer.#write(callee, at, { hparams: { kind: "start", parameters } });
    writer.#write(callee, at, { hparams: { kind: "end" } });
    for (const [name, value] of metrics) writer.addScalar(name, value, globalStep);
    writer.close();
  }

  /** Writes pending events. */
  flush(): void {
    for (const file of this.#files.values()) file?.flush();
  }

  /** Writes pending events and closes the files. What is added later goes into a new file. */
  close(): void {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) file?.close();
  }

  #addImage(callee: string, args: readonly unknown[], format: string): void {
    const { tag, imgTensor, dataformats, ...at } = bind<ImageArguments>(callee, args, {
      tag: REQUIRED,
      imgTensor: REQUIRED,
      ...NOW,
      dataformats: format,
    });
    if (!(imgTensor instanceof Tensor))
      throw new TensorError(
        "value",
        `${callee}(): expected imgTensor to be a tensor, got ${kindOf(imgTensor)}`,
      );
    this.#add(callee, at, () => ({
      tag: textOf(callee, "tag", tag),
      image: imageOf(callee, imgTensor, dataformats),
    }));
  }

  /** The event file of a folder, which is opened if it isn't yet. */
  #file(folder = this.logDir): EventSink | undefined {
    if (this.#files.has(folder)) return this.#files.get(folder);
    const { maxQueue: queue, flushSecs: seconds, filenameSuffix: suffix } = this.#options;
    const file = access("SummaryWriter").openEvents(folder, { queue, seconds, suffix });
    this.#files.set(folder, file);
    if (this.#purgeStep !== undefined) {
      file?.write({ wallTime: Date.now() / 1000, step: this.#purgeStep, restart: true });
      this.#purgeStep = undefined;
    }
    return file;
  }

  /** Adds a value, which is not read in a preview. */
  #add(callee: string, at: Required<At>, value: () => SummaryValue, folder?: string): void {
    if (this.#file() !== undefined) this.#write(callee, at, { values: [value()] }, folder);
  }

  #write(
    callee: string,
    { globalStep, walltime }: Required<At>,
    event: Omit<SummaryEvent, "wallTime" | "step">,
    folder?: string,
  ): void {
    const step = stepOf(callee, globalStep);
    this.#file(folder)?.write({ ...event, step, wallTime: walltime ?? Date.now() / 1000 });
  }
}
