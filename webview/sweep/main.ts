/** The panel of a sweep: what its trials tried, and what came of it. */
import { render } from "lit";
import type {
  SweepHostMethods,
  SweepSnapshot,
  SweepViewMethods,
  SweepViewState,
} from "../../extension/protocol/sweeps/views.ts";
import "../../media/styles/sweep.css";
import { Announcer } from "../shared/announcer.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { checkedUi, defaultUi, type SweepState, type SweepUi } from "./state.ts";
import { panel, unreadable } from "./view.ts";

const text = strings.sweep;
const root = document.createElement("main");
const announcer = new Announcer(1000);
document.body.append(root, announcer.element);

let ui = checkedUi(restored(defaultUi, savedState<SweepViewState>()?.ui));
let state: SweepState | undefined;
/** Why the sweep can't be shown. */
let fatal: string | undefined;

const host = connect<SweepHostMethods, SweepViewMethods>({ snapshot: (snapshot) => show(snapshot) });

const redraw = everyFrame(() => {
  if (fatal !== undefined) render(unreadable(fatal, actions), root);
  else render(state ? panel(state, actions) : loading(text.loading), root);
  if (fatal ?? state) document.body.dataset["ready"] = "1";
});

function change(part: Partial<SweepState>): void {
  if (!state) return;
  state = { ...state, ...part };
  redraw();
}

function show(snapshot: SweepSnapshot): void {
  fatal = undefined;
  state = { hovered: undefined, error: undefined, ...state, snapshot, ui };
  save();
  redraw();
}

function save(): void {
  if (state) saveState({ sweepId: state.snapshot.sweep.id, file: state.snapshot.sweep.file, ui });
}

function setUi(part: Partial<SweepUi>): void {
  ui = { ...ui, ...part };
  save();
  change({ ui });
}

async function load(): Promise<void> {
  try {
    show(await host.ready());
  } catch (error) {
    fatal = messageOf(error);
    redraw();
  }
}

/** Makes a call of the host; its failure becomes a notice. */
async function attempt(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    change({ error: messageOf(error) });
    announcer.sayNow(messageOf(error));
    return false;
  }
}

async function apply(number: number): Promise<void> {
  if (await attempt(host.apply(number))) announcer.sayNow(text.applied(number));
}

const actions: Actions = {
  setUi,
  brush: (axis, range) => {
    const { [axis]: _, ...others } = ui.brushes;
    setUi({ brushes: range === undefined ? others : { ...others, [axis]: range } });
  },
  hover: (hovered) => {
    if (state?.hovered !== hovered) change({ hovered });
  },
  openTrial: (number) => void attempt(host.openTrial(number)),
  apply: (number) => void apply(number),
  resume: () => void attempt(host.resume()),
  stop: () => void attempt(host.stop()),
  openSource: () => void attempt(host.openSource()),
  dismiss: () => change({ error: undefined }),
  retry: () => {
    fatal = undefined;
    state = undefined;
    redraw();
    void load();
  },
};

render(loading(text.loading), root);
void load();
