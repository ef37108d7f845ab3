/** The editor of tensor files. */
import type {
  TensorsHostMethods,
  TensorsViewMethods,
  TensorsViewState,
} from "../../extension/protocol/views.ts";
import "../../media/styles/tensors.css";
import { connect, restored, savedState, saveState } from "../shared/host.ts";
import { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import { TensorsController, userError } from "./controller.ts";
import { defaultUi, type TensorsState } from "./state.ts";
import { editor, unreadable } from "./view.ts";

const host = connect<TensorsHostMethods, TensorsViewMethods>({
  progress: (share) => tensors.progress(share),
  changed: () => void page.load(),
});

const page = new Page<TensorsState>({
  announceEvery: 1000,
  loading: strings.tensors.loading,
  load: () => tensors.load(),
  view: (state) => editor(state, tensors.actions),
  failed: (error) => unreadable(userError(error), tensors.actions),
});

const tensors = new TensorsController(
  {
    host,
    page,
    read: () => host.ready(),
    show: (state) => page.show(state),
    save: (ui) => saveState({ ui }),
  },
  restored(defaultUi, savedState<TensorsViewState>()?.ui),
);

void page.load();
