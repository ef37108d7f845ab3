/** The architecture panel: the models of a file, their layers and diagram. */
import { html, render } from "lit";
import { modelTitle } from "../../extension/protocol/modelForms.ts";
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  ArchitectureViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/architecture.css";
import { Announcer } from "../shared/announcer.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, restored, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/widgets.ts";
import { baseName } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { onThemeChange } from "../shared/theme.ts";
import type { Actions } from "./actions.ts";
import { comparedModel } from "./comparison.ts";
import { DiagramState } from "../diagram/diagramState.ts";
import { boxActions, toggled } from "../diagram/boxActions.ts";
import { containersOf } from "../../extension/diagram/flow.ts";
import { type ArchitectureState, type ArchitectureUi, defaultUi, drawnModel, shownModel } from "./state.ts";
import { HEATS, isWatched } from "./heat.ts";
import { ShownTraining } from "./training.ts";
import { panel } from "./view.ts";

/** Performance mark for a file's first diagram on the screen; tests measure it. */
const DRAWN = "diagram drawn";
let marked = false;
/** Milliseconds before an empty panel, or one that still shows the last file, shows that it is busy. */
const PATIENCE = 120;

const root = document.createElement("main");
const announcer = new Announcer(300);
document.body.append(root, announcer.element);

const saved = savedState<ArchitectureViewState>();
let ui = restored(defaultUi, saved?.ui);
/** The file that {@link ui} belongs to. */
let file = saved?.file;
let state: ArchitectureState | undefined;
/** The diagram's viewport. */
let viewport: Element | undefined;

const host = connect<ArchitectureHostMethods, ArchitectureViewMethods>({
  snapshot: show,
  cursor: (line) => selectLine(line),
});

function draw(): void {
  if (!state || patient) return;
  const { snapshot } = state;
  const drawn = drawnModel(snapshot).model;
  const diff = comparedModel(snapshot, drawn);
  if (ui.view === "diagram" && drawn) {
    const rooms = ui.pictures ? training.boxPictures.rooms : undefined;
    state.diagram.update(diff?.model ?? drawn, ui, diff, snapshot.layout, rooms);
  }
  render(panel(state, actions), root);
  document.body.dataset["ready"] = "1";
  if (marked || ui.view !== "diagram" || diagram.camera === undefined) return;
  marked = true;
  performance.mark(DRAWN);
}

const redraw = everyFrame(draw);

/** Draws the first diagram without waiting for a frame, so that the next frame shows it in place. */
function drawFirst(): void {
  draw();
  // A ResizeObserver would report the size a frame later.
  if (viewport !== undefined && diagram.drawn !== undefined)
    diagram.resize({ width: viewport.clientWidth, height: viewport.clientHeight });
}

const diagram = new DiagramState<ModelReport>(redraw);
const training = new ShownTraining(host, redraw);

/** How often a training's layers are read, in milliseconds. */
const LAYERS_INTERVAL = 1000;

function refreshTraining(): void {
  training.refresh().catch((error: unknown) => setNotice(messageOf(error)));
}

setInterval(refreshTraining, LAYERS_INTERVAL);
onThemeChange(() => {
  training.themeChanged();
  redraw();
});
/** Switches to another file, keeping only the kind of view. */
function switchFile(other: string): void {
  if (file !== undefined && file !== other) {
    ui = { ...defaultUi, view: ui.view, heat: ui.heat, pictures: ui.pictures };
    diagram.forget();
    marked = false;
  }
  file = other;
  document.title = strings.architecture.title(baseName(other));
}

let waiting: ReturnType<typeof setTimeout> | undefined;
/** While it is, nothing is drawn, whatever else changes: the last model stays. */
let patient = false;

function show(snapshot: ArchitectureSnapshot): void {
  switchFile(snapshot.file);
  // Show a new measurement at once.
  const fresh = snapshot.profile?.profile;
  if (fresh !== undefined && state?.snapshot.profile?.doing !== undefined)
    ui = { ...ui, view: "diagram", heat: "time" };
  if (training.show(snapshot)) {
    // A training is chosen for its figures.
    if (!HEATS.some((heat) => heat === ui.heat && isWatched(heat))) ui = { ...ui, heat: "gradNorm" };
    refreshTraining();
  }
  state = { snapshot, ui, diagram, training, round: state?.round ?? 0, notice: undefined };
  save(snapshot);
  // A build that takes a moment needs no busy message.
  if (snapshot.report === undefined && snapshot.busy) {
    patient ||= waiting === undefined;
    waiting ??= setTimeout(() => {
      patient = false;
      redraw();
    }, PATIENCE);
    return;
  }
  clearTimeout(waiting);
  waiting = undefined;
  patient = false;
  if (ui.view === "diagram" && diagram.drawn === undefined) drawFirst();
  else redraw();
}

const titleOf = (model: ModelReport | undefined): string | undefined => model && modelTitle(model);

