/** The diagram's state across snapshots: layout, camera, selection. */
import { modelTitle } from "../../extension/protocol/modelForms.ts";
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";
import { type ModelDiff, shownEdgeChanges } from "../architecture/diff.ts";
import * as cameras from "./camera.ts";
import type { DiagramLook, FlowLayout } from "../../extension/protocol/flow.ts";
import type { Room } from "../../extension/diagram/boxText.ts";
import { containersOf, type ShownBox } from "../../extension/diagram/flow.ts";
import { graphOf, type Layout, layoutOf, type Sketch, sketchOf } from "../../extension/diagram/layout.ts";
import type { GivenLayout } from "../../extension/protocol/views.ts";
import { LayoutEngine } from "./layoutWorker.ts";
import { measuredWidths } from "./textWidths.ts";

/** The part that the user sets; saved with the panel's state. */
export interface DiagramUi extends Pick<DiagramLook, "opened" | "closed" | "unfolded"> {
  /** Id of the selected box; "" for none. */
  selected: string;
}

/** The parts of a model that its diagram is drawn from. */
export type DiagramModel = Pick<ModelReport, "name" | "form" | "rows" | "flow">;

/** A diagram with its layout, ready to draw. */
export interface Drawn<Model extends DiagramModel = DiagramModel> extends Sketch {
  model: Model;
  layout: Layout;
  rows: ReadonlyMap<string, SummaryRow>;
  /** The difference, while two versions are compared. */
  diff: ModelDiff | undefined;
  boxChanges: ModelDiff["boxes"];
  edgeChanges: ModelDiff["edges"];
}

/** Space that boxes need beneath their text. */
export interface Rooms {
  /** Changes with the sizes. */
  readonly key: string;
  readonly rooms: (box: ShownBox) => Room | undefined;
}

/** Boxes that are opened at once. */
const MOST_OPENED = 1500;

const rowsOf = ({ rows }: DiagramModel): Drawn["rows"] => new Map(rows.map((row) => [row.path, row]));

/** Whether the host's layout fits the visible boxes. */
function fits({ look, places }: GivenLayout, own: DiagramLook, { boxes }: Sketch): boolean {
  const all = ({ font, opened, closed, unfolded }: DiagramLook): string =>
    JSON.stringify([font, opened, closed, unfolded]);
  return (
    all(look) === all(own) &&
    places.boxes.length === boxes.size &&
    places.boxes.every(({ id }) => boxes.has(id))
  );
}

export class DiagramState<Model extends DiagramModel = DiagramModel> {
  drawn: Drawn<Model> | undefined;
  camera: cameras.Camera | undefined;
  search = "";
  /** Why the layout failed. */
  error: string | undefined;
  readonly #engine = new LayoutEngine();
  #window: cameras.Size = { width: 0, height: 0 };
  #asked = "";
  /** The inputs of {@link #asked}: each frame of a pan passes the same ones. */
  #askedFor: readonly unknown[] = [];
  /** Incremented when a layout in progress becomes obsolete. */
  #turn = 0;
  #running = false;
  #next: (() => Promise<void>) | undefined;
  /** Id of the box to reveal after the next layout. */
  #revealing: string | undefined;
  readonly #redraw: () => void;

  constructor(redraw: () => void) {
    this.#redraw = redraw;
  }

  /** Starts the layout engine before the first layout. */
  warmUp(): void {
    // A broken engine reports its error at the first layout.
    this.#engine.warmUp().catch(() => undefined);
  }

  look({ opened, closed, unfolded }: DiagramUi): DiagramLook {
    return { ...measuredWidths(), opened, closed, unfolded };
  }

