/** The architecture panel: what the models of a file are made of. */
import { html, render } from "lit";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  ArchitectureViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/architecture.css";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/kit.ts";
import { strings } from "../shared/strings.ts";
import {
  type Actions,
  type ArchitectureState,
  type ArchitectureUi,
  defaultUi,
  panel,
  shownModel,
} from "./view.ts";

const root = document.createElement("main");
document.body.append(root);

let ui = restored(defaultUi, savedState<ArchitectureViewState>()?.ui);
let state: ArchitectureState | undefined;

const host = connect<ArchitectureHostMethods, ArchitectureViewMethods>({ snapshot: show });

const redraw = everyFrame(() => {
  if (!state) return;
  render(panel(state, actions), root);
  document.body.dataset["ready"] = "1";
});

function show(snapshot: ArchitectureSnapshot): void {
  state = { snapshot, ui, notice: undefined };
  save(snapshot);
  redraw();
}

function save(snapshot: ArchitectureSnapshot): void {
  const model = shownModel(snapshot).model?.name ?? snapshot.model;
  saveState({ file: snapshot.file, ...(model === undefined ? {} : { model }), ui });
}

function setUi(change: Partial<ArchitectureUi>): void {
  ui = { ...ui, ...change };
  if (!state) return;
  state.ui = ui;
  save(state.snapshot);
  redraw();
}

function setNotice(notice: string | undefined): void {
  if (state) state.notice = notice;
  redraw();
}

function tell(call: Promise<void>): void {
  call.catch((error: unknown) => setNotice(messageOf(error)));
}

const actions: Actions = {
  openSource: (file, line, column) => tell(host.openSource(file, line, column)),
  openLayer: ({ position }) => {
    if (position) tell(host.openSource(position.file, position.line, position.column));
  },
  toggleLayer: (path) => {
    const folded = ui.collapsed.includes(path);
    setUi({ collapsed: folded ? ui.collapsed.filter((other) => other !== path) : [...ui.collapsed, path] });
  },
  setView: (view) => setUi({ view }),
  select: (model) => tell(host.select(model)),
  train: (exportName) => tell(host.train(exportName)),
  dismissNotice: () => setNotice(undefined),
};

render(loading(strings.architecture.loading), root);
host.ready().then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root));
