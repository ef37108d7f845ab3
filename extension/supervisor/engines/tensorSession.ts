import {
  TensorStatistics,
  TensorValues,
  type KeptTensorMethods,
  type TensorWindow,
} from "../../protocol/tensorValues.ts";
import type { Remote } from "./channel.ts";
import { EngineSession } from "./engineSession.ts";

/** A session whose process keeps tensors for the viewer. Answers are undefined as those of any question. */
export class TensorSession<
  Methods extends KeptTensorMethods,
  Events extends object,
  Opened,
> extends EngineSession<Methods, Events, Opened> {
  statistics(id: number): Promise<TensorStatistics | undefined> {
    return this.question(`statistics ${id}`, TensorStatistics, (remote) => kept(remote).tensorStatistics(id));
  }

  /** Parts of a tensor are all wanted, also the older ones. */
  window(id: number, window: TensorWindow): Promise<TensorValues | undefined> {
    const kind = `window ${id} ${JSON.stringify(window)}`;
    return this.question(kind, TensorValues, (remote) => kept(remote).tensorWindow(id, window));
  }
}

/** TypeScript can't tell that the methods of a subtype are callable in the same way. */
const kept = (remote: unknown): Remote<KeptTensorMethods> => remote as Remote<KeptTensorMethods>;
