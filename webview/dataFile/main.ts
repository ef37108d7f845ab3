/** The form that puts a file of data into a model: shows the code of each choice before it is written. */
import type {
  DataFileHostMethods,
  DataFileSnapshot,
  DataFileViewMethods,
  DataFileViewState,
  DataUse,
} from "../../extension/protocol/data/dataFile.ts";
import "../../media/styles/dataFile.css";
import { connect, messageOf, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import { form, unusable, type Actions, type FormState } from "./view.ts";

const text = strings.dataFile;
const host = connect<DataFileHostMethods, DataFileViewMethods>({});

const page = new Page<FormState>({
  announceEvery: 1000,
  loading: text.loading,
  load: async () => show(await host.ready()),
  view: (state) => form(state, actions),
  failed: (error) => unusable(messageOf(error), actions),
});

function show(snapshot: DataFileSnapshot): void {
  const saved = savedState<DataFileViewState>();
  const kept = saved?.path === snapshot.data.path ? (saved.ui as Partial<DataUse> | undefined) : undefined;
  page.show({ snapshot, use: { ...snapshot.use, ...kept }, written: undefined, error: undefined });
  void preview();
}

/** Number of the newest preview: answers to older ones are dropped. */
let newest = 0;

async function preview(): Promise<void> {
  if (!page.state) return;
  const mine = ++newest;
  saveState({ path: page.state.snapshot.data.path, ui: page.state.use });
  try {
    const written = await host.code(page.state.use);
    if (mine === newest) page.change({ written, error: undefined });
  } catch (error) {
    if (mine === newest) page.change({ error: messageOf(error) });
  }
}

async function save({ use, written }: FormState): Promise<void> {
  await host.save(use);
  if (use.into.kind === "new") {
    page.announcer.sayNow(text.created(written?.path ?? use.into.name));
    // The name is taken now: the form suggests the next free one, and lists the new file.
    const snapshot = await host.ready();
    if (page.state) page.change({ snapshot, use: { ...page.state.use, into: snapshot.use.into } });
  }
  await preview();
}

const actions: Actions = {
  setUse: (part) => {
    if (!page.state) return;
    page.change({ use: { ...page.state.use, ...part } });
    void preview();
  },
  save: () => {
    if (!page.state) return;
    save(page.state).catch((error: unknown) => {
      page.change({ error: messageOf(error) });
      page.announcer.sayNow(messageOf(error));
    });
  },
  dismiss: () => page.change({ error: undefined }),
  retry: () => void page.retry(),
};

void page.load();
