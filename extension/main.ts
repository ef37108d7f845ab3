import * as vscode from "vscode";
import { Agents } from "./editor/agents.ts";
import { registerCommands } from "./editor/commands.ts";
import { ModelDiagnostics } from "./editor/language/diagnostics.ts";
import { ModelLenses } from "./editor/language/lenses.ts";
import { ModelHovers } from "./editor/language/hovers.ts";
import { ModelHints } from "./editor/language/inlayHints.ts";
import { RUN_VERSION_SCHEME, TASK_TYPE } from "./editor/ids.ts";
import { LiveFacts } from "./editor/language/liveFacts.ts";
import { Messages } from "./editor/messages.ts";
import { ModelFiles } from "./editor/modelFiles.ts";
import { RayTokens } from "./editor/remote/tokens.ts";
import { NativeEngine } from "./editor/runs/nativeEngine.ts";
import { EndNotices } from "./editor/runs/endNotices.ts";
import { Editors } from "./editor/panels/editors.ts";
import { Panels } from "./editor/panels/panels.ts";
import { Previews } from "./editor/previews.ts";
import { QuickFixes } from "./editor/language/quickFixes.ts";
import { RunCommands, type Attach } from "./editor/runs/runCommands.ts";
import { ModelSnippets } from "./editor/language/snippets.ts";
import { RunningSweeps } from "./editor/runs/runningSweeps.ts";
import { Runs } from "./editor/runs/runs.ts";
import type { SweepCommands } from "./editor/runs/sweepCommands.ts";
import { engineOptions, setting } from "./editor/settings.ts";
import { ModelsTree } from "./editor/sidebar/modelsTree.ts";
import { CheckpointsTree, RunsTree } from "./editor/sidebar/runsTree.ts";
import { StatusBar, statusAction } from "./editor/statusBar.ts";
import { requireTrust, sourceTarget, Targets, untrustedText } from "./editor/targets.ts";
import { ModelTasks } from "./editor/runs/tasks.ts";
import { TrainingDebug } from "./editor/runs/debugging.ts";
import { DebuggedTensors } from "./editor/runs/viewTensor.ts";
import { WarmStart } from "./editor/runs/warmStart.ts";
import { showWalkthrough } from "./editor/walkthrough.ts";
import { PreviewEngine } from "./supervisor/engines/preview.ts";
import { trustWhen } from "./supervisor/trust.ts";

/** Milliseconds after activation during which nothing is read or started: VS Code is still busy starting. */
const STARTUP_DELAY = 500;

let closing: (() => Promise<void>) | undefined;

