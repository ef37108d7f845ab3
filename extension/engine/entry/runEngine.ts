// First, so that its thread starts beside the rest.
import { watchdog } from "../host/ownWatchdog.ts";
import * as v from "valibot";
import {
  DataQuery,
  DataRequest,
  MAX_DATA_PAGE,
  SamplePlace,
  type DataSessionEvents,
  type DataSessionMethods,
} from "../../protocol/data/data.ts";
import { Device } from "../../protocol/device.ts";
import {
  ExportRequest,
  LrFindRequest,
  PredictRequest,
  RunRequest,
  ScriptRequest,
  type RunEngineEvents,
  type RunEngineMethods,
  type ToolEvents,
  type ToolMethods,
} from "../../protocol/engine.ts";
import { forwardControls } from "../../protocol/controls.ts";
import type { HeldLock } from "../../processes/lock.ts";
import { takeToken } from "../../processes/token.ts";
import { endOwnFamily } from "../../processes/family.ts";
import { STOP_THERE } from "../../processes/signals.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { ProfileRequest } from "../../protocol/profile.ts";
import { describeDataFile } from "../data/dataFile.ts";
import { DataSession, describeData } from "../data/session.ts";
import { exportModel } from "../exporting/exportModel.ts";
import { SampleQuery, SessionRequest, Subject, type SessionMethods } from "../../protocol/evaluation.ts";
import {
  AblationQuery,
  ActivationQuery,
  InterventionQuery,
  type InterventionEvents,
  type InterventionMethods,
} from "../../protocol/interventions.ts";
import { TensorWindow } from "../../protocol/tensorValues.ts";
import type { KeptTensors } from "../host/keptTensors.ts";
import { flushOpenEvents } from "../files/userEvents.ts";
import { waitForDebugger } from "../host/debugger.ts";
import { settleHeap } from "../host/settleHeap.ts";
import { ModelSession } from "../evaluation/session.ts";
import { connectParent, hello } from "../host/ipc.ts";
import { findLearningRate } from "../training/lrFinder.ts";
import { LOST_RUN, own } from "../reporting/ownership.ts";
import { predict } from "../evaluation/predict.ts";
import { profile } from "../profiler/profile.ts";
import { DescribeRequest } from "../../protocol/sweeps/sweep.ts";
import { programOf } from "../remote/bundle.ts";
import { RemoteRun } from "../remote/remoteRun.ts";
import { exitError } from "../host/userErrors.ts";
import { Run } from "../run.ts";
import { describe } from "../sweeps/describe.ts";
import { ProcessState } from "../sweeps/processState.ts";
import { keepCompiledCode } from "../../startup/keep.ts";
import { runScript, untilUncaught } from "./script.ts";
import type { StopReason } from "../training/control.ts";
import { namingCalls } from "../training/userCall.ts";
import { warmUp } from "../warmUp.ts";

/** Milliseconds that a run has to save its weights after its parent ended. */
const ORPHAN_GRACE = 3000;
/** Milliseconds that the directory of a run without a window may be missing, such as on an unmounted disk. */
const LOST_GRACE = 60_000;

watchdog.followParent(ORPHAN_GRACE);
const token = takeToken();
let run: Run | RemoteRun | undefined;
let starting = false;
/** Why the run is to end that hasn't begun yet. */
let stopping: StopReason | undefined;
/** Whether this process is being ended, with the processes it has started. */
let ending = false;
/** The lock of the run under way, and whether that may outlive its parent. */
let held: HeldLock | undefined;
let outlives = false;
/** State to restore between runs, in a process that serves several. */
let state: ProcessState | undefined;
let session: ModelSession | undefined;
let dataSession: DataSession | undefined;

function openedData(): DataSession {
  if (dataSession === undefined)
    throw new EngineError({ code: "not-running", message: "No data has been loaded." });
  return dataSession;
}

function opened(): ModelSession {
  if (session === undefined)
    throw new EngineError({ code: "not-running", message: "No model has been loaded." });
  return session;
}

