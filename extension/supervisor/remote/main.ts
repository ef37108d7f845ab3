// The program on the machine of the runs: it serves a connection, or with "keep" it keeps a run.
import { Agent } from "./agent.ts";
import { keep } from "./keeper.ts";

if (process.argv[2] === "keep") void keep();
else void new Agent();
