/** Where a run is that is not on this computer. */
import { isLive, type RunRecord } from "../../extension/protocol/run.ts";
import { strings } from "./strings.ts";

interface Shown {
  run: RunRecord;
  live: boolean;
}

/** Whether a run is at work on another machine, and nothing here follows it. */
export const unfollowed = ({ run, live }: Shown): boolean => !live && run.on !== undefined && isLive(run);

/** Says on which other machine a run is, or was; undefined for one on this computer. */
export const placeOf = ({ run, live }: Shown): string | undefined =>
  run.on && strings.elsewhere.place(run.on.name, live || unfollowed({ run, live }));
