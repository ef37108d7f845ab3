/** The training panel: receives the run from the host, draws it, and passes on the user's requests. */
import { html, render } from "lit";
import type { PanelControl } from "../../extension/protocol/controls.ts";
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
import { oneAtATime } from "../shared/oneAtATime.ts";
import { loading } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { valuesCsv } from "../shared/layers/valuesCsv.ts";
import { onThemeChange } from "../shared/theme.ts";
import type { Actions, ExportFormat } from "./actions.ts";
import { ChartGrid, charted, models } from "./chartGrid.ts";
import { colourOf, readPalette } from "./chartStyle.ts";
import type { Curves } from "./curves.ts";
import { base64, csvText, pgfplotsText, svgText } from "./exports.ts";
import { onRunsDropped } from "./dropped.ts";
import { LayersSection } from "./layers.ts";
import { runName, toggleCompared, withRecord } from "./runList.ts";
import { PicturesSection } from "./pictures.ts";
import { gather } from "./history/gather.ts";
import { reportHtml } from "./history/report.ts";
import { type ActionName, curvesOf, defaultUi, fromSnapshot, setState, type TrainingState } from "./state.ts";
import { isSilent } from "./silence.ts";
import { Teller } from "./telling/teller.ts";
import { panel, type Sections } from "./view.ts";

const READOUT_INTERVAL = 250;
/** Milliseconds for which a live run may be silent before the host is asked, and which the host has to answer. */
const SILENCE = 5000;

const root = document.createElement("main");
const teller = new Teller();
const readout = new Announcer(READOUT_INTERVAL);
document.body.append(root, ...teller.elements, readout.element);

let ui = restored(defaultUi, savedState<TrainingViewState>()?.ui);
let state: TrainingState | undefined;

const host = connect<TrainingHostMethods, TrainingViewMethods>({
  snapshot: show,
  rows: (rows) =>
    hear((now) => {
      now.curves.append(rows);
      teller.rows(rows, now.curves);
    }),
  record: (run, live, waitsFor = []) => hear((now) => setRecord(now, run, live, waitsFor)),
  progress: (progress) =>
    hear((now) => {
      now.progress = progress;
      now.measuredAt = performance.now();
      teller.changed(now);
    }),
});

const layers = new LayersSection(host, () => redraw());
const pictures = new PicturesSection(host, () => redraw());
const charts = new ChartGrid({
  onZoom: (range) => change((now) => (now.zoom = range)),
  announce: (text) => readout.say(text),
});

/** The step of the layers that was drawn last. */
let drawnStep: number | undefined;

const redraw = everyFrame(() => {
  if (!state) return;
  const sections: Sections = {
    charts: charts.view(state, actions),
    layers: layers.view(state, actions),
    pictures: pictures.view(),
  };
  render(panel(state, sections, actions), root);
  // Moving through the layers leaves the curves as they are.
  if (state.layerStep === drawnStep) charts.draw(state);
  drawnStep = state.layerStep;
  layers.draw(state);
  document.body.dataset["ready"] = "1";
});

function change(apply: (now: TrainingState) => void): void {
  // The first snapshot contains everything before it.
  if (!state) return;
  apply(state);
  redraw();
}

let heard = performance.now();
let asking = false;

/** Handles a message of the host. */
function hear(apply: (now: TrainingState) => void): void {
  heard = performance.now();
  change(apply);
}

