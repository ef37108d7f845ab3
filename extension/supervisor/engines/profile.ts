import * as v from "valibot";
import { Profile, type ProfileRequest } from "../../protocol/profile.ts";
import { callTool, type ToolOptions } from "./tool.ts";

/** Measures a training step of an experiment, in a process of its own. */
export async function profileExperiment(options: ToolOptions, request: ProfileRequest): Promise<Profile> {
  return v.parse(Profile, await callTool(options, (tool) => tool.profile(request)));
}
