import * as v from "valibot";
import { setTensorFiles } from "../nn/files.ts";
import {
  InspectRequest,
  LayoutRequest,
  type PreviewEngineEvents,
  type PreviewEngineMethods,
} from "../protocol/preview.ts";
import { captureConsole } from "./capturedConsole.ts";
import { cachedFolder } from "./pretrained.ts";
import { FILES } from "./userFiles.ts";
import { inspect } from "./inspect.ts";
import { connectParent, hello } from "./ipc.ts";
import { Layouts } from "./layouts.ts";
import { Watchdog } from "./watchdog.ts";

/** Milliseconds between two looks at user code that doesn't come back; the supervisor decides when to end it. */
const LOOK_INTERVAL = 400;
/** Milliseconds that a preview may go on after its window is gone. */
const ORPHAN_GRACE = 1000;

const watchdog = new Watchdog();
watchdog.followParent(ORPHAN_GRACE);
const layouts = new Layouts();

const methods: PreviewEngineMethods = {
  inspect: async (sent) => {
    const request = v.parse(InspectRequest, sent);
    return watchdog.guard(
      {
        milliseconds: LOOK_INTERVAL,
        repeat: true,
        text: `The code of ${request.file} doesn't come back`,
        onOver: (position) => {
          if (position !== undefined) parent.send("stuck", position);
        },
      },
      () => inspect(request),
    );
  },
  prepareLayout: async () => layouts.warmUp(),
  layOut: (request) => layouts.layOut(v.parse(LayoutRequest, request)),
};

const parent = connectParent<PreviewEngineEvents>(methods);

// Looking at a file must not change anything, and what it prints while it is typed is of no use.
const nothing = (): void => undefined;
setTensorFiles({
  ...FILES,
  save: nothing,
  writeImage: nothing,
  writeText: nothing,
  writeOnnx: nothing,
  list: () => [],
  remove: nothing,
  pretrained: cachedFolder,
});
captureConsole(() => undefined);
process.on("disconnect", () => process.exit(0));
// A timer or promise of the file that fails later: its preview is over by then.
process.on("uncaughtException", () => undefined);
process.on("unhandledRejection", () => undefined);

parent.send("hello", hello("preview"));
