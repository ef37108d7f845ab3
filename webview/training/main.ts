/** The training panel: receives the run from the host, draws it, and passes on what the user asks for. */
import { html, render } from "lit";
import type { RunRecord } from "../../extension/protocol/run.ts";
import type {
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
  TrainingViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/training.css";
import { Announcer } from "../shared/announcer.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/kit.ts";
import { strings } from "../shared/strings.ts";
import { onThemeChange } from "../shared/theme.ts";
import type { Actions } from "./actions.ts";
import { ChartGrid } from "./chartGrid.ts";
import { type ActionName, defaultUi, fromSnapshot, type TrainingState } from "./state.ts";
import { panel, summary } from "./view.ts";

/** A screen reader hears of a running training this often. */
const SUMMARY_INTERVAL = 10_000;
const READOUT_INTERVAL = 250;
/** Milliseconds for which a live run may be silent before the host is asked, and which the host has to answer. */
const SILENCE = 5000;

const root = document.createElement("main");
const announcer = new Announcer(SUMMARY_INTERVAL);
const readout = new Announcer(READOUT_INTERVAL);
document.body.append(root, announcer.element, readout.element);

let ui = restored(defaultUi, savedState<TrainingViewState>()?.ui);
let state: TrainingState | undefined;

const host = connect<TrainingHostMethods, TrainingViewMethods>({
  snapshot: show,
  rows: (rows) => hear((now) => now.curves.append(rows)),
  record: (run, live) => hear((now) => setRecord(now, run, live)),
  progress: (progress) => hear((now) => (now.progress = progress)),
  evaluated: (result) => hear((now) => (now.evaluation = result)),
});

const charts = new ChartGrid({
  onZoom: (range) => change((now) => (now.zoom = range)),
  announce: (text) => readout.say(text),
});

const redraw = everyFrame(() => {
  if (!state) return;
  render(panel(state, charts.view(state, actions), actions), root);
  charts.draw(state);
  document.body.dataset["ready"] = "1";
});

function change(apply: (now: TrainingState) => void): void {
  // What comes before the first snapshot is part of it.
  if (!state) return;
  apply(state);
  redraw();
}

let heard = performance.now();
let asking = false;

/** What the host tells. */
function hear(apply: (now: TrainingState) => void): void {
  heard = performance.now();
  change(apply);
}

/** VS Code leaves the panels of a host that died on the screen, and nobody answers for them any more. */
async function askHost(): Promise<void> {
  asking = true;
  const timer = setTimeout(
    () =>
      change((now) => {
        now.live = false;
        now.disconnected = true;
      }),
    SILENCE,
  );
  try {
    // It may only have been busy: then all is well again.
    show(await host.ready());
  } finally {
    clearTimeout(timer);
    asking = false;
  }
}

setInterval(() => {
  if (!asking && state?.live && performance.now() - heard > SILENCE)
    askHost().catch((error: unknown) => change((now) => (now.notice = messageOf(error))));
}, SILENCE / 5);

/** A snapshot is everything: what was known before counts no more, except for what the user is looking at. */
function show(snapshot: TrainingSnapshot): void {
  heard = performance.now();
  const before = state;
  state = fromSnapshot(snapshot, ui);
  if (before?.run.id === state.run.id) state.zoom = before.zoom;
  save(state);
  redraw();
}

function setRecord(now: TrainingState, run: RunRecord, live: boolean): void {
  const changed = run.state !== now.run.state;
  const epochDone = run.epoch !== now.run.epoch;
  now.run = run;
  now.live = live;
  now.curves.stepsPerEpoch = run.stepsPerEpoch;
  if (changed) announcer.sayNow(summary(now));
  else if (epochDone) announcer.say(summary(now));
}

function save({ run, ui }: TrainingState): void {
  saveState({ runId: run.id, file: run.file, ui });
}

/** Runs a call of the host; while it is pending its button can't be pressed again, and why it failed is shown. */
async function ask(name: ActionName, call: () => Promise<void>): Promise<void> {
  change((now) => {
    now.pending.add(name);
    now.notice = undefined;
  });
  let notice: string | undefined;
  try {
    await call();
  } catch (error) {
    notice = strings.error.actionFailed(strings.training.actions[name], messageOf(error));
  }
  change((now) => {
    now.pending.delete(name);
    now.notice ??= notice;
  });
}

/** For calls without a button of their own. */
function tell(call: Promise<void>): void {
  call.catch((error: unknown) => change((now) => (now.notice = messageOf(error))));
}

const actions: Actions = {
  run: (name) => void ask(name, () => host[name]()),
  evaluate: (checkpoint) => void ask("evaluate", () => host.evaluate(checkpoint)),
  reveal: (checkpoint) => tell(host.revealCheckpoint(checkpoint)),
  openSource: (file, line, column) => tell(host.openSource(file, line, column)),
  setUi: (part) =>
    change((now) => {
      now.ui = ui = { ...now.ui, ...part };
      save(now);
    }),
  zoom: (range) => change((now) => (now.zoom = range)),
  dismissNotice: () => change((now) => (now.notice = undefined)),
};

onThemeChange(() => charts.themeChanged());
render(loading(strings.training.loading), root);
host.ready().then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root));
