/** Runs and checkpoints that are dragged here from the side bar. VS Code lets them through while Shift is held. */

const VIEWS = ["layerwise.runs", "layerwise.checkpoints"];
/** VS Code's own type: JSON with the handles of the tree's items, which hold their ids. */
const types = VIEWS.map((view) => `application/vnd.code.tree.${view}`);

/** Calls `use` with the ids of the runs that are dropped. */
export function onRunsDropped(use: (ids: string[]) => void): void {
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.some((type) => types.includes(type))) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    const texts = types.map((type) => event.dataTransfer?.getData(type) ?? "").filter((text) => text !== "");
    if (texts.length === 0) return;
    event.preventDefault();
    use([...new Set(texts.flatMap(runsIn))]);
  });
}

/** The run's folder is in the id of its item, and in those of its checkpoints. */
function runsIn(text: string): string[] {
  try {
    const { itemHandles } = JSON.parse(text) as { itemHandles?: unknown };
    if (!Array.isArray(itemHandles)) return [];
    return itemHandles.flatMap((handle) => /[\\/]runs[\\/]([\w.-]+)/.exec(String(handle))?.[1] ?? []);
  } catch {
    return [];
  }
}
