/**
 * The Python side of a sweep that Optuna searches or prunes: it answers one JSON object a line. Optuna keeps its study in a
 * journal (JSON lines, no pickles) in the sweep's directory, which optuna-dashboard can open.
 */
export const OPTUNA_SCRIPT = String.raw`
import json, os, sys, warnings

answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
warnings.simplefilter("ignore")

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
NUMBER = "layerwise_trial"


def distribution(domain):
    if domain["kind"] == "choice":
        return CategoricalDistribution(domain["values"])
    kind = IntDistribution if domain["kind"] == "int" else FloatDistribution
    step = domain.get("step")
    if kind is IntDistribution:
        return kind(domain["low"], domain["high"], log=domain["log"], step=1 if domain["log"] else step or 1)
    return kind(domain["low"], domain["high"], log=domain["log"], step=step)


class Study:
    def open(self, journal, name, space, search, pruner, seed, mode, parallel, grace, reduction, epochs, trials):
        self.space = {name: distribution(domain) for name, domain in space.items()}
        # A regular file: links need rights on Windows, and the sweep directory has none.
        storage = JournalStorage(JournalFileBackend(journal, JournalFileOpenLock(journal)))
        known = len(trials)
        # With the seed of the sweep's start, the first draws would be repeated.
        numbers = (seed + known) % 2**32
        samplers = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=numbers, constant_liar=parallel > 1),
            "ours": lambda: optuna.samplers.RandomSampler(seed=numbers),
        }
        pruners = {
            "none": lambda: optuna.pruners.NopPruner(),
            "median": lambda: optuna.pruners.MedianPruner(n_warmup_steps=grace),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(
                min_resource=grace, max_resource=max(grace, epochs), reduction_factor=reduction
            ),
        }
        self.study = optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=samplers[search](),
            pruner=pruners[pruner](),
            direction="minimize" if mode == "min" else "maximize",
            load_if_exists=True,
        )
        self.trials = {}
        wanted = {trial["number"]: trial for trial in trials}
        found = set()
        for frozen in self.study.get_trials(deepcopy=False):
            number = frozen.user_attrs.get(NUMBER)
            if frozen.state.is_finished():
                found.add(number)
            elif frozen.state == TrialState.RUNNING:
                trial = optuna.trial.Trial(self.study, frozen._trial_id)
                # Its settings were never used, or it has a later copy.
                if number not in wanted or number in self.trials:
                    self.study.tell(trial, state=TrialState.FAIL)
                    continue
                self.trials[number] = trial
                state = wanted[number]["state"]
                if state in STATES:
                    self.tell(number, state, wanted[number].get("value"))
                found.add(number)
        for number, trial in wanted.items():
            if number not in found:
                self.ask(number, trial["settings"])
                if trial["state"] in STATES:
                    self.tell(number, trial["state"], trial.get("value"))
        return optuna.__version__

    def ask(self, number, settings):
        if settings is not None:
            self.study.enqueue_trial(settings)
        trial = self.study.ask(self.space)
        trial.set_user_attr(NUMBER, number)
        self.trials[number] = trial
        return trial.params

    def report(self, number, epoch, value):
        trial = self.trials[number]
        trial.report(value, epoch)
        # A pruner may answer with numpy's.
        return bool(trial.should_prune())

    def tell(self, number, state, value):
        trial = self.trials.pop(number, None)
        if trial is None:
            return
        if state == "complete" and value is None:
            state = "failed"
        self.study.tell(
            trial,
            value if state == "complete" else None,
            state=STATES[state],
            skip_if_finished=True,
        )


study = Study()
for line in sys.stdin:
    request = json.loads(line)
    try:
        result = {"result": getattr(study, request["method"])(**request["arguments"])}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps({"id": request["id"], **result}) + "\n")
    answers.flush()
`;
