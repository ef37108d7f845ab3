/** The form that puts a file of data into a model: shows the code of each choice before it is written. */
import { render } from "lit";
import type {
  DataFileHostMethods,
  DataFileSnapshot,
  DataFileViewMethods,
  DataFileViewState,
  DataUse,
} from "../../extension/protocol/data/dataFile.ts";
import "../../media/styles/dataFile.css";
import { Announcer } from "../shared/announcer.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { form, unusable, type Actions, type FormState } from "./view.ts";

const text = strings.dataFile;
const root = document.createElement("main");
const announcer = new Announcer(1000);
document.body.append(root, announcer.element);

let state: FormState | undefined;
let fatal: string | undefined;

const host = connect<DataFileHostMethods, DataFileViewMethods>({});

const redraw = everyFrame(() => {
  if (fatal !== undefined) render(unusable(fatal, actions), root);
  else render(state ? form(state, actions) : loading(text.loading), root);
  if (fatal ?? state) document.body.dataset["ready"] = "1";
});

async function load(): Promise<void> {
  try {
    show(await host.ready());
  } catch (error) {
    fatal = messageOf(error);
    redraw();
  }
}

function show(snapshot: DataFileSnapshot): void {
  fatal = undefined;
  const saved = savedState<DataFileViewState>();
  const kept = saved?.path === snapshot.data.path ? (saved.ui as Partial<DataUse> | undefined) : undefined;
  state = { snapshot, use: { ...snapshot.use, ...kept }, written: undefined, error: undefined };
  void preview();
}

/** Number of the newest preview: answers to older ones are dropped. */
let newest = 0;

async function preview(): Promise<void> {
  if (!state) return;
  const mine = ++newest;
  saveState({ path: state.snapshot.data.path, ui: state.use });
  try {
    const written = await host.code(state.use);
    if (mine === newest) change({ written, error: undefined });
  } catch (error) {
    if (mine === newest) change({ error: messageOf(error) });
  }
}

async function save({ use, written }: FormState): Promise<void> {
  await host.save(use);
  if (use.into.kind === "new") {
    announcer.sayNow(text.created(written?.path ?? use.into.name));
    // The name is taken now: the form suggests the next free one, and lists the new file.
    const snapshot = await host.ready();
    if (state) change({ snapshot, use: { ...state.use, into: snapshot.use.into } });
  }
  await preview();
}

function change(part: Partial<FormState>): void {
  if (!state) return;
  state = { ...state, ...part };
  redraw();
}

const actions: Actions = {
  setUse: (part) => {
    if (!state) return;
    change({ use: { ...state.use, ...part } });
    void preview();
  },
  save: () => {
    if (!state) return;
    save(state).catch((error: unknown) => {
      change({ error: messageOf(error) });
      announcer.sayNow(messageOf(error));
    });
  },
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
