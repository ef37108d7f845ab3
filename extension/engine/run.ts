import type { LoadedExecutor } from "../executors/index.ts";
import { startingRecord, type RunEngineEvents, type RunRequest } from "../protocol/engine.ts";
import { EngineError, type UserError } from "../protocol/errors.ts";
import { findingOf } from "../protocol/findings.ts";
import { controlsBy, type ControlAnswers, type ControlName, type RunControls } from "../protocol/controls.ts";
import type { HeldLock } from "../processes/lock.ts";
import type { RunRecord, RunState } from "../protocol/run.ts";
import { captureConsole } from "./host/capturedConsole.ts";
import { Attempt } from "./resume/attempt.ts";
import { CheckpointPolicy } from "./resume/checkpointPolicy.ts";
import { Checkpoints } from "./resume/checkpoints.ts";
import { checkSame, endTogether, isLostWorker, joinTeam, LOST_WORKER } from "./parallel/join.ts";
import type { Team } from "./parallel/team.ts";
import { LoopControl, type StopReason } from "./training/control.ts";
import { EventFile, hasEventFiles } from "./reporting/eventFile.ts";
import { flushOpenEvents } from "./files/userEvents.ts";
import { evaluateRun } from "./evaluation/evaluateRun.ts";
import { countParameters, describePrepared } from "./reporting/description.ts";
import { Explainer, fallbackText } from "./reporting/explain.ts";
import { findExperiment } from "./host/exports.ts";
import type { Send } from "./host/ipc.ts";
import { sourcesOf } from "./host/runSources.ts";
import { library } from "./host/library.ts";
import { limitsOf } from "./training/limits.ts";
import { busyLimit, loadLimit } from "./host/loadLimit.ts";
import { LOST_RUN } from "./reporting/ownership.ts";
import { keepPictures } from "./reporting/pictures.ts";
import { prepare, type Prepared } from "./training/prepare.ts";
import { gitFacts } from "./reporting/provenance.ts";
import { Reporter } from "./reporting/reporter.ts";
import { RunDirectory } from "./reporting/runDirectory.ts";
import type { Watchdog } from "./host/watchdog.ts";
import type { Module } from "../nn/module/module.ts";
import { listCoders, type Codes } from "../nn/data/tokenizers.ts";
import { listGenerators } from "../tensor/random/stream.ts";
import type { Resumption } from "./resume/stateKeeper.ts";
import type { SteeringControl } from "./training/steering.ts";
import { Trainer } from "./training/trainer.ts";
import { savedTraining } from "./resume/savedTraining.ts";
import { cutMetrics, recordToResume, shareTraining } from "./resume/trainingFile.ts";
import { Generators, type TrainingState } from "./resume/trainingState.ts";
import { savePoint, type TrainerState } from "./training/trainerState.ts";
import { describeError, errorText, placed } from "./host/userErrors.ts";
import { evaluateUserModule, hashOfCode, type Bundle, type UserModule } from "./host/userModule.ts";
import type { Program } from "./remote/bundle.ts";
import { executorOf } from "./warmUp.ts";
import { experimentOf, randomSeed, readWeights } from "./resume/startingWeights.ts";

/** Parts of the process that a run uses. */
export interface RunSurroundings {
  program: Promise<Program>;
  send: Send<RunEngineEvents>;
  watchdog: Watchdog;
  /** Lock of the run's directory. */
  lock: HeldLock;
  /** Called after the last message, in a turn of its own. */
  onEnd: (failed: boolean) => void;
}

/** One training or evaluation, from its request to its last message. */
export class Run {
  readonly control = new LoopControl();
  /** Controls that a host can call. */
  readonly controls: RunControls;
  readonly #request: RunRequest;
  readonly #program: Promise<Program>;
  readonly #send: Send<RunEngineEvents>;
  readonly #watchdog: Watchdog;
  readonly #lock: HeldLock;
  readonly #onEnd: (failed: boolean) => void;
  readonly #reporter: Reporter;
  readonly #directory: RunDirectory;
  #executor: LoadedExecutor | undefined;
  #team: Team | undefined;
  #checkpoints: Checkpoints | undefined;
  #trainer: Trainer | undefined;
  #explainer: Explainer | undefined;
  #module: UserModule | undefined;
  /** How the run is resumed, as long as it may fail without a trace. */
  readonly #attempt: Attempt | undefined;
  #ended = false;
  /** Ends the watch over code that doesn't return. */
  #unwatch: (() => void) | undefined;

