import { writeOnnx } from "../../formats/onnx/onnxWriter.ts";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { makeFolderSync } from "../../files/folders.ts";
import { readRegularSync } from "../../files/regular.ts";
import { writePng } from "../../formats/images/png.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";
import type { TensorFiles } from "../../nn/files.ts";
import { pretrainedFolder } from "../files/pretrained.ts";
import { loadFile, saveFile } from "../files/tensorFiles.ts";
import { openEvents } from "../files/userEvents.ts";

/** Above the largest vocabularies and their merges. */
const MAX_TEXT = 2 ** 28;

/** Files as they are: what user code reads and writes in a run. */
export const FILES: TensorFiles = {
  save: saveFile,
  load: loadFile,
  writeImage: writePng,
  exists: existsSync,
  readText: (file) => readRegularSync(file, { limit: MAX_TEXT, follow: true }).toString(),
  writeOnnx,
  list: (folder) => readdirSync(folder),
  remove: (file) => rmSync(file),
  pretrained: pretrainedFolder,
  openEvents,
  hostName: hostname,
  writeText(file, text) {
    makeFolderSync(dirname(file));
    writeAtomic(file, [Buffer.from(text)]);
  },
};
