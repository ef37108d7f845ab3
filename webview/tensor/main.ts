/** The viewer of one tensor: requests its visible values from the host. */
import type {
  TensorHostMethods,
  TensorSnapshot,
  TensorViewMethods,
  TensorViewState,
} from "../../extension/protocol/tensorFile.ts";
import "../../media/styles/tensor.css";
import { connect, messageOf, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import { Blocks } from "./blocks.ts";
import { isVisible, revealing, ROW, valueText } from "./grid.ts";
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
const host = connect<TensorHostMethods, TensorViewMethods>({ changed: () => void page.load() });
const blocks = new Blocks(
  (window) => host.window(window),
  () => {
    page.redraw();
    announceAwaited();
  },
  (error) => page.change({ error: messageOf(error) }),
);

const page = new Page<TensorState>({
  announceEvery: 300,
  loading: text.loading,
  load,
  view: (state) => viewer(state, actions),
  failed: (error) => unreadable(messageOf(error), actions),
  drawn: () => measure(),
});

/** Number of the newest load: answers to older ones are dropped. */
let newest = 0;

async function load(): Promise<void> {
  const mine = ++newest;
  const tensor = await host.ready();
  if (mine !== newest) return;
  blocks.clear();
  show(tensor);
  const statistics = await host.statistics();
  if (mine === newest) page.change({ statistics });
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
  page.show({
    tensor,
    ui,
    blocks,
    viewport: { top: 0, left: 0, width: 800, height: 400 },
    statistics: undefined,
    note: undefined,
    error: undefined,
  });
  save();
}

function save(): void {
  if (!page.state) return;
  const { tensor, ui } = page.state;
  saveState({ ...(tensor.file === undefined ? {} : { file: tensor.file, name: tensor.name }), ui });
}

const gridElement = (): HTMLElement | null => document.querySelector(".grid");

/**
 * The grid's size is known once it is rendered, and changes with the panel's and with what is below it. A focused cell that was
 * visible stays so.
 */
function measure(): void {
  const grid = gridElement();
  if (!grid || !page.state) return;
  const { viewport, ui } = page.state;
  const { clientWidth: width, clientHeight: height } = grid;
  const resized = viewport.width !== width || viewport.height !== height;
  const follows = resized && isVisible(page.state, ui.cell);
  if (follows) scroll(grid, revealing({ ...page.state, viewport: { ...viewport, width, height } }, ui.cell));
  const { scrollTop: top, scrollLeft: left } = grid;
  if (resized || viewport.top !== top || viewport.left !== left)
    page.change({ viewport: { width, height, top, left } });
}

const scroll = (grid: HTMLElement, { top, left }: { top: number; left: number }): void =>
  void Object.assign(grid, { scrollTop: top, scrollLeft: left });

addEventListener("resize", measure);

function setUi(part: Partial<TensorUi>): void {
  if (!page.state) return;
  page.change({ ui: { ...page.state.ui, ...part } });
  save();
}

function setSlice(slice: Slice): void {
  if (!page.state) return;
  const { cell } = page.state.ui;
  blocks.show(slice);
  const kept = fittingCell(cell, page.state.tensor.shape, slice);
  setUi({ slice, cell: kept, anchor: kept });
}

/** Moves the focus, and the selection's end with it; without `extend`, the selection is the cell. */
function focus(cell: Cell, extend: boolean): void {
  if (!page.state) return;
  setUi({ cell, ...(extend ? {} : { anchor: cell }) });
  const grid = gridElement();
  if (grid) scroll(grid, revealing(page.state, cell));
  measure();
  awaited = cell;
  announceAwaited();
}

/** The cell with the focus, until its value is loaded and announced. */
let awaited: Cell | undefined;

function announceAwaited(): void {
  // A click or another slice has moved the focus.
  if (page.state?.ui.cell !== awaited) awaited = undefined;
  if (awaited === undefined) return;
  const { row, column } = awaited;
  const value = blocks.value(row, column);
  if (value === undefined) return;
  awaited = undefined;
  page.announcer.say(text.cell(row, column, valueText(value, false)));
}

function key(event: KeyboardEvent): void {
  if (!page.state) return;
  const { tensor, ui, viewport } = page.state;
  const [rows, columns] = [rowsOf(tensor.shape, ui.slice), columnsOf(tensor.shape, ui.slice)];
  const command = event.ctrlKey || event.metaKey;
  const letter = event.key.toLowerCase();
  const pageRows = Math.max(1, Math.floor(viewport.height / ROW) - 2);
  const to = moved(event, ui.cell, { rows, columns, page: pageRows });
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
  if (!target || !page.state) return;
  const cell = { row: Number(target.dataset["row"]), column: Number(target.dataset["column"]) };
  const { cell: now } = page.state.ui;
  if (!begins && now.row === cell.row && now.column === cell.column) return;
  setUi({ cell, ...(begins && !event.shiftKey ? { anchor: cell } : {}) });
}

/** @param whole The whole slice, if only one cell is selected */
async function copy(whole: boolean): Promise<void> {
  if (!page.state) return;
  const { tensor, ui } = page.state;
  const { top, left, rows, columns } = selectionOf(ui);
  const all = whole && rows * columns === 1;
  page.change({ note: text.copying });
  try {
    const copied = await host.copy({
      ...ui.slice,
      row: all ? 0 : top,
      column: all ? 0 : left,
      rows: all ? rowsOf(tensor.shape, ui.slice) : rows,
      columns: all ? columnsOf(tensor.shape, ui.slice) : columns,
    });
    page.change({ note: text.copied(copied) });
  } catch (error) {
    page.change({ note: undefined, error: messageOf(error) });
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
    page.change({ error: undefined });
  },
  retry: () => void page.retry(),
};

void page.load();
