/** The viewer of one tensor: requests its visible values from the host. */
import { render } from "lit";
import type {
  TensorHostMethods,
  TensorSnapshot,
  TensorViewMethods,
  TensorViewState,
} from "../../extension/protocol/tensorFile.ts";
import "../../media/styles/tensor.css";
import { Announcer } from "../shared/announcer.ts";
import { everyFrame } from "../shared/frame.ts";
import { connect, messageOf, savedState, saveState } from "../shared/host.ts";
import { loading } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { Blocks } from "./blocks.ts";
import { revealing, ROW, valueText } from "./grid.ts";
import { columnsOf, fittingSlice, rowsOf, type Slice } from "./slice.ts";
import {
  fittingCell,
  moved,
  selectionOf,
  type Actions,
  type Cell,
  type TensorState,
  type TensorUi,
} from "./state.ts";
import { unreadable, viewer } from "./view.ts";

const text = strings.tensor;
const root = document.createElement("main");
const announcer = new Announcer(300);
document.body.append(root, announcer.element);

let state: TensorState | undefined;
let fatal: string | undefined;

const host = connect<TensorHostMethods, TensorViewMethods>({ changed: () => void load() });
const blocks = new Blocks(
  (window) => host.window(window),
  () => {
    redraw();
    announceAwaited();
  },
  (error) => change({ error: messageOf(error) }),
);

const redraw = everyFrame(() => {
  if (fatal !== undefined) render(unreadable(fatal, actions), root);
  else render(state ? viewer(state, actions) : loading(text.loading), root);
  if (fatal ?? state) document.body.dataset["ready"] = "1";
  measure();
});

function change(part: Partial<TensorState>): void {
  if (!state) return;
  state = { ...state, ...part };
  redraw();
}

async function load(): Promise<void> {
  try {
    const tensor = await host.ready();
    fatal = undefined;
    blocks.clear();
    show(tensor);
    change({ statistics: await host.statistics() });
  } catch (error) {
    fatal = messageOf(error);
    redraw();
  }
}

function show(tensor: TensorSnapshot): void {
  const saved = (savedState<TensorViewState>()?.ui ?? {}) as Partial<TensorUi>;
  const slice = fittingSlice(saved.slice, tensor.shape);
  const cell = fittingCell(saved.cell, tensor.shape, slice);
  const ui = {
    slice,
    cell,
    anchor: cell,
    colours: saved.colours !== false,
    details: saved.details !== false,
  };
  blocks.show(slice);
  state = {
    tensor,
    ui,
    blocks,
    viewport: { top: 0, left: 0, width: 800, height: 400 },
    statistics: undefined,
    note: undefined,
    error: undefined,
  };
  save();
  redraw();
}

function save(): void {
  if (!state) return;
  const { tensor, ui } = state;
  saveState({ ...(tensor.file === undefined ? {} : { file: tensor.file, name: tensor.name }), ui });
}

const gridElement = (): HTMLElement | null => document.querySelector(".grid");

/** The grid's size is known once it is rendered, and changes with the panel's. */
function measure(): void {
  const grid = gridElement();
  if (!grid || !state) return;
  const { viewport } = state;
  const { clientWidth: width, clientHeight: height, scrollTop: top, scrollLeft: left } = grid;
  if (
    viewport.width === width &&
    viewport.height === height &&
    viewport.top === top &&
    viewport.left === left
  )
    return;
  change({ viewport: { width, height, top, left } });
}
addEventListener("resize", measure);

function setUi(part: Partial<TensorUi>): void {
  if (!state) return;
  change({ ui: { ...state.ui, ...part } });
  save();
}

function setSlice(slice: Slice): void {
  if (!state) return;
  const { cell } = state.ui;
  blocks.show(slice);
  const kept = fittingCell(cell, state.tensor.shape, slice);
  setUi({ slice, cell: kept, anchor: kept });
}

/** Moves the focus, and the selection's end with it; without `extend`, the selection is the cell. */
function focus(cell: Cell, extend: boolean): void {
  if (!state) return;
  setUi({ cell, ...(extend ? {} : { anchor: cell }) });
  const grid = gridElement();
  const { top, left } = revealing(state, cell);
  if (grid) Object.assign(grid, { scrollTop: top, scrollLeft: left });
  measure();
  awaited = cell;
  announceAwaited();
}

/** The cell with the focus, until its value is loaded and announced. */
let awaited: Cell | undefined;

function announceAwaited(): void {
  // A click or another slice has moved the focus.
  if (state?.ui.cell !== awaited) awaited = undefined;
  if (awaited === undefined) return;
  const { row, column } = awaited;
  const value = blocks.value(row, column);
  if (value === undefined) return;
  awaited = undefined;
  announcer.say(text.cell(row, column, valueText(value, false)));
}

function key(event: KeyboardEvent): void {
  if (!state) return;
  const { tensor, ui, viewport } = state;
  const [rows, columns] = [rowsOf(tensor.shape, ui.slice), columnsOf(tensor.shape, ui.slice)];
  const command = event.ctrlKey || event.metaKey;
  const letter = event.key.toLowerCase();
  const page = Math.max(1, Math.floor(viewport.height / ROW) - 2);
  const to = moved(event, ui.cell, { rows, columns, page });
  if (to !== undefined) focus(to, event.shiftKey);
  else if (command && letter === "a")
    setUi({ anchor: { row: 0, column: 0 }, cell: { row: rows - 1, column: columns - 1 } });
  else if (command && letter === "c") void copy(false);
  else if (event.key === "Escape") setUi({ anchor: ui.cell });
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function point(event: PointerEvent, begins: boolean): void {
  if (event.buttons !== 1) return;
  const target = (event.target as Element).closest<HTMLElement>(".cell");
  if (!target || !state) return;
  const cell = { row: Number(target.dataset["row"]), column: Number(target.dataset["column"]) };
  const { cell: now } = state.ui;
  if (!begins && now.row === cell.row && now.column === cell.column) return;
  setUi({ cell, ...(begins && !event.shiftKey ? { anchor: cell } : {}) });
}

/** @param whole The whole slice, if only one cell is selected */
async function copy(whole: boolean): Promise<void> {
  if (!state) return;
  const { tensor, ui } = state;
  const { top, left, rows, columns } = selectionOf(ui);
  const all = whole && rows * columns === 1;
  change({ note: text.copying });
  try {
    const copied = await host.copy({
      ...ui.slice,
      row: all ? 0 : top,
      column: all ? 0 : left,
      rows: all ? rowsOf(tensor.shape, ui.slice) : rows,
      columns: all ? columnsOf(tensor.shape, ui.slice) : columns,
    });
    change({ note: text.copied(copied) });
  } catch (error) {
    change({ note: undefined, error: messageOf(error) });
  }
}

const actions: Actions = {
  setUi,
  setSlice,
  scrolled: () => measure(),
  key,
  point,
  copy: () => void copy(true),
  dismiss: () => {
    blocks.retry();
    change({ error: undefined });
  },
  retry: () => {
    fatal = undefined;
    state = undefined;
    redraw();
    void load();
  },
};

render(loading(text.loading), root);
void load();