/** The tensors of the loaded model or data. */
const tensors = (): KeptTensors => (session ?? openedData()).tensors;

function running(): Run | RemoteRun {
  if (run === undefined) throw new EngineError({ code: "not-running", message: "No run has been started." });
  return run;
}

/** Stops the run, or the one that is about to begin. */
function stop(reason: StopReason): void {
  if (run === undefined) stopping = reason;
  else run.control.stop(reason);
}

/** Whether a run is new and its process the only one that tells of it: the others report errors of the file in their record. */
const isNew = ({ resume, reuse, worker, bundle }: RunRequest): boolean =>
  resume !== true && reuse !== true && worker === undefined && bundle === undefined;

const methods: RunEngineMethods & ToolMethods & SessionMethods & InterventionMethods & DataSessionMethods = {
  ...forwardControls(() => running().controls),
  stop: async () => {
    if (starting) stop("request");
    else await running().controls.stop();
  },
  warmUp: (device) => warmUp(v.parse(Device, device)),
  async start(sent) {
    const request = v.parse(RunRequest, sent);
    if (starting)
      throw new EngineError({ code: "internal", message: "internal: this process has a run already" });
    if (state === undefined) listen();
    starting = true;
    outlives = request.outlive;
    if (request.reuse === true) state ??= new ProcessState();
    const onEnd = (failed: boolean): void => {
      if (request.reuse !== true || failed || !becomeIdle()) void exit(failed ? 1 : 0);
    };
    // Refused: the reply says why.
    const refuse = (error: unknown): never => {
      setImmediate(() => onEnd(true));
      throw error;
    };
    const lock = await own(request, token).catch(refuse);
    held = lock;
    let lost = false;
    watchdog.hold(lock, () => {
      lost = true;
      run?.lose();
    });
    // Another window can take over a run that outlives its own, but not without its directory.
    if (request.outlive) watchdog.followParent(LOST_GRACE, request.directory);
    if (request.inspect === true) {
      await watchdog.leaveThread();
      await waitForDebugger((url) => {
        parent.send("inspecting", url);
        return parent.drained();
      });
    }
    const program = programOf(request);
    // A file that can't be bundled begins no run.
    await program.catch((error: unknown) => {
      if (!isNew(request)) return;
      lock.release();
      refuse(error);
    });
    if (lost) return refuse(new EngineError(LOST_RUN));
    // The processes that a run needs are being killed: it would fail, and its record would say so.
    if (ending) return new Promise<never>(() => undefined);
    try {
      if (request.on === undefined)
        run = new Run(request, { program, send: parent.send, watchdog, lock, onEnd });
      else {
        const remote = new RemoteRun(request, { send: parent.send, lock, onEnd });
        run = remote;
        await remote.open();
      }
    } catch (error) {
      lock.release();
      return refuse(error);
    }
    if (stopping !== undefined) run.control.stop(stopping);
    stopping = undefined;
    void run.execute();
  },
  async describe(request) {
    const parsed = v.parse(DescribeRequest, request);
    if (state === undefined) listen();
    state ??= new ProcessState();
    const description = await untilUncaught(() => describe(parsed, watchdog, failed));
    if (state.restore()) parent.send("idle");
    else setImmediate(() => void exit(0));
    return description;
  },
  async script(request) {
    await watchdog.ready();
    const result = await runScript(v.parse(ScriptRequest, request));
    keepCompiledCode();
    return result;
  },
  predict: (request) => untilUncaught(() => predict(v.parse(PredictRequest, request), watchdog, failed)),
  lrFind: (request) =>
    untilUncaught(() => findLearningRate(v.parse(LrFindRequest, request), watchdog, failed)),
  exportModel: (request) =>
    untilUncaught(() =>
      exportModel(v.parse(ExportRequest, request), watchdog, {
        failed,
        tell: (text) => parent.send("log", "warning", text),
      }),
    ),
  profile: (request) =>
    untilUncaught(() =>
      profile(v.parse(ProfileRequest, request), watchdog, {
        failed,
        tell: (text) => parent.send("log", "warning", text),
      }),
    ),
  describeData: (request) =>
    untilUncaught(() => describeData(v.parse(DataRequest, request), { watchdog, fail: failed })),
  describeDataFile: async (path) => describeDataFile(v.parse(v.string(), path)),
  async openData(request) {
    dataSession = await untilUncaught(() =>
      DataSession.open(v.parse(DataRequest, request), {
        watchdog,
        fail: failed,
        tell: (progress) => parent.send("reading", progress),
      }),
    );
    outliveErrors();
    return dataSession.summary;
  },
  dataSamples: async (query) => openedData().samples(v.parse(DataQuery, query)),
  dataPlaces: async (places) =>
    openedData().places(v.parse(v.pipe(v.array(SamplePlace), v.maxLength(MAX_DATA_PAGE)), places)),
  drawSample: async (place) => openedData().draw(v.parse(SamplePlace, place)),
  openTensor: async (place, name) =>
    openedData().openTensor(v.parse(SamplePlace, place), v.parse(v.string(), name)),
  tensorStatistics: async (id) => tensors().statistics(v.parse(v.number(), id)),
  tensorWindow: async (id, window) =>
    tensors().window(v.parse(v.number(), id), v.parse(TensorWindow, window)),
  async openSession(request) {
    session = await untilUncaught(() =>
      ModelSession.open(v.parse(SessionRequest, request), watchdog, failed),
    );
    outliveErrors();
  },
  samples: (query) => namingCalls(() => opened().samples(v.parse(SampleQuery, query))),
  ask: (subject, explain) =>
    namingCalls(() => opened().ask(v.parse(Subject, subject), v.parse(v.boolean(), explain))),
  intervene: (query) => namingCalls(() => opened().intervene(v.parse(InterventionQuery, query))),
  openActivation: (query) => namingCalls(() => opened().openActivation(v.parse(ActivationQuery, query))),
  rankUnits: (query) =>
    opened().rankUnits(v.parse(AblationQuery, query), (progress) => parent.send("ranking", progress)),
  stopRanking: async () => opened().stopRanking(),
};