/** Wires the parts together; starts, scans and reads nothing. */
export function activate(context: vscode.ExtensionContext): void {
  const began = performance.now();
  const { extensionUri, extension } = context;
  trustWhen(() => vscode.workspace.isTrusted, untrustedText);
  const messages = new Messages();
  const engine = engineOptions(extensionUri);
  const previewEngine = new PreviewEngine(engine, {
    onLog: (text) => messages.log.info(`[preview] ${text}`),
    memoryLimit: () => setting("preview.memoryLimit"),
  });
  const previews = new Previews(previewEngine);
  const facts = new LiveFacts(previews);
  const runs = new Runs(engine, messages, new RayTokens(context.secrets), context.workspaceState);
  const running = new RunningSweeps();
  const { stopper } = running;
  const panels = new Panels({
    extensionUri,
    messages,
    previews,
    runs,
    engine,
    memory: context.globalState,
    stopper,
    stored: () => refreshTrees(),
  });
  const targets = new Targets(previews, () => panels.activeFile());
  const sweeps = async (): Promise<SweepCommands> => {
    const { SweepCommands } = await import("./editor/runs/sweepCommands.ts");
    return new SweepCommands({ running, targets, panels, tokens: runs.tokens, engine });
  };
  const runsTree = new RunsTree(runs, messages);
  const checkpointsTree = new CheckpointsTree(runs, messages);
  const native = new NativeEngine(engine, messages, context.globalState);
  const status = new StatusBar(runs, native);
  const models = new ModelFiles();
  const attach: Attach = async (...run) => {
    try {
      await (await import("./editor/runs/attachDebugger.ts")).attachDebugger(...run, engine().dist);
      return true;
    } catch (error) {
      messages.error(error);
      return false;
    }
  };
  const refreshTrees = (): void => {
    runsTree.refresh();
    checkpointsTree.refresh();
  };
  const imports = { engine, messages, runs, panels, stored: refreshTrees };
  const editors = new Editors({ extensionUri, ...imports });
  const commands = new RunCommands(runs, targets, panels, editors, refreshTrees, attach);
  runs.isShown = (session) => panels.isShown(session);
  runs.remedy = async (request) =>
    (await import("./editor/runs/runSources.ts")).offerKept(request, runs, (run) => panels.showRun(run));
  const debugged = new DebuggedTensors(panels);
  context.subscriptions.push(
    messages,
    debugged,
    previews,
    runs,
    panels,
    editors,
    new ModelsTree(),
    runsTree,
    checkpointsTree,
    native,
    running,
    new WarmStart(previews, runs),
    new EndNotices(runs, messages, commands),
    vscode.workspace.registerTextDocumentContentProvider(RUN_VERSION_SCHEME, {
      provideTextDocumentContent: async (uri) =>
        (await import("./editor/runs/runVersions.ts")).versionText(uri),
    }),
    new ModelLenses(previews),
    facts,
    new ModelHints(facts),
    new ModelHovers(facts),
    new ModelDiagnostics(previews, messages),
    new QuickFixes(),
    new ModelSnippets(extensionUri).register(),
    vscode.tasks.registerTaskProvider(TASK_TYPE, new ModelTasks(engine)),
    new Agents(engine, panels),
    new TrainingDebug((target) => commands.debug(target)).register(),
    status,
    registerCommands(
      {
        "layerwise.train": (target) => commands.train(target),
        "layerwise.runOn": (target) => commands.runOn(target),
        "layerwise.attachRun": (run) => commands.attachRun(run),
        "layerwise.debug": (target) => commands.debug(target),
        "layerwise.evaluate": (target) => commands.evaluate(target),
        "layerwise.evaluateOn": (target) => commands.evaluateOn(target),
        "layerwise.preview": async (target) => {
          requireTrust();
          const wanted = sourceTarget(target);
          const document = await targets.file(wanted);
          if (document !== undefined)
            await panels.showArchitecture(document, wanted.exportName ?? wanted.model);
        },
        "layerwise.showData": async (target) => {
          requireTrust();
          const chosen = await targets.experimentToRun(sourceTarget(target));
          if (chosen === undefined) return;
          await panels.showData({ file: chosen.document.uri.fsPath, exportName: chosen.exportName });
        },
        "layerwise.compareArchitecture": async (target) => {
          requireTrust();
          const wanted = sourceTarget(target);
          const document = await targets.file(wanted);
          if (document !== undefined)
            await (await panels.showArchitecture(document, wanted.model)).compare("head", "working");
        },
        "layerwise.profile": async (target) => {
          requireTrust();
          const wanted = sourceTarget(target);
          const chosen = await targets.experimentToRun(wanted);
          if (chosen === undefined) return;
          const panel = await panels.showArchitecture(chosen.document, wanted.model);
          void panel.profile(chosen.exportName);
        },
        "layerwise.run": async (target) => {
          requireTrust();
          const document = await targets.file(sourceTarget(target));
          if (document !== undefined)
            await (await import("./editor/runs/runProgram.ts")).runProgram(document, engine());
        },
        "layerwise.sweep": async (target) => (await sweeps()).sweep(target),
        "layerwise.sweepOn": async (target) => (await sweeps()).sweep(target, true),
        "layerwise.openSweep": async (sweep) => (await sweeps()).open(sweep),
        "layerwise.resumeSweep": async (sweep) => (await sweeps()).resume(sweep),
        "layerwise.stop": (run, selected) => commands.stop(run, selected),
        "layerwise.save": (run) => commands.save(run),
        "layerwise.newModel": async () => (await import("./editor/newModel.ts")).newModel(extensionUri),
        "layerwise.getStarted": () => showWalkthrough(),
        "layerwise.useData": async (file) => {
          const path = file?.fsPath ?? (await (await import("./editor/useData.ts")).chooseDataFile());
          if (path !== undefined) await panels.showDataFile(path);
        },
        "layerwise.importRuns": async (file, selected) =>
          (await import("./editor/runs/importRuns.ts")).importRuns(file, selected, imports),
        "layerwise.viewTensor": (variable) => debugged.view(variable),
        "layerwise.showLog": () => messages.showLog(),
        "layerwise.installNativeEngine": () => native.install(),
        "layerwise.addTypes": async () => (await import("./editor/language/addTypes.ts")).addTypes(extension),
        "layerwise.openRuns": () => commands.openRuns(),
        "layerwise.openRun": (run) => commands.openRun(run),
        "layerwise.resumeRun": (run) => commands.resumeRun(run),
        "layerwise.compareRuns": (run, selected) => commands.compareRuns(run, selected),
        "layerwise.runAgain": async (run) => {
          if (run === undefined) return;
          const { runAgain } = await import("./editor/runs/runVersions.ts");
          const session = await runAgain(run, runs);
          if (session !== undefined) await panels.showRun(session);
        },
        "layerwise.openRunVersion": async (run) => {
          if (run !== undefined) await (await import("./editor/runs/runVersions.ts")).openRunVersion(run);
        },
        "layerwise.renameRun": (run) => commands.renameRun(run),
        "layerwise.tagRun": (run) => commands.tagRun(run),
        "layerwise.archiveRun": (run, selected) => commands.archiveRuns(true, run, selected),
        "layerwise.unarchiveRun": (run, selected) => commands.archiveRuns(false, run, selected),
        "layerwise.showArchivedRuns": () => void (runsTree.archived = true),
        "layerwise.hideArchivedRuns": () => void (runsTree.archived = false),
        "layerwise.revealRun": (run) => commands.revealRun(run),
        "layerwise.deleteRun": (run, selected) => commands.deleteRun(run, selected),
        "layerwise.evaluateCheckpoint": (checkpoint) => commands.evaluateCheckpoint(checkpoint),
        "layerwise.loadCheckpoint": (checkpoint) => commands.loadCheckpoint(checkpoint),
        "layerwise.revealCheckpoint": (checkpoint) => commands.revealCheckpoint(checkpoint),
        "layerwise.inspectCheckpoint": (checkpoint) => commands.inspectCheckpoint(checkpoint),
        "layerwise.compareCheckpoints": (checkpoint, selected) =>
          commands.compareCheckpoints(checkpoint, selected),
        "layerwise.exportCheckpoint": async (checkpoint) => {
          if (checkpoint === undefined) return;
          requireTrust();
          const { exportCheckpoint } = await import("./editor/runs/exportCheckpoint.ts");
          await exportCheckpoint(checkpoint, engine(), messages);
        },
        "layerwise.deleteCheckpoint": (checkpoint, selected) =>
          commands.deleteCheckpoint(checkpoint, selected),
        "layerwise.statusAction": () => statusAction(runs),
      },
      (error) => messages.error(error),
    ),
    models,
    afterStartup(async () => {
      const { recoverRuns } = await import("./editor/runs/recovery.ts");
      await Promise.all([recoverRuns(runs, messages, context.workspaceState, commands), models.search()]);
      await models.found;
      await native.ask();
    }, messages),
  );
  void models.found.then(() => status.show());
  closing = async () => {
    await Promise.all([runs.close(), previewEngine.dispose()]);
  };
  messages.log.info(`activated in ${(performance.now() - began).toFixed(1)} ms`);
}

/** VS Code waits a few seconds for this; children end by themselves when their channel closes. */
export async function deactivate(): Promise<void> {
  await closing?.();
}

function afterStartup(run: () => Promise<void>, messages: Messages): vscode.Disposable {
  const timer = setTimeout(() => {
    run().catch((error: unknown) => messages.log.error(String(error)));
  }, STARTUP_DELAY);
  return { dispose: () => clearTimeout(timer) };
}
