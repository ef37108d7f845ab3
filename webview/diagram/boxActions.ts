/** Actions of the controls of every diagram. */
import { modelTitle } from "../../extension/protocol/modelForms.ts";
import type { ImageFormat } from "../../extension/protocol/views.ts";
import type { DiagramModel, DiagramState, DiagramUi } from "./diagramState.ts";
import { pngOf, svgOf } from "./exportImage.ts";
import type { DiagramActions } from "./frame.ts";

export interface DiagramPage<Model extends DiagramModel> {
  root: Element;
  diagram: DiagramState<Model>;
  ui: () => DiagramUi;
  setUi: (change: Partial<DiagramUi>) => void;
  redraw: () => void;
  /** Called when another box was selected, "" for none. */
  selected: (id: string) => void;
  saveImage: (name: string, format: ImageFormat, content: string) => Promise<void>;
  reportFailure: (call: Promise<void>) => void;
}

/** Adds an item to a list, or removes it. */
export const toggled = (list: readonly string[], item: string, on: boolean): string[] =>
  on ? [...new Set([...list, item])] : list.filter((other) => other !== item);

export function boxActions<Model extends DiagramModel>(
  page: DiagramPage<Model>,
): Omit<DiagramActions, "openBox" | "revealBox"> {
  const { root, diagram, setUi, redraw } = page;
  const sizes = new ResizeObserver(([entry]) => {
    if (entry) diagram.resize(entry.contentRect);
  });
  const selectBox = (id: string): void => {
    if (id === page.ui().selected) return;
    setUi({ selected: id });
    if (id !== "") diagram.reveal(id);
    page.selected(id);
  };
  const exportImage = async (format: ImageFormat): Promise<void> => {
    const picture = root.querySelector(".picture");
    if (picture === null || diagram.drawn === undefined) return;
    const svg = svgOf(picture, diagram.drawn);
    await page.saveImage(modelTitle(diagram.drawn.model), format, format === "svg" ? svg : await pngOf(svg));
  };
  return {
    selectBox,
    toggleBox: (id) => {
      const open = diagram.drawn?.boxes.get(id)?.open === true;
      const { opened, closed } = page.ui();
      setUi({ opened: toggled(opened, id, !open), closed: toggled(closed, id, open) });
    },
    unfoldBox: (id) => {
      const { unfolded } = page.ui();
      setUi({ unfolded: toggled(unfolded, id, !unfolded.includes(id)) });
    },
    openAll: (open) => {
      const all = diagram.containers();
      setUi(open ? { opened: all, closed: [] } : { opened: [], closed: all, unfolded: [] });
    },
    search: (text) => {
      diagram.search = text;
      redraw();
    },
    nextMatch: (step) => {
      const found = [...diagram.matches()];
      const at = found.indexOf(page.ui().selected);
      const next = found.at(at < 0 ? 0 : (at + step) % found.length);
      if (next !== undefined) selectBox(next);
    },
    focusSearch: () => root.querySelector<HTMLInputElement>(".search input")?.focus(),
    exportImage: (format) => page.reportFailure(exportImage(format)),
    viewport: (element) => {
      sizes.disconnect();
      if (element) sizes.observe(element);
    },
  };
}