  /**
   * Updates the layout if something has changed; the old drawing stays until the new one is ready. The host may have `given`
   * a file's first layout, which is drawn at once.
   */
  update(model: Model, ui: DiagramUi, diff?: ModelDiff, given?: GivenLayout, rooms?: Rooms): void {
    const { flow } = model;
    if (flow === undefined) return;
    const { opened, closed, unfolded } = ui;
    const askedFor = [model, diff, opened, closed, unfolded, rooms?.key];
    if (askedFor.every((one, i) => one === this.#askedFor[i])) return;
    this.#askedFor = askedFor;
    const changes = diff && [...diff.rows, ...diff.boxes];
    const asked = JSON.stringify([
      modelTitle(model),
      flow,
      model.rows,
      opened,
      closed,
      unfolded,
      changes,
      rooms?.key,
    ]);
    if (asked === this.#asked) return;
    this.#asked = asked;
    if (diff === undefined && given !== undefined && rooms === undefined) {
      const look = this.look(ui);
      const rows = rowsOf(model);
      const sketch = sketchOf(flow, rows, look);
      if (fits(given, look, sketch)) {
        this.#giveUp();
        return this.#draw(model, rows, sketch, given.places, ui, diff);
      }
    }
    this.#next = () => this.#place(model, ui, diff, rooms);
    if (!this.#running) void this.#run();
  }

  /** Resets the state for another file. */
  forget(): void {
    this.#giveUp();
    this.drawn = undefined;
    this.camera = undefined;
    this.search = "";
    this.error = undefined;
    this.#asked = "";
    this.#askedFor = [];
    this.#revealing = undefined;
  }

  #giveUp(): void {
    this.#turn++;
    this.#next = undefined;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let job = this.#next; job !== undefined; job = this.#next) {
      this.#next = undefined;
      try {
        await job();
        this.error = undefined;
      } catch (error) {
        this.error = error instanceof Error ? error.message : String(error);
      }
      this.#redraw();
    }
    this.#running = false;
  }

  async #place(
    model: Model,
    ui: DiagramUi,
    diff: ModelDiff | undefined,
    rooms: Rooms | undefined,
  ): Promise<void> {
    const rows = rowsOf(model);
    const look = this.look(ui);
    const sketch = sketchOf(model.flow!, rows, look, (id) => diff?.boxes.get(id) ?? "", rooms?.rooms);
    const turn = this.#turn;
    const places = await this.#engine.place(graphOf(sketch, look));
    if (turn === this.#turn) this.#draw(model, rows, sketch, places, ui, diff);
  }

  #draw(
    model: Model,
    rows: Drawn["rows"],
    sketch: Sketch,
    places: FlowLayout,
    ui: DiagramUi,
    diff: ModelDiff | undefined,
  ): void {
    const layout = layoutOf(places);
    const before = this.drawn;
    const { flow, shown } = sketch;
    const boxChanges = new Map([...(diff?.boxes ?? [])].map(([id, change]) => [flow.idOf(id), change]));
    const edgeChanges =
      diff === undefined ? new Map() : shownEdgeChanges(diff, (id) => shown.visibleIdOf(flow.idOf(id)));
    this.drawn = { ...sketch, model, layout, rows, diff, boxChanges, edgeChanges };
    if (before === undefined || modelTitle(before.model) !== modelTitle(model)) this.camera = undefined;
    else this.#stay(before.layout, layout, ui.selected);
    this.#look();
    if (this.#revealing !== undefined) this.reveal(this.#revealing);
  }

  /** Keeps the selected box, or the one in the middle, at its place on the screen. */
  #stay(before: Layout, now: Layout, selected: string): void {
    if (this.camera === undefined) return;
    const { camera } = this;
    const middle = {
      x: (this.#window.width / 2 - camera.x) / camera.scale,
      y: (this.#window.height / 2 - camera.y) / camera.scale,
    };
    let anchor: string | undefined;
    let nearest = Number.POSITIVE_INFINITY;
    for (const [id, box] of before.boxes) {
      if (!now.boxes.has(id)) continue;
      const distance = id === selected ? -1 : Math.hypot(box.x + box.width / 2 - middle.x, box.y - middle.y);
      if (distance < nearest) [anchor, nearest] = [id, distance];
    }
    if (anchor === undefined) return;
    const [was, is] = [before.boxes.get(anchor)!, now.boxes.get(anchor)!];
    const corner = ({ x, y, width }: cameras.Rectangle): cameras.Point => ({ x: x + width / 2, y });
    this.camera = cameras.following(camera, corner(was), corner(is));
  }

  /** Sets the size of the viewport, whose middle stays the middle. */
  resize({ width, height }: cameras.Size): void {
    const before = this.#window;
    if (width === before.width && height === before.height) return;
    if (this.camera !== undefined && width > 0 && before.width > 0)
      this.camera = cameras.moved(this.camera, (width - before.width) / 2, 0);
    this.#window = { width, height };
    this.#look();
    this.#redraw();
  }

  get window(): cameras.Size {
    return this.#window;
  }

  #look(): void {
    if (this.drawn !== undefined && this.#window.width > 0)
      this.camera ??= cameras.first(this.drawn.layout, this.#window);
  }

  fit(): void {
    if (this.drawn === undefined) return;
    this.camera = cameras.fitted(this.drawn.layout, this.#window);
    this.#redraw();
  }

  zoom(factor: number, at?: cameras.Point): void {
    if (this.camera === undefined) return;
    const middle = { x: this.#window.width / 2, y: this.#window.height / 2 };
    this.camera = cameras.zoomed(this.camera, factor, at ?? middle);
    this.#redraw();
  }

  pan(dx: number, dy: number): void {
    if (this.camera === undefined) return;
    this.camera = cameras.moved(this.camera, dx, dy);
    this.#redraw();
  }

  /** Centres the camera on a point of the diagram. */
  centre({ x, y }: cameras.Point): void {
    if (this.camera === undefined) return;
    const { scale } = this.camera;
    const { width, height } = this.#window;
    this.camera = { scale, x: width / 2 - x * scale, y: height / 2 - y * scale };
    this.#redraw();
  }

  reveal(id: string): void {
    const box = this.drawn?.layout.boxes.get(id);
    this.#revealing = box === undefined ? id : undefined;
    if (box === undefined || this.camera === undefined) return;
    // For an open container, only its head.
    const head = { ...box, height: Math.min(box.height, 60) };
    this.camera = cameras.revealing(this.camera, head, this.#window);
    this.#redraw();
  }

  /** The first box of a module, visible or not. */
  boxOf(path: string): string | undefined {
    return this.drawn?.flow.nodes.find((node) => node.kind === "module" && node.path === path)?.id;
  }

  /** Ids of the boxes that contain others, outer ones first, up to {@link MOST_OPENED}: laying out more is slow. */
  containers(): string[] {
    const sizes = new Map<string, number>();
    for (const { parent } of this.drawn?.flow.nodes ?? [])
      if (parent !== undefined) sizes.set(parent, (sizes.get(parent) ?? 0) + 1);
    const depth = (id: string): number => id.split("/").length;
    let boxes = 0;
    return [...sizes.keys()]
      .sort((a, b) => depth(a) - depth(b))
      .filter((id) => (boxes += sizes.get(id)!) <= MOST_OPENED);
  }

  /** The visible box that is or contains a box. */
  visible(id: string): string {
    return this.drawn?.shown.visibleIdOf(id) ?? id;
  }

  /** Boxes whose name, class or settings contain the searched text. */
  matches(): Set<string> {
    const wanted = this.search.trim().toLowerCase();
    const found = new Set<string>();
    if (wanted === "" || this.drawn === undefined) return found;
    for (const { id, path, name, className = "", kind } of this.drawn.flow.nodes) {
      const row = kind === "module" ? this.drawn.rows.get(path) : undefined;
      const text = `${kind === "module" ? path : name} ${row?.className ?? className} ${row?.detail ?? ""}`;
      if (text.toLowerCase().includes(wanted)) found.add(this.visible(id));
    }
    return found;
  }

  /** The target of an arrow key: along the edges, or the nearest box beside. */
  neighbour(id: string, key: "up" | "down" | "left" | "right"): string | undefined {
    if (this.drawn === undefined) return undefined;
    const { layout, boxes } = this.drawn;
    const from = layout.boxes.get(id);
    if (from === undefined) return boxes.keys().next().value;
    const box = boxes.get(id);
    const parent = containersOf(id).at(-1);
    if (key === "down" && box?.open === true) return box.children[0]?.id;
    if (key === "up" && parent !== undefined && boxes.get(parent)?.children[0]?.id === id) return parent;
    const middle = ({ x, y, width, height }: cameras.Rectangle): cameras.Point => ({
      x: x + width / 2,
      y: y + Math.min(height, 40) / 2,
    });
    const here = middle(from);
    let best: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [other, place] of layout.boxes) {
      if (other === id || id.startsWith(`${other}/`)) continue;
      const there = middle(place);
      const [dx, dy] = [there.x - here.x, there.y - here.y];
      const [ahead, aside] = key === "up" || key === "down" ? [dy, dx] : [dx, dy];
      const forward = key === "up" || key === "left" ? -ahead : ahead;
      if (forward <= 4 || (key === "left" || key === "right" ? Math.abs(aside) > forward * 2 : false))
        continue;
      const cost = forward + Math.abs(aside) * 2;
      if (cost < least) [best, least] = [other, cost];
    }
    return best;
  }
}
