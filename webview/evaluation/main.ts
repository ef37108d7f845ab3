/** The evaluation panel: shows what an evaluation found, and asks the host for samples and the model's answers. */
import { html, render } from "lit";
import type { UserError } from "../../extension/protocol/errors.ts";
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
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/kit.ts";
import { strings } from "../shared/strings.ts";
import { onThemeChange } from "../shared/theme.ts";
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

/** Samples that are asked for at once. */
const PAGE = 24;
/** More cards than this make a panel slow. */
const MAX_CARDS = 480;
/** A screen reader hears of predictions this often, in milliseconds. */
const ANNOUNCE_INTERVAL = 1500;

const root = document.createElement("main");
const announcer = new Announcer(ANNOUNCE_INTERVAL);
document.body.append(root, announcer.element);

let ui: EvaluationUi = restored(defaultUi, savedState<EvaluationViewState>()?.ui);
let state: EvaluationState | undefined;
let theme = 0;

const pad = new Pad(() => ask({ kind: "image", pixels: [] }));

const host = connect<EvaluationHostMethods, EvaluationViewMethods>({
  snapshot: show,
  progress: (progress) => change((now) => (now.progress = progress)),
  model: (model) => change((now) => (now.model = model)),
});

const redraw = everyFrame(() => {
  if (!state) return;
  render(panel(state, pad, theme, actions), root);
  document.body.dataset["ready"] = "1";
});

function change(apply: (now: EvaluationState) => void): void {
  // What comes before the first snapshot is part of it.
  if (!state) return;
  apply(state);
  redraw();
}

function show(snapshot: EvaluationSnapshot): void {
  const before = state;
  const same = before?.run.id === snapshot.run.id;
  // A cell of another evaluation's matrix says nothing here.
  if (before && !same) ui = { ...ui, actual: -1, predicted: -1 };
  // Samples beyond those of the report need the model, which nobody has asked for yet.
  if (!same && snapshot.manual === true) ui = { ...ui, order: "hardest", actual: -1, predicted: -1 };
  state = fromSnapshot(snapshot, ui);
  if (before && same && before.report) {
    const { listing, asked, row, text, picture, fetched } = before;
    Object.assign(state, { listing, asked, row, text, picture, fetched });
  }
  const input = state.report?.input;
  if (input?.kind === "image") {
    pad.setTarget(input);
    pad.paint();
  }
  save();
  redraw();
  if (!(before && same && before.report) && state.report && !firstPage(state, ui)) list(0);
  fetchPicture();
}

function save(): void {
  if (state) saveState({ runId: state.run.id, file: state.run.file, ui });
}

const toError = (error: unknown): UserError =>
  typeof error === "object" && error !== null && "code" in error && "message" in error
    ? (error as UserError)
    : { code: "failed", message: messageOf(error) };

/** Samples from `offset` on; the newest call counts. */
let listed = 0;
function list(offset: number): void {
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
        if (call === listed) now.listing = { ...now.listing, loading: false, error: toError(error) };
      }),
  );
}

function relist(): void {
  const first = state && firstPage(state, ui);
  listed++;
  if (first) change((now) => (now.listing = first));
  else list(0);
}

/** What the model is to be asked next, while it is asked something. */
let next: Subject | undefined;
let asking = false;

/** Asks at once, or when the answer before is there: of many strokes the last counts. */
function ask(subject: Subject): void {
  next = subject;
  change((now) => (now.asked = { ...now.asked, asking: true }));
  if (!asking) void askNext();
}

async function askNext(): Promise<void> {
  asking = true;
  while (next) {
    // What is drawn is read now, not at each movement of the pen.
    const subject: Subject = next.kind === "image" ? { kind: "image", pixels: pad.pixels() } : next;
    next = undefined;
    try {
      const answer = await host.ask(subject, ui.explain);
      change(
        (now) => (now.asked = { subject, answer: answer ?? now.asked.answer, asking: next !== undefined }),
      );
      if (answer?.made && next === undefined) fill(answer.made);
      if (answer?.probabilities && state) {
        const { predicted = 0, confidence = 0 } = answer.sample;
        const name = nameOf(answer.labels ?? classNames(state), predicted);
        announcer.say(strings.evaluation.ask.announce(name, formatShare(confidence)));
      }
    } catch (error) {
      change(
        (now) => (now.asked = { ...now.asked, subject, asking: next !== undefined, error: toError(error) }),
      );
    }
  }
  asking = false;
}

/** A sample that was chosen stands in the form, to be changed there. */
function fill(made: Subject): void {
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

function tell(call: Promise<void>): void {
  call.catch((error: unknown) => change((now) => (now.notice = messageOf(error))));
}

function setUi(part: Partial<EvaluationUi>): void {
  ui = { ...ui, ...part };
  change((now) => (now.ui = ui));
  save();
}

const actions: Actions = {
  cancel: () => tell(host.cancel()),
  again: () => {
    const again = (on: boolean): void => change((now) => (now.pending = new Set(on ? ["again"] : [])));
    again(true);
    tell(host.evaluateAgain().finally(() => again(false)));
  },
  openTraining: () => tell(host.openTraining()),
  showLog: () => tell(host.showLog()),
  openSource: (file, line, column) => tell(host.openSource(file, line, column)),
  setUi: (part) => {
    setUi(part);
    // What was asked before has no explanation yet.
    if (part.explain === true && state?.asked.subject) ask(state.asked.subject);
  },
  choose: (actual, predicted) => {
    const same = ui.actual === actual && ui.predicted === predicted;
    setUi(
      same
        ? { actual: -1, predicted: -1 }
        : { actual, predicted, order: ui.order === "wrong" ? "hardest" : ui.order },
    );
    relist();
    if (actual >= 0 && !same)
      requestAnimationFrame(() =>
        document.querySelector(".section-samples")?.scrollIntoView({ block: "nearest" }),
      );
  },
  order: (order) => {
    setUi({ order, ...(order === "wrong" ? { actual: -1, predicted: -1 } : {}) });
    relist();
  },
  more: () => list(state?.listing.samples.length ?? 0),
  ask,
  setRow: (index, value) => {
    change((now) => (now.row = now.row.map((one, i) => (i === index ? value : one))));
    if (state) ask({ kind: "row", values: state.row });
  },
  setText: (text) => {
    change((now) => (now.text = text));
    if (text.trim() !== "") ask({ kind: "text", text });
  },
  showPicture: (picture) => {
    change((now) => (now.picture = picture));
    fetchPicture();
  },
  dismissNotice: () => change((now) => (now.notice = undefined)),
};

onThemeChange(() => {
  theme++;
  pad.paint();
  redraw();
});
render(loading(strings.evaluation.loading), root);
host.ready().then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root));
