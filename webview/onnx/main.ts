/** The editor of ONNX models: the graph as a diagram, and its tensors. */
import type {
  OnnxHostMethods,
  TensorsViewMethods,
  TensorsViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/onnx.css";
import { arranged } from "../../extension/diagram/containers.ts";
import { boxActions } from "../diagram/boxActions.ts";
import { DiagramState } from "../diagram/diagramState.ts";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import { TensorsController, userError } from "../tensors/controller.ts";
import type { TensorsState } from "../tensors/state.ts";
import { unreadable } from "../tensors/view.ts";
import { defaultUi, diagramModel, type OnnxState, type OnnxUi, type ShownNode } from "./state.ts";
import { type Actions, editor } from "./view.ts";

const saved = savedState<TensorsViewState>()?.ui;
let ui: OnnxUi = restored(defaultUi, saved);
ui = { ...ui, tensors: restored(defaultUi.tensors, ui.tensors) };
let state: OnnxState | undefined;
/** Ids of nodes as the host knows them. */
let recordedIdOf = (id: string): string => id;

const host = connect<OnnxHostMethods, TensorsViewMethods>({
  progress: (share) => tensors.progress(share),
  changed: () => void page.load(),
});

const page = new Page<{ graph: OnnxState; file: TensorsState }>({
  announceEvery: 300,
  loading: strings.onnx.loading,
  load: () => tensors.load(),
  view: ({ graph, file }) => {
    if (ui.view === "diagram") diagram.update(graph.drawn, ui);
    return editor(graph, file, actions, tensors.actions);
  },
  failed: (error) => unreadable(userError(error), tensors.actions),
});
const { announcer, redraw } = page;

const diagram = new DiagramState(redraw);
const tensors = new TensorsController(
  {
    host,
    page,
    read,
    show: (file) => {
      if (state) page.show({ graph: state, file });
    },
    save: (changed) => setUi({ tensors: changed }),
  },
  ui.tensors,
);

async function read(): Promise<Awaited<ReturnType<OnnxHostMethods["ready"]>>> {
  const snapshot = await host.ready();
  const { model } = snapshot;
  const boxes = new Map(model.boxes.map((box) => [box.path, box]));
  recordedIdOf = arranged(model.flow, boxes).recordedIdOf;
  state = {
    model,
    drawn: diagramModel(model, snapshot.tensors.file),
    boxes,
    ui,
    diagram,
    node: undefined,
  };
  if (ui.selected !== "") showNode(ui.selected);
  return snapshot;
}

function setUi(change: Partial<OnnxUi>): void {
  ui = { ...ui, ...change };
  saveState({ ui });
  if (state) state.ui = ui;
  redraw();
}

/** Requests a node's details. */
function showNode(id: string): void {
  const shown: ShownNode = { id };
  const show = (change: Partial<ShownNode>): void => {
    if (state?.node !== shown) return;
    Object.assign(shown, change);
    redraw();
  };
  if (state) state.node = shown;
  host.node(recordedIdOf(id)).then(
    (details) => show({ details }),
    (error: unknown) => show({ error: messageOf(error) }),
  );
}

const actions: Actions = {
  ...boxActions({
    root: document.body,
    diagram,
    ui: () => ui,
    setUi,
    redraw,
    selected: (id) => {
      const box = diagram.drawn?.boxes.get(id)?.node;
      if (box === undefined) return;
      showNode(id);
      const className = diagram.drawn?.rows.get(box.path)?.className ?? "";
      announcer.say(strings.architecture.selectedBox(box.name, className, box.shape ?? ""));
    },
    saveImage: (name, format, content) => host.saveImage(name, format, content),
    reportFailure: (call) => tensors.reportFailure(call),
  }),
  // A node has no source.
  openBox: () => undefined,
  revealBox: () => undefined,
  setView: (view) => setUi({ view }),
};

void page.load().finally(() => requestIdleCallback(() => diagram.warmUp()));
