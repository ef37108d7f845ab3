// First, so that its thread starts beside the rest.
import { watchdog } from "../host/ownWatchdog.ts";
import { setImmediate } from "node:timers";
import * as esbuild from "esbuild";
import * as v from "valibot";
import { setTensorFiles } from "../../nn/files.ts";
import { keepCompiledCode } from "../../startup/keep.ts";
import { endOwnFamily } from "../../processes/family.ts";
import {
  InspectRequest,
  LayoutRequest,
  MOST_IMPORTS,
  type PreviewEngineEvents,
  type PreviewEngineMethods,
} from "../../protocol/preview.ts";
import { captureConsole } from "../host/capturedConsole.ts";
import { cachedFolder } from "../files/pretrained.ts";
import { FILES } from "../host/userFiles.ts";
import { inspect } from "../preview/inspect.ts";
import { connectParent, hello } from "../host/ipc.ts";
import { Builtins } from "../isolation/builtins.ts";
import { leftovers, ours, watchStarts } from "../isolation/leftovers.ts";
import { LayoutClient } from "../preview/layoutClient.ts";
import { library } from "../host/library.ts";
import { installOnce } from "../host/stackTraces.ts";
import { isPackage } from "../host/versions.ts";
import { enterFolderOf } from "../host/workingFolder.ts";

/**
 * Milliseconds without a turn of the event loop after which the line of hanging user code is determined; the supervisor
 * decides when to end it. The debugger that finds the line slows uncompiled code several times, so not too early.
 */
const LOOK_INTERVAL = 1500;
/** Milliseconds that a preview may outlive its window. */
const ORPHAN_GRACE = 1000;
/** Milliseconds that the process may compute after its previews: laying out a large diagram takes some seconds. */
const BUSY_LIMIT = 20_000;

/** Milliseconds without a request after which the process prepares for the next one. */
const IDLE = 200;
/** Most names of changed or leftover objects that are reported. */
const MOST_NAMES = 10;

watchdog.followParent(ORPHAN_GRACE);
watchdog.endWhenBusy(BUSY_LIMIT);
const layouts = new LayoutClient();

/** Snapshot of the objects that user code may change. */
let builtins: Builtins | undefined;

/** Takes the snapshot. This may load parts of Node, which must not count as leftovers of a file. */
function takeSnapshot(): void {
  builtins ??= ours(() => new Builtins(library));
}

const methods: PreviewEngineMethods = {
  inspect: async (sent) => {
    const request = v.parse(InspectRequest, sent);
    enterFolderOf(request.file);
    builtins?.takeFolder();
    try {
      return await watchdog.guard(
        {
          milliseconds: LOOK_INTERVAL,
          repeat: true,
          ...(request.memory === undefined ? {} : { memory: request.memory }),
          text: `The code of ${request.file} doesn't come back`,
          onOver: (position) =>
            builtins?.asBefore((changed) =>
              parent.send("trouble", { changed, ...(position && { position }) }),
            ),
        },
        () => {
          const report = inspect(request, (files) =>
            parent.send("imports", files.filter((one) => !isPackage(one)).slice(0, MOST_IMPORTS)),
          );
          // While esbuild reads the file: none of its code has run.
          takeSnapshot();
          return report;
        },
      );
    } finally {
      // Sending the answer uses globals that the file may have changed.
      const changed = builtins?.restoreGlobals().slice(0, MOST_NAMES) ?? [];
      if (changed.length > 0) parent.send("trouble", { changed });
      // The rest is checked later, so that the answer doesn't wait for it.
      const tell = (): void => {
        const all = [...changed, ...(ours(() => builtins?.restoreRest()) ?? [])];
        parent.send("remains", {
          changed: all.slice(0, MOST_NAMES),
          running: leftovers().slice(0, MOST_NAMES),
          ...(request.turn !== undefined && { turn: request.turn }),
        });
        ours(keepCompiledCode);
      };
      ours(() => setImmediate(tell));
    }
  },
  prepareLayout: async () => layouts.warmUp(),
  layOut: (request) => layouts.layOut(v.parse(LayoutRequest, request)),
};

const parent = connectParent<PreviewEngineEvents>(methods);

// A preview must change nothing, and its output is useless while the user types.
const nothing = (): undefined => undefined;
setTensorFiles({
  ...FILES,
  save: nothing,
  writeImage: nothing,
  writeText: nothing,
  writeOnnx: nothing,
  openEvents: nothing,
  list: () => [],
  remove: nothing,
  pretrained: cachedFolder,
});
captureConsole(() => undefined);
process.on("disconnect", () => void endOwnFamily());
// A timer or promise of the file that fails later: its preview is over by then.
process.on("uncaughtException", () => undefined);
process.on("unhandledRejection", () => undefined);

parent.send("hello", hello("preview"));

installOnce();
// The first call starts esbuild's process.
void ours(() => esbuild.transform(""));
// Taken while there is nothing to answer.
setTimeout(takeSnapshot, IDLE).unref();
watchStarts();