  /** @throws EngineError when the run directory can't be made */
  constructor(request: RunRequest, { program, send, watchdog, lock, onEnd }: RunSurroundings) {
    this.#request = request;
    this.#program = program;
    this.#send = send;
    this.#watchdog = watchdog;
    this.#lock = lock;
    this.#onEnd = onEnd;
    this.#reporter = new Reporter(send);
    this.#attempt = Attempt.of(request);
    this.#directory = new RunDirectory(
      request.directory,
      { ...(request.resume === true ? recordToResume(request) : startingRecord(request)), pid: process.pid },
      (text) => this.#reporter.log("warning", text),
    );
    this.#reporter.attach(this.#directory);
    captureConsole((level, text) => this.#reporter.printed(level, text));
    const own: Record<string, (...args: never[]) => unknown> = {
      pause: () => this.control.pause(),
      resume: () => this.control.resume(),
      step: (count) => this.control.step(count),
      stop: () => this.control.stop("request"),
      checkpoint: () => this.#checkpoint(),
      counters: () => ({ ...this.#executor?.counters() }),
    } satisfies ControlAnswers<Exclude<ControlName, SteeringControl>>;
    this.controls = controlsBy((name, args) =>
      name in own ? own[name]!(...(args as never[])) : this.#steer(name as SteeringControl, args),
    );
    this.control.onPause = (paused) => {
      this.#update({ state: paused ? "paused" : "running" });
      this.#reporter.flush();
    };
  }

  /** Runs until the run has finished, stopped or failed. Never rejects. */
  async execute(): Promise<void> {
    this.#reporter.record(this.#directory.record);
    // For output while nothing else is reported: when the file loads, and in its data function.
    const ticker = setInterval(() => {
      this.#explainer?.look();
      this.#reporter.flushIfDue();
    }, 100);
    try {
      const stopped = await this.#work();
      if (stopped === "channel") this.#directory.update({ orphaned: true });
      this.#end(stopped === undefined || stopped === "experiment" ? "finished" : "stopped");
    } catch (error) {
      this.failWith(error);
    } finally {
      clearInterval(ticker);
      this.#unwatch?.();
    }
  }

  /** Ends the run with an error, at once. */
  fail(error: UserError): void {
    this.#end("failed", error);
  }

  /** Ends the run at once, without another byte in its directory: another process has taken it over. */
  lose(): void {
    this.#directory.leave();
    this.fail(LOST_RUN);
  }

  /** Forgets the user's code, once none of it runs any more. */
  dispose(): void {
    this.#module?.dispose();
  }

  /** Ends the run with an uncaught error of user code. */
  failWith(thrown: unknown): void {
    const state = this.#trainer?.state;
    const error = describeError(thrown);
    // The weights are those of the last good step and may have taken hours: saved, unless they are not finite.
    const lost = this.#team !== undefined && isLostWorker(thrown);
    if (lost) return this.fail({ code: LOST_WORKER, message: `Another worker has ended: ${error.message}` });
    const stepped = state !== undefined && state.step > 0 && this.#attempt?.stepped(state.step) !== false;
    if (!this.#ended && stepped && error.code !== "non-finite")
      this.#checkpoints?.trySave("last", savePoint(state), { alone: true });
    if (error.code === "non-finite" && state !== undefined)
      this.#directory.appendFinding(findingOf("nonFinite", error.message, { step: state.step }));
    this.fail(error);
  }

  /** Saves the weights between two steps; returns the file's path. */
  #checkpoint(): Promise<string> {
    return this.control.atNextStep(() => {
      if (this.#checkpoints === undefined || this.#trainer === undefined)
        throw new EngineError({ code: "not-running", message: "There are no weights to save yet." });
      const file = this.#checkpoints.save("manual", savePoint(this.#trainer.state), { alone: true });
      // It may be paused.
      this.#reporter.flush();
      return file;
    });
  }

  /** Changes the training between two steps and reports the outcome at once: the run may be paused. */
  #steer(name: SteeringControl, args: unknown[]): Promise<unknown> {
    return this.control.atNextStep(() => {
      if (this.#team !== undefined)
        throw new EngineError({
          code: "workers",
          message: "A training by several workers can't be changed while it runs.",
          hint: "Stop it, and resume it with other options.",
        });
      if (this.#trainer === undefined)
        throw new EngineError({ code: "not-running", message: "The training has not begun." });
      const { limits } = this.#trainer;
      const steering: ControlAnswers<SteeringControl> = this.#trainer.steering;
      const result: unknown = (steering[name] as (...args: unknown[]) => unknown).apply(steering, args);
      if (limits.epochs !== this.#directory.record.epochs) this.#update({ epochs: limits.epochs });
      this.#reporter.flush();
      return result;
    });
  }

  async #work(): Promise<StopReason | undefined> {
    const request = this.#request;
    // Mistakes of the file and a missing checkpoint are reported before anything slow is loaded.
    const { bundle, version } = await this.#program;
    let git: ReturnType<typeof gitFacts> | undefined;
    if (request.kind === "train") {
      const sources = await sourcesOf(request.file, bundle, version);
      this.#directory.keepSource(request.file, sources);
      // Git answers while the backend loads.
      git = gitFacts(request.file, sources);
    }
    const weights = request.checkpoint === undefined ? undefined : readWeights(request.checkpoint);
    this.#executor = await executorOf(request.device);
    const { info } = this.#executor;
    this.#update({ executor: info });
    this.#directory.appendLog(
      `Running on ${info.version}${info.reason === undefined ? "" : ` (${info.reason})`}\n`,
    );
    this.#executor.fallbacks?.listen((fallback) => this.#reporter.warnOnce(fallbackText(fallback)));
    if (request.explain === true)
      this.#explainer = new Explainer(this.#executor, (text) => this.#reporter.log("info", text));
    if (request.worker !== undefined) this.#team = await joinTeam(request.worker, this.control);
    const from = this.#startingState(bundle);
    const generators = listGenerators();
    const coders = listCoders();
    const module = await this.#evaluate(bundle);
    this.#module = module;
    const { exportName, experiment: found } = findExperiment(module, request.exportName);
    // The record of a resumed run has the hyperparameters that it began with.
    const experiment = experimentOf(found, weights, this.#directory.record.hyperparameters);
    const seed = this.#agreedSeed(
      from?.facts.seed ?? request.seed ?? weights?.seed ?? experiment.options.seed ?? randomSeed(),
    );
    const prepared = await prepare(experiment, seed);
    generators.end();
    coders.end();
    if (weights !== undefined) prepared.model.loadStateDict(weights.tensors);
    const unchanged = from !== undefined && from.facts.source === this.#facts(seed, bundle).source;
    this.#describe(exportName, prepared, unchanged);
    // A resumed run keeps the provenance of its beginning.
    if (request.kind === "train" && from === undefined)
      this.#directory.keepProvenance({ request, git: await git, model: String(prepared.model) });
    if (this.control.stopping !== undefined) return this.control.stopping;
    if (request.kind !== "train") return this.#evaluateModel(prepared, coders.made);
    this.#writeEvents(experiment.options.tensorboard, from);
    const facts = this.#facts(seed, bundle);
    const { rollback = false } = request;
    const begins = (): void => {
      if (request.resume === true) cutMetrics(this.#directory.path, from?.state ?? { step: 0, completed: 0 });
    };
    const resumption = { generators: new Generators(generators.made), facts, from, rollback, begins };
    return this.#train(prepared, resumption).catch((error: unknown): never => {
      throw placed(error, experiment.site);
    });
  }

  /** The state that the training starts from; in a team, the first worker's. */
  #startingState(bundle: Bundle): TrainingState | undefined {
    const from =
      this.#request.resume === true
        ? savedTraining(this.#directory, (seed) => this.#facts(seed, bundle), this.#reporter)
        : undefined;
    if (this.#attempt !== undefined) this.#attempt.step = from?.state.step ?? 0;
    const team = this.#team;
    if (team === undefined) return from;
    checkSame(team, bundle, this.#executor!.info.version);
    const { epochs, hyperparameters } = this.#directory.record;
    const record = JSON.parse(team.text(JSON.stringify({ epochs, hyperparameters }))) as Partial<RunRecord>;
    if (team.rank > 0) this.#directory.update(record);
    return shareTraining(this.#directory.path, from, team);
  }

  #agreedSeed(seed: number): number {
    return this.#team === undefined ? seed : Number(this.#team.text(String(seed)));
  }

  #facts(seed: number, bundle: Bundle): Resumption["facts"] {
    const { model, exportName, epochs, executor } = this.#directory.record;
    const source = hashOfCode(bundle);
    const backend = `${executor?.backend}: ${executor?.version}`;
    return { seed, epochs, model, experiment: exportName, source, executor: backend, node: process.version };
  }

  /** Writes curves for TensorBoard too, where the request or the experiment says so, or the run did before. */
  #writeEvents(wanted: boolean | undefined, from: TrainingState | undefined): void {
    const { path } = this.#directory;
    if (wanted !== true && this.#request.tensorboard !== true && !hasEventFiles(path)) return;
    const seconds = from?.state.seconds ?? 0;
    this.#directory.writeEvents(
      new EventFile(path, { began: Date.now() / 1000 - seconds, resumedAt: from?.state.step }),
    );
  }

  async #evaluate(bundle: Bundle): Promise<UserModule> {
    const limit = loadLimit(bundle.file, (error) => this.fail(error));
    const module = await this.#watchdog.guard(limit, () => evaluateUserModule(bundle, library));
    this.#unwatch = this.#watchdog.watch(busyLimit((text) => this.#reporter.warnAtOnce(text)));
    return module;
  }

  /** @param resumed Whether the file is unchanged, so that epochs added during the run count */
  #describe(exportName: string, prepared: Prepared, resumed: boolean): void {
    const known = resumed && this.#request.kind === "train" ? this.#directory.record.epochs : 0;
    this.#update({
      state: "running",
      ...describePrepared(prepared, { ...this.#request, exportName, known }),
    });
  }

