import { progressAge, type TrainingState } from "./state.ts";

/** Whether a long step sends nothing for now: the run's time passes nonetheless. */
export const isSilent = (state: TrainingState): boolean =>
  state.progress !== undefined && progressAge(state) >= 0.9;
