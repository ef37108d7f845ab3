/** The panel of an experiment's data: requests statistics and samples from the host, and shows them. */
import type {
  DataHostMethods,
  DataSnapshot,
  DataViewMethods,
  DataViewState,
} from "../../extension/protocol/data/data.ts";
import "../../media/styles/data.css";
import { connect, errorOf, restored, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import {
  defaultUi,
  fitting,
  PAGE,
  type Actions,
  type Asked,
  type DataState,
  type DataUi,
  type Question,
} from "./state.ts";
import { panel, unusable } from "./view.ts";

const text = strings.data;
let ui = restored(defaultUi, savedState<DataViewState>()?.ui);

const host = connect<DataHostMethods, DataViewMethods>({ snapshot: show });

const page = new Page<DataState>({
  announceEvery: 2000,
  loading: text.loading,
  load: async () => show(await host.ready()),
  view: (state) => panel(state, actions),
  failed: (error) => unusable(errorOf(error), actions),
});

/** Drops earlier answers when the data is read again. */
let read: string | undefined;

function show(snapshot: DataSnapshot): void {
  const { summary, reading } = snapshot;
  const seen = summary === undefined ? undefined : JSON.stringify(summary);
  const fresh = page.state === undefined || seen !== read;
  read = seen;
  if (summary !== undefined) ui = fitting(ui, summary);
  const asked = { page: {}, pairs: {}, draws: {} };
  page.show({ error: undefined, ...(fresh || !page.state ? asked : page.state), snapshot, ui });
  save();
  if (reading?.progress !== undefined) {
    const { split, read: done, of } = reading.progress;
    page.announcer.say(text.progress(split, done, of));
  }
  if (!fresh || summary === undefined) return;
  void loadPage();
  if (ui.index >= 0) void draw();
  if (ui.pairs) void loadPairs();
}

function save(): void {
  if (!page.state) return;
  const { file, exportName } = page.state.snapshot;
  saveState({ file, exportName, ui });
}

const newest: Record<Question, number> = { page: 0, pairs: 0, draws: 0 };

/** Sends a request to the host. A newer request of the same kind makes an older answer obsolete. */
async function ask<T>(kind: Question, call: Promise<T | undefined>): Promise<void> {
  const mine = ++newest[kind];
  const settle = (asked: Asked<T>): void => {
    if (mine === newest[kind]) page.change({ [kind]: asked });
  };
  const before = page.state?.[kind].answer as T | undefined;
  page.change({ [kind]: { answer: before, loading: true } });
  try {
    settle({ answer: (await call) ?? before });
  } catch (error) {
    settle({ error: errorOf(error) });
  }
}

const loadPage = (): Promise<void> => {
  const { split, offset, actual } = ui;
  return ask(
    "page",
    host.samples({ split, offset, count: PAGE, ...(actual < 0 ? {} : { actual: classAt(actual) }) }),
  );
};

const classAt = (place: number): number => page.state?.snapshot.summary?.classIndices?.[place] ?? place;

const draw = (): Promise<void> => ask("draws", host.draw({ split: ui.split, index: ui.index }));

const loadPairs = (): Promise<void> => {
  const pairs = page.state?.snapshot.summary?.pairs.slice(0, PAGE) ?? [];
  return ask("pairs", host.places(pairs.flat()));
};

function setUi(part: Partial<DataUi>): void {
  const before = ui;
  ui = { ...ui, ...part };
  page.change({ ui });
  save();
  if (ui.split !== before.split || ui.offset !== before.offset || ui.actual !== before.actual)
    void loadPage();
  if (ui.pairs && !before.pairs) void loadPairs();
  if (ui.index >= 0 && (ui.index !== before.index || ui.split !== before.split)) {
    page.change({ draws: {} });
    void draw();
  }
  if (ui.actual !== before.actual)
    document.querySelector(".section-samples")?.scrollIntoView({ block: "nearest" });
}

function attempt(call: Promise<void>): void {
  call.catch((error: unknown) => {
    const told = errorOf(error);
    page.change({ error: told });
    page.announcer.sayNow(told.message);
  });
}

const actions: Actions = {
  setUi,
  look: (place) => setUi(place ?? { index: -1 }),
  drawAgain: () => void draw(),
  read: () => attempt(host.read()),
  cancel: () => attempt(host.cancel()),
  train: () => attempt(host.train()),
  viewTensor: ({ split, index }, name) => attempt(host.viewTensor({ split, index }, name)),
  dismiss: (question) => {
    if (page.state === undefined) return;
    page.change(
      question === undefined
        ? { error: undefined }
        : { [question]: { ...page.state[question], error: undefined } },
    );
  },
  retry: () => void page.retry(),
  openSource: (file, line, column) => attempt(host.openSource(file, line, column)),
};

void page.load();
