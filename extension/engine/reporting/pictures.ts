import path from "node:path";
import { runPathSync } from "../../files/runFiles.ts";
import { writePng } from "../../formats/images/png.ts";
import { setTensorFiles } from "../../nn/files.ts";
import { PICTURES_FOLDER } from "../../protocol/run.ts";
import { FILES } from "../host/userFiles.ts";

/** Pictures of one run that are kept: a drawing in every step must not fill the disk. */
const MAX_PICTURES = 500;

/**
 * From now on, what user code draws with `saveImage` is kept in the run directory as well, by its epoch: the file that
 * it names is often the same each time.
 * @param epoch Answers the epoch under way, counted from 1, or that is through
 */
export function keepPictures(directory: string, epoch: () => number, warn: (text: string) => void): void {
  const kept = new Set<string>();
  setTensorFiles({
    ...FILES,
    writeImage(file, image) {
      FILES.writeImage(file, image);
      const word = path.basename(file, path.extname(file)).replaceAll(/[^\w.-]/g, "_");
      const name = `epoch-${String(epoch()).padStart(5, "0")}-${word}.png`;
      if (kept.size >= MAX_PICTURES && !kept.has(name)) {
        warn(`The run directory has ${MAX_PICTURES} pictures: later ones are not kept there.`);
        return;
      }
      kept.add(name);
      try {
        writePng(runPathSync(directory, PICTURES_FOLDER, name), image);
      } catch (error) {
        // The user's own file, the requested one, is written already.
        warn(`A picture can't be kept: ${String(error)}`);
      }
    },
  });
}