function save(snapshot: ArchitectureSnapshot): void {
  const model = titleOf(shownModel(snapshot).model) ?? snapshot.model;
  const { locked = false } = snapshot;
  saveState({ file: snapshot.file, ...(model === undefined ? {} : { model }), locked, ui });
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

function reportFailure(call: Promise<void>): void {
  call.catch((error: unknown) => setNotice(messageOf(error)));
}

/** Calls a method of the host that may ask the user to choose. */
function choose(call: Promise<void>): void {
  reportFailure(
    call.finally(() => {
      if (state) state.round++;
      redraw();
    }),
  );
}

/** Shows the selected box in the list, and announces it. */
function selected(id: string): void {
  if (id === "") return;
  // After the redraw, which is already scheduled.
  requestAnimationFrame(showSelectedRow);
  const box = diagram.drawn?.boxes.get(id);
  if (box === undefined) return;
  const row = box.node.kind === "module" ? diagram.drawn?.rows.get(box.node.path) : undefined;
  announcer.say(
    strings.architecture.selectedBox(
      box.node.name,
      row?.className ?? "",
      row?.outputShape ?? box.node.shape ?? "",
    ),
  );
}

/** Scrolls only the list beside the diagram, not the panel. */
function showSelectedRow(): void {
  const place = root.querySelector(".outline-place");
  const row = place?.querySelector(".selected");
  if (!place || !row) return;
  const [outer, inner] = [place.getBoundingClientRect(), row.getBoundingClientRect()];
  // The table's head is sticky.
  const top = outer.top + inner.height;
  if (inner.top < top) place.scrollTop -= top - inner.top;
  else if (inner.bottom > outer.bottom) place.scrollTop += inner.bottom - outer.bottom;
}

/** Reveals a row of the summary and focuses it. */
function showRow(path: string): void {
  setUi({ collapsed: ui.collapsed.filter((outer) => !path.startsWith(`${outer}.`)) });
  requestAnimationFrame(() => {
    const row = root.querySelector(`.layers tr[title="${CSS.escape(path)}"]`);
    row?.scrollIntoView({ block: "center" });
    row?.querySelector<HTMLElement>(".layer-link")?.focus({ preventScroll: true });
  });
}

/** The row of a box, or of the module that contains an operation. */
function rowOf(id: string): SummaryRow | undefined {
  const node = diagram.drawn?.boxes.get(id)?.node;
  return node && diagram.drawn?.rows.get(node.path);
}

/** Selects the box of a module, opening its containers unless a folded run represents it. */
function selectPath(path: string): void {
  if (ui.view !== "diagram") return showRow(path);
  const id = diagram.boxOf(path);
  if (id === undefined) return;
  const hidden = containersOf(id).filter((outer) => diagram.visible(outer) === outer);
  const opened = hidden.reduce((list, outer) => toggled(list, outer, true), ui.opened);
  setUi({ opened, closed: ui.closed.filter((outer) => !hidden.includes(outer)) });
  boxes.selectBox(diagram.visible(id) === id || hidden.length > 0 ? id : diagram.visible(id));
}

function selectLine(line: number): void {
  const rows = state && drawnModel(state.snapshot).model?.rows;
  const row = rows?.find(({ path, position }) => path !== "" && position?.line === line);
  if (row && ui.view === "diagram") selectPath(row.path);
}

const boxes = boxActions({
  root,
  diagram,
  ui: () => ui,
  setUi,
  redraw,
  selected,
  saveImage: (name, format, content) => host.saveImage(name, format, content),
  reportFailure,
});

const actions: Actions = {
  ...boxes,
  selectPath,
  openBox: (id) => {
    const row = rowOf(id);
    if (row) actions.openLayer(row);
  },
  revealBox: (id) => {
    const position = rowOf(id)?.position;
    if (position) reportFailure(host.revealSource(position.file, position.line, position.column));
  },
  setHeat: (heat) => setUi({ heat }),
  compare: (base, of) => choose(host.compare(base, of)),
  endComparison: () => reportFailure(host.endComparison()),
  profile: (model) => reportFailure(host.profile(model)),
  endProfile: () => reportFailure(host.endProfile()),
  lock: (locked) => reportFailure(host.lock(locked)),
  chooseWeights: (id) => choose(host.chooseWeights(id)),
  chooseTraining: (id) => choose(host.chooseTraining(id)),
  moveTo: (step) => {
    training.step = step;
    reportFailure(training.pictures.show(step));
    redraw();
  },
  showPictures: (pictures) => setUi({ pictures }),
  openPicture: (path, step) => reportFailure(host.openPicture(path, step)),
  viewport: (element) => {
    viewport = element;
    boxes.viewport(element);
  },
  openSource: (file, line, column) => reportFailure(host.openSource(file, line, column)),
  openLayer: ({ position }) => {
    if (position) reportFailure(host.openSource(position.file, position.line, position.column));
  },
  toggleLayer: (path) => {
    const folded = ui.collapsed.includes(path);
    setUi({ collapsed: folded ? ui.collapsed.filter((other) => other !== path) : [...ui.collapsed, path] });
  },
  setView: (view) => setUi({ view }),
  select: (model) => reportFailure(host.select(model)),
  build: () => reportFailure(host.build()),
  manageTrust: () => reportFailure(host.manageTrust()),
  train: (exportName) => reportFailure(host.train(exportName)),
  showData: (exportName) => reportFailure(host.showData(exportName)),
  dismissNotice: () => setNotice(undefined),
};

// A snapshot that arrives in a moment needs no loading message.
setTimeout(() => {
  if (state === undefined && root.childElementCount === 0)
    render(loading(strings.architecture.loading), root);
}, PATIENCE);
host
  .ready(diagram.look(ui))
  .then(show, (error: unknown) => render(html`<p class="notice">${messageOf(error)}</p>`, root))
  // Later changes are laid out here, so start the engine now.
  .finally(() => requestIdleCallback(() => diagram.warmUp()));
