/** The editor of tensor files: requests a file's tensors from the host, and values when they are shown. */
import type { UserError } from "../../extension/protocol/errors.ts";
import type {
  TensorsHostMethods,
  TensorsSnapshot,
  TensorsViewMethods,
  TensorsViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/tensors.css";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { defaultUi, type TensorsState, type TensorsUi } from "./state.ts";
import { editor, unreadable } from "./view.ts";

const text = strings.tensors;
let ui = restored(defaultUi, savedState<TensorsViewState>()?.ui);

const host = connect<TensorsHostMethods, TensorsViewMethods>({
  progress: (share) =>
    change((now) => {
      if (now.work) now.work = { ...now.work, share };
    }),
  changed: () => void page.load(),
});

const page = new Page<TensorsState>({
  announceEvery: 1000,
  loading: text.loading,
  load,
  view: (state) => editor(state, actions),
  failed: (error) => unreadable(userError(error), actions),
});

function change(apply: (now: TensorsState) => void): void {
  if (!page.state) return;
  apply(page.state);
  page.redraw();
}

function setUi(part: Partial<TensorsUi>): void {
  ui = { ...ui, ...part };
  saveState({ ui });
  change((now) => (now.ui = ui));
}

/** Reloads the file: its known values are obsolete. */
async function load(): Promise<void> {
  try {
    show(await host.ready());
  } catch (error) {
    if (!isCancelled(error)) throw error;
  }
}

function show({ tensors, checkpoint, other }: TensorsSnapshot): void {
  const state: TensorsState = {
    tensors,
    checkpoint,
    ui,
    statistics: new Map(),
    other,
    comparison: undefined,
    work: undefined,
    error: undefined,
  };
  page.show(state);
  void restoreValues(state);
}

/** Restores the comparison and the values of open tensors after a reload. */
async function restoreValues({ tensors, other, ui }: TensorsState): Promise<void> {
  if (other !== undefined && !(await compare())) return;
  const open = tensors.tensors.flatMap(({ name }, index) => (ui.open.includes(name) ? [index] : []));
  await loadValues(open);
}

/** Runs one request at a time, since the host reads files one by one. Returns whether it completed. */
async function work(what: string, run: () => Promise<void>): Promise<boolean> {
  const mine = page.state;
  if (!mine || mine.work) return false;
  change((now) => {
    now.work = { text: what, share: undefined };
    now.error = undefined;
  });
  let error: UserError | undefined;
  let done = false;
  try {
    await run();
    done = true;
  } catch (thrown) {
    if (!isCancelled(thrown)) error = userError(thrown);
  }
  // The file may have changed meanwhile.
  if (page.state === mine)
    change((now) => {
      now.work = undefined;
      now.error = error;
    });
  if (error) page.announcer.sayNow(error.message);
  return done && page.state === mine;
}

/** Requests the values of tensors that were not shown yet. */
async function loadValues(indices: readonly number[]): Promise<void> {
  for (const index of indices) {
    const name = page.state?.tensors.tensors[index]?.name;
    if (name === undefined || page.state?.statistics.has(index)) continue;
    const looked = await work(text.looking(name), async () => {
      const mine = page.state;
      const found = await host.statistics(index);
      if (page.state === mine)
        change((now) => (now.statistics = new Map([...now.statistics, [index, found]])));
    });
    if (!looked) return;
  }
}

function compare(): Promise<boolean> {
  return work(text.comparing, async () => {
    const mine = page.state;
    const comparison = await host.compare();
    if (page.state === mine) change((now) => (now.comparison = comparison));
  });
}

const actions: Actions = {
  setUi,
  toggle: (index) => {
    const name = page.state?.tensors.tensors[index]?.name;
    if (name === undefined) return;
    const open = ui.open.includes(name);
    setUi({ open: open ? ui.open.filter((one) => one !== name) : [...ui.open, name] });
    if (!open) void loadValues([index]);
  },
  lookAtAll: () => void loadValues(page.state?.tensors.tensors.map((_tensor, index) => index) ?? []),
  compare: () =>
    void (async () => {
      const other = await host.choose();
      if (other === null) return;
      change((now) => {
        now.other = other;
        now.comparison = undefined;
      });
      await compare();
    })(),
  closeComparison: () => {
    change((now) => (now.comparison = now.other = undefined));
    void host.forget();
  },
  view: (index) => reportFailure(host.view(index)),
  evaluate: () => reportFailure(host.evaluate()),
  trainOn: () => reportFailure(host.trainOn()),
  cancel: () => void host.cancel(),
  dismiss: () => change((now) => (now.error = undefined)),
  retry: () => void page.retry(),
};

function reportFailure(call: Promise<void>): void {
  call.catch((error: unknown) => change((now) => (now.error = userError(error))));
}

const isCancelled = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "cancelled";

const userError = (error: unknown): UserError => ({ code: "file", message: messageOf(error) });

void page.load();
