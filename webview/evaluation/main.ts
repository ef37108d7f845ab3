/** The evaluation panel: shows an evaluation's results, and requests samples and predictions from the host. */
import { html, render } from "lit";
import type { Subject } from "../../extension/protocol/evaluation.ts";
import type {
  EvaluationHostMethods,
  EvaluationSnapshot,
  EvaluationViewMethods,
  EvaluationViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/evaluation.css";
import { Announcer } from "../shared/announcer.ts";
import { formatShare } from "../shared/format.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, errorOf, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { onThemeChange } from "../shared/theme.ts";
import { InterventionRequests } from "./intervening.ts";
import { Pad } from "./pad.ts";
import {
  classNames,
  defaultUi,
  firstPage,
  fromSnapshot,
  nameOf,
  queryOf,
  type Actions,
  type EvaluationState,
  type EvaluationUi,
} from "./state.ts";
import { panel } from "./view.ts";

/** Samples per request. */
const PAGE = 24;
/** Most cards that are shown; more make the panel slow. */
const MAX_CARDS = 480;
/** Milliseconds between two announcements of predictions to screen readers. */
const ANNOUNCE_INTERVAL = 1500;

const root = document.createElement("main");
const announcer = new Announcer(ANNOUNCE_INTERVAL);
document.body.append(root, announcer.element);

let ui: EvaluationUi = restored(defaultUi, savedState<EvaluationViewState>()?.ui);
let state: EvaluationState | undefined;
let theme = 0;

const pad = new Pad(() => predict({ kind: "image", pixels: [] }));

const host = connect<EvaluationHostMethods, EvaluationViewMethods>({
  snapshot: show,
  progress: (progress) => change((now) => (now.progress = progress)),
  model: (model) => change((now) => (now.model = model)),
  ranking: (progress) => requests.progressed(progress),
});

const redraw = everyFrame(() => {
  if (!state) return;
  render(panel(state, pad, theme, actions), root);
  document.body.dataset["ready"] = "1";
});

function change(apply: (now: EvaluationState) => void): void {
  // Changes before the first snapshot are part of it.
  if (!state) return;
  apply(state);
  redraw();
}

function show(snapshot: EvaluationSnapshot): void {
  const before = state;
  const same = before?.run.id === snapshot.run.id;
  // A chosen cell of another evaluation's matrix has no meaning here.
  if (before && !same) ui = { ...ui, actual: -1, predicted: -1 };
  // Samples beyond those of the report need the model, which isn't loaded until the user asks.
  if (!same && snapshot.manual === true) ui = { ...ui, order: "hardest", actual: -1, predicted: -1 };
  state = fromSnapshot(snapshot, ui);
  if (before && same && before.report) {
    const { listing, asked, intervening, row, text, picture, fetched } = before;
    Object.assign(state, { listing, asked, intervening, row, text, picture, fetched });
  }
  const input = state.report?.input;
  if (input?.kind === "image") {
    pad.setTarget(input);
    pad.paint();
  }
  save();
  redraw();
  if (!(before && same && before.report) && state.report && !firstPage(state, ui)) loadSamples(0);
  fetchPicture();
}

function save(): void {
  if (state) saveState({ runId: state.run.id, file: state.run.file, ui });
}

/** Loads samples from `offset` on; a newer call supersedes an older one. */
let listed = 0;
function loadSamples(offset: number): void {
  const call = ++listed;
  const wanted = ui;
  change((now) => {
    now.listing = { ...now.listing, loading: true };
    if (offset === 0) now.listing = { samples: [], total: 0, loading: true };
  });
  host.samples(queryOf(wanted, offset, PAGE)).then(
    (page) =>
      change((now) => {
        if (call !== listed) return;
        const samples = offset === 0 ? [] : now.listing.samples;
        now.listing = page
          ? { samples: [...samples, ...page.samples].slice(0, MAX_CARDS), total: page.total, loading: false }
          : { ...now.listing, loading: false };
      }),
    (error: unknown) =>
      change((now) => {
        if (call === listed) now.listing = { ...now.listing, loading: false, error: errorOf(error) };
      }),
  );
}

function reloadSamples(): void {
  const first = state && firstPage(state, ui);
  listed++;
  if (first) change((now) => (now.listing = first));
  else loadSamples(0);
}

/** The next input for the model, while a prediction is running. */
let next: Subject | undefined;
let asking = false;

/** Predicts at once, or after the running prediction; of many strokes, only the last is predicted. */
function predict(subject: Subject): void {
  next = subject;
  change((now) => (now.asked = { ...now.asked, asking: true }));
  if (!asking) void predictNext();
}

async function predictNext(): Promise<void> {
  asking = true;
  while (next) {
    // The drawing is read now, not at each movement of the pen.
    const subject: Subject = next.kind === "image" ? { kind: "image", pixels: pad.pixels() } : next;
    next = undefined;
    try {
      const answer = await host.ask(subject, ui.explain);
      change(
        (now) => (now.asked = { subject, answer: answer ?? now.asked.answer, asking: next !== undefined }),
      );
      if (answer && next === undefined) requests.refresh({ input: true });
      if (answer?.made && next === undefined) fillForm(answer.made);
      if (answer?.probabilities && state) {
        const { predicted = 0, confidence = 0 } = answer.sample;
        const name = nameOf(answer.labels ?? classNames(state), predicted);
        announcer.say(strings.evaluation.ask.announce(name, formatShare(confidence)));
      }
    } catch (error) {
      change(
        (now) => (now.asked = { ...now.asked, subject, asking: next !== undefined, error: errorOf(error) }),
      );
    }
  }
  asking = false;
}

/** Fills the form with a chosen sample, which the user can then change. */
function fillForm(made: Subject): void {
  if (made.kind === "image") pad.fill(made.pixels);
  change((now) => {
    if (made.kind === "row") now.row = [...made.values];
    if (made.kind === "text") now.text = made.text;
  });
}

function fetchPicture(): void {
  if (!state) return;
  const wanted = state.pictures[Math.min(state.picture, state.pictures.length - 1)];
  if (!wanted || state.fetched.has(wanted.file)) return;
  host.picture(wanted.file).then(
    (png) => change((now) => (now.fetched = new Map([...now.fetched, [wanted.file, png]]))),
    (error: unknown) => change((now) => (now.notice = messageOf(error))),
  );
}

function reportFailure(call: Promise<void>): void {
  call.catch((error: unknown) => change((now) => (now.notice = messageOf(error))));
}

function setUi(part: Partial<EvaluationUi>): void {
  ui = { ...ui, ...part };
  change((now) => (now.ui = ui));
  save();
}

const requests = new InterventionRequests({
  host,
  state: () => state,
  change,
  setUi,
  say: (said) => announcer.say(said),
});

const actions: Actions = {
  cancel: () => reportFailure(host.cancel()),
  attach: () => reportFailure(host.attachRun()),
  again: () => {
    const again = (on: boolean): void => change((now) => (now.pending = new Set(on ? ["again"] : [])));
    again(true);
    reportFailure(host.evaluateAgain().finally(() => again(false)));
  },
  openTraining: () => reportFailure(host.openTraining()),
  showLog: () => reportFailure(host.showLog()),
  openSource: (file, line, column) => reportFailure(host.openSource(file, line, column)),
  setUi: (part) => {
    setUi(part);
    // The current prediction has no explanation yet.
    if (part.explain === true && state?.asked.subject) predict(state.asked.subject);
  },
  choose: (actual, predicted) => {
    const same = ui.actual === actual && ui.predicted === predicted;
    setUi(
      same
        ? { actual: -1, predicted: -1 }
        : { actual, predicted, order: ui.order === "wrong" ? "hardest" : ui.order },
    );
    reloadSamples();
    if (actual >= 0 && !same)
      requestAnimationFrame(() =>
        document.querySelector(".section-samples")?.scrollIntoView({ block: "nearest" }),
      );
  },
  order: (order) => {
    setUi({ order, ...(order === "wrong" ? { actual: -1, predicted: -1 } : {}) });
    reloadSamples();
  },
  more: () => loadSamples(state?.listing.samples.length ?? 0),
  ask: predict,
  setRow: (index, value) => {
    change((now) => (now.row = now.row.map((one, i) => (i === index ? value : one))));
    if (state) predict({ kind: "row", values: state.row });
  },
  setText: (text) => {
    change((now) => (now.text = text));
    if (text.trim() !== "") predict({ kind: "text", text });
  },
  showPicture: (picture) => {
    change((now) => (now.picture = picture));
    fetchPicture();
  },
  intervene: requests,
  dismissNotice: () => change((now) => (now.notice = undefined)),
};

onThemeChange(() => {
  theme++;
  pad.paint();
  redraw();
});
render(loading(strings.evaluation.loading), root);
host.ready().then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root));