/** VS Code leaves the panels of a host that died on the screen, and nothing answers them any more. */
async function askHost(): Promise<void> {
  asking = true;
  const timer = setTimeout(
    () =>
      change((now) => {
        now.unanswered = true;
        teller.changed(now);
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

/** A snapshot replaces all state except the user's view. */
function show(snapshot: TrainingSnapshot): void {
  heard = performance.now();
  for (const id of snapshot.compare ?? [])
    if (!ui.compare.includes(id)) ui = { ...ui, compare: toggleCompared(ui.compare, id) };
  const before = state;
  state = fromSnapshot(snapshot, ui);
  if (snapshot.telling !== undefined) teller.settings = snapshot.telling;
  if (before?.run.id === state.run.id) {
    state.zoom = before.zoom;
    state.layerStep = before.layerStep;
    state.history = before.history;
    state.diffWith = before.diffWith;
    state.diff = before.diff;
    state.editing = before.editing;
    state.notice = before.notice;
    state.pending = before.pending;
  }
  teller.shows(state, before?.run.id === state.run.id);
  if (before) {
    state.runs = withRecord(before.runs, state.run, state.live);
    state.others = before.others;
  }
  save(state);
  redraw();
  refresh();
  refreshLayers();
  tell(readHistory());
}

function setRecord(now: TrainingState, run: RunRecord, live: boolean, waitsFor: readonly string[]): void {
  const changed = setState(now, run, live, waitsFor);
  now.runs = withRecord(now.runs, run, live);
  if (changed) tell(readHistory());
  teller.changed(now);
}

function save({ run, ui }: TrainingState): void {
  saveState({ runId: run.id, file: run.file, ui });
}

/** Runs a call of the host; while it is pending its button can't be pressed again, and why it failed is shown. */
async function ask(
  name: ActionName | PanelControl,
  label: string,
  call: () => Promise<unknown>,
): Promise<void> {
  change((now) => {
    now.pending.add(name);
    now.notice = undefined;
  });
  let notice: string | undefined;
  try {
    await call();
  } catch (error) {
    notice = strings.error.actionFailed(label, messageOf(error));
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

/** How often the other runs are read, in milliseconds: live ones have new points. */
const RUNS_INTERVAL = 10_000;

/** Refreshes the table of runs and the curves of compared ones, those of an ended run once. */
const refreshRuns = oneAtATime(async () => {
  const shown = state;
  if (shown?.run.kind !== "train" || shown.unanswered) return;
  const runs = (await host.runs()) ?? [];
  const others = new Map<string, Curves>();
  for (const id of shown.ui.compare) {
    const one = runs.find(({ run }) => run.id === id);
    if (!one || id === shown.run.id) continue;
    const known = state?.others.get(id);
    const over = knownEnd.get(id) === one.run.endedAt && one.run.endedAt !== undefined;
    others.set(id, known && over ? known : curvesOf(one.run, await host.rowsOf(id)));
    if (one.run.endedAt !== undefined) knownEnd.set(id, one.run.endedAt);
  }
  change((now) => {
    // The host reads the table from files, which the messages of this run are ahead of.
    now.runs = withRecord(runs, now.run, now.live);
    now.others = others;
  });
  // It is written a moment after a run begins.
  if (state?.live === true && state.history?.provenance === undefined) await readHistory();
});

const knownEnd = new Map<string, string>();

function refresh(): void {
  refreshRuns().catch((error: unknown) => change((now) => (now.notice = messageOf(error))));
}

setInterval(refresh, RUNS_INTERVAL);

/** How often a live run's layers and pictures are read, in milliseconds. */
const LAYERS_INTERVAL = 1000;

function refreshLayers(): void {
  if (state === undefined || state.unanswered) return;
  if (isSilent(state)) redraw();
  tell(layers.refresh(state));
  tell(pictures.refresh(state));
}

setInterval(refreshLayers, LAYERS_INTERVAL);

/** Reads where the shown run comes from; its commit is known a moment after its start. */
async function readHistory(): Promise<void> {
  const id = state?.run.id;
  // A run that starts has no record yet.
  if (id === undefined || state?.run.kind !== "train" || state.run.state === "starting" || state.unanswered)
    return;
  const history = (await host.historyOf(id)) ?? undefined;
  change((now) => {
    if (now.run.id === id) now.history = history;
  });
}

async function readDiff(id: string): Promise<void> {
  const own = state?.run.id;
  if (own === undefined) return;
  const [before, now] = await Promise.all([host.historyOf(id), host.historyOf(own)]);
  change((current) => {
    if (current.diffWith !== id) return;
    current.diff = [
      { name: nameOfRun(id), history: before },
      { name: nameOfRun(own), history: now },
    ];
  });
}

function nameOfRun(id: string): string {
  const found = state?.runs.find((one) => one.run.id === id);
  return found ? runName(found) : id;
}

async function saveReport(): Promise<void> {
  if (state === undefined) return;
  const { run, curves } = state;
  const text = reportHtml({
    name: nameOfRun(run.id),
    history: { ...(await host.historyOf(run.id)), run },
    charts: models(state),
    axis: strings.training.charts.axes[ui.axis],
    metrics: curves.metrics(),
    events: curves.events,
    advice: layers.source.history?.advice ?? [],
    ...(await gather(host)),
  });
  await host.saveFile(`${run.id}.html`, base64(text));
}

async function saveLayerValues(): Promise<void> {
  const { values } = layers.source;
  if (values === undefined || state === undefined) return;
  const layer = values.path.replaceAll(/[^\w.-]/g, "_");
  await host.saveFile(`${state.run.id}-${layer || "model"}.csv`, base64(valuesCsv(values)));
}

/** Calls the host, then refreshes the runs. */
async function changeRuns(call: Promise<void>): Promise<void> {
  try {
    await call;
  } finally {
    await refreshRuns();
  }
}

async function exportAs(format: ExportFormat): Promise<void> {
  if (!state) return;
  const { run, ui, curves, others } = state;
  const axis = strings.training.charts.axes[ui.axis];
  const name = `${run.id}.${format === "pgfplots" ? "tex" : format}`;
  if (format === "png") {
    const url = charts.picture().toDataURL("image/png");
    return host.saveFile(name, url.slice(url.indexOf(",") + 1));
  }
  const palette = readPalette();
  const text = {
    csv: () =>
      csvText(
        [[run.id, curves] as const, ...others].map(([id, of]) => ({
          name: nameOfRun(id),
          metrics: charted(of),
        })),
      ),
    svg: () =>
      svgText(models(state!), axis, {
        background: palette.background,
        text: palette.text,
        grid: palette.text,
        colourOf: (line) => colourOf(line, palette),
      }),
    pgfplots: () => pgfplotsText(models(state!), axis),
  }[format]();
  return host.saveFile(name, base64(text));
}

const actions: Actions = {
  run: (name) => void ask(name, strings.training.actions[name], () => host[name]()),
  steer: (name, label, ...args) =>
    void ask(name, label, () => (host[name] as (...args: unknown[]) => Promise<unknown>)(...args)),
  openRun: (id) => tell(host.openRun(id)),
  compare: (id) => {
    actions.setUi({ compare: toggleCompared(ui.compare, id) });
    refresh();
  },
  edit: (editing) => {
    change((now) => (now.editing = editing));
    // The field exists after the next frame.
    if (editing) requestAnimationFrame(() => requestAnimationFrame(focusEditor));
  },
  label: (id, labels) => tell(changeRuns(host.label(id, labels))),
  deleteRun: (id) => tell(changeRuns(host.deleteRun(id))),
  exportAs: (format) => tell(exportAs(format)),
  diffWith: (diffWith) => {
    change((now) => {
      now.diffWith = diffWith;
      now.diff = undefined;
    });
    if (diffWith !== undefined) tell(readDiff(diffWith));
  },
  openVersion: () => tell(host.openVersion()),
  runAgain: () => tell(host.runAgain()),
  saveReport: () => tell(saveReport()),
  moveTo: (layerStep) => change((now) => (now.layerStep = layerStep)),
  saveLayerValues: () => tell(saveLayerValues()),
  evaluate: (checkpoint) =>
    void ask("evaluate", strings.training.actions.evaluate, () => host.evaluate(checkpoint)),
  reveal: (checkpoint) => tell(host.revealCheckpoint(checkpoint)),
  openSource: (file, line, column) => tell(host.openSource(file, line, column)),
  setUi: (part) =>
    change((now) => {
      // The zoomed range is in the unit of the axis.
      if (part.axis !== undefined && part.axis !== now.ui.axis) now.zoom = undefined;
      now.ui = ui = { ...now.ui, ...part };
      save(now);
    }),
  zoom: (range) => change((now) => (now.zoom = range)),
  dismissNotice: () => change((now) => (now.notice = undefined)),
};

function focusEditor(): void {
  const editor = document.querySelector<HTMLInputElement>(".run-editor");
  editor?.focus();
  editor?.select();
}

onRunsDropped((ids) => {
  if (!state) return;
  for (const id of ids)
    if (id !== state.run.id && !ui.compare.includes(id))
      actions.setUi({ compare: toggleCompared(ui.compare, id) });
  refresh();
});
onThemeChange(() => {
  charts.themeChanged();
  layers.themeChanged();
  redraw();
});
render(loading(strings.training.loading), root);
host.ready().then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root));