/** A timer or promise of the file that fails later must not end a session. */
function outliveErrors(): void {
  process.on("uncaughtException", () => undefined);
  process.on("unhandledRejection", () => undefined);
}

/** Ends the run on signals, errors and the end of the parent; listens once for all runs. */
function listen(): void {
  // Frees the run at every normal exit.
  process.once("exit", (code) => {
    const error = exitError(code);
    if (error !== undefined && run instanceof Run) run.fail(error);
    held?.release();
  });
  process.on("SIGTERM", () => stop("signal"));
  process.on(STOP_THERE, () => stop("request"));
  // A terminal's Ctrl-C reaches the whole foreground group; the parent decides what to do.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => {
    if (!outlives) run?.control.stop("channel");
  });
  process.on("uncaughtException", (error) => run?.failWith(error));
  process.on("unhandledRejection", (reason) => run?.failWith(reason));
}

/** Makes the process ready for another run. @returns false when the last one has left something behind */
function becomeIdle(): boolean {
  // Its lock is released, and must get no more signs of life.
  watchdog.release();
  run?.dispose();
  run = undefined;
  held = undefined;
  starting = false;
  if (!process.connected || state?.restore() !== true) return false;
  parent.send("idle");
  return true;
}

const parent = connectParent<RunEngineEvents & ToolEvents & DataSessionEvents & InterventionEvents>(methods);

function failed(error: UserError): void {
  parent.send("failed", error);
}

async function exit(code: number): Promise<void> {
  // A parent that doesn't read must not keep this process.
  setTimeout(() => process.exit(code), 1000);
  await parent.drained();
  process.exit(code);
}

// Without a run there is nothing to save.
process.on("disconnect", () => {
  if (run !== undefined) return;
  ending = true;
  flushOpenEvents();
  void endOwnFamily();
});
parent.send("hello", hello("run"));
// While the parent answers.
setImmediate(settleHeap);