  /** Callbacks may freeze parameters, or train those that were frozen. */
  #recount(model: Module): void {
    const parameters = countParameters(model);
    if (parameters?.trainable !== this.#directory.record.parameters?.trainable) this.#update({ parameters });
  }

  async #train(prepared: Prepared, resumption: Resumption): Promise<StopReason | undefined> {
    const { options } = prepared.experiment;
    const limits = limitsOf(options, this.#directory.record.epochs, prepared);
    const policy = new CheckpointPolicy(options, limits.validation > 0);
    const checkpoints = new Checkpoints(
      this.#directory,
      prepared.model,
      policy,
      {
        onProblem: (text) => this.#reporter.warnOnce(text),
        check: () => this.#trainer?.check(),
        onWrite: ({ kind, step, metrics, file }) => {
          // The newest weights are saved every few seconds.
          if (kind !== "last") this.#reporter.note(policy.describeSave(file, step, metrics));
          this.#reporter.recordChanged();
        },
        onSave: (saved, file) => this.#trainer?.saved({ ...saved, file }),
      },
      this.#team,
    );
    this.#checkpoints = checkpoints;
    this.control.onServed = (team) => checkpoints.share(team);
    this.#reporter.note(`${policy.describe()}\n`);
    const note = ({ completed: epoch, step, metrics }: TrainerState): void =>
      void this.#directory.update({ epoch, step, metrics: { ...metrics } });
    const trainer = new Trainer(prepared, limits, {
      reporter: this.#reporter,
      control: this.control,
      checkpoints,
      resumption,
      note,
      frozen: () => this.#recount(prepared.model),
      watch: this.#request.watch,
    });
    this.#trainer = trainer;
    const epoch = (): number => trainer.state.epoch;
    keepPictures(this.#directory.path, epoch, (text) => this.#reporter.warnOnce(text));
    const stopped = await trainer.run();
    note(trainer.state);
    if (stopped === undefined || stopped === "experiment") checkpoints.saveFinal(savePoint(trainer.state));
    else checkpoints.save("last", savePoint(trainer.state));
    await trainer.tellOfCheckpoints();
    if (this.#team !== undefined) await endTogether(this.#team);
    return stopped;
  }

  async #evaluateModel(prepared: Prepared, codes: readonly Codes[]): Promise<StopReason | undefined> {
    const result = await evaluateRun(prepared, codes, {
      directory: this.#directory,
      reporter: this.#reporter,
      control: this.control,
    });
    if (result === undefined) return this.control.stopping;
    this.#update({ metrics: result.metrics });
    this.#reporter.flush();
    this.#send("evaluated", result);
    return undefined;
  }

  #update(change: Partial<RunRecord>): void {
    this.#reporter.record(this.#directory.update(change));
  }

  #end(state: RunState, error?: UserError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#executor?.fallbacks?.settle();
    this.#explainer?.look();
    const before = error && this.#attempt?.recordAfter(error, this.#trainer?.state.step);
    const end = { state, endedAt: new Date().toISOString(), ...(error === undefined ? {} : { error }) };
    const record = before ? this.#directory.replace(before) : this.#directory.update(end);
    this.#reporter.flush();
    if (error !== undefined) this.#directory.appendLog(errorText(error));
    this.#directory.close();
    // Who is told of the end finds them whole.
    flushOpenEvents();
    // After the last message: a run without an owner is over, or was killed.
    this.#lock.release();
    this.#send("ended", record, ...(before === undefined ? [] : [error]));
    setImmediate(() => this.#onEnd(state === "failed"));
  }
}
