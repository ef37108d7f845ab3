/** The panel of a sweep: what its trials tried, and what came of it. */
import type {
  SweepHostMethods,
  SweepSnapshot,
  SweepViewMethods,
  SweepViewState,
} from "../../extension/protocol/sweeps/views.ts";
import "../../media/styles/sweep.css";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { checkedUi, defaultUi, type SweepState, type SweepUi } from "./state.ts";
import { panel, unreadable } from "./view.ts";

const text = strings.sweep;
let ui = checkedUi(restored(defaultUi, savedState<SweepViewState>()?.ui));

const host = connect<SweepHostMethods, SweepViewMethods>({ snapshot: (snapshot) => show(snapshot) });

const page = new Page<SweepState>({
  announceEvery: 1000,
  loading: text.loading,
  load: async () => show(await host.ready()),
  view: (state) => panel(state, actions),
  failed: (error) => unreadable(messageOf(error), actions),
});

function show(snapshot: SweepSnapshot): void {
  page.show({ hovered: undefined, error: undefined, ...page.state, snapshot, ui });
  save();
}

function save(): void {
  if (page.state)
    saveState({ sweepId: page.state.snapshot.sweep.id, file: page.state.snapshot.sweep.file, ui });
}

function setUi(part: Partial<SweepUi>): void {
  ui = { ...ui, ...part };
  save();
  page.change({ ui });
}

/** Makes a call of the host; its failure becomes a notice. */
async function attempt(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    page.change({ error: messageOf(error) });
    page.announcer.sayNow(messageOf(error));
    return false;
  }
}

async function apply(number: number): Promise<void> {
  if (await attempt(host.apply(number))) page.announcer.sayNow(text.applied(number));
}

const actions: Actions = {
  setUi,
  brush: (axis, range) => {
    const { [axis]: _, ...others } = ui.brushes;
    setUi({ brushes: range === undefined ? others : { ...others, [axis]: range } });
  },
  hover: (hovered) => {
    if (page.state?.hovered !== hovered) page.change({ hovered });
  },
  openTrial: (number) => void attempt(host.openTrial(number)),
  apply: (number) => void apply(number),
  resume: () => void attempt(host.resume()),
  stop: () => void attempt(host.stop()),
  openSource: () => void attempt(host.openSource()),
  dismiss: () => page.change({ error: undefined }),
  retry: () => void page.retry(),
};

void page.load();
