"""What an ensemble is to be made of: finished runs, networks on which it makes members, or both.

The plan lies in the run folder as `ensemble.json`, so that a worker knows it, and a killed one goes
on with it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transfer import catalog, weights
from transfer.config import RunConfig
from transfer.errors import RunError, SettingsError
from transfer.runs import Run

FILE = "ensemble"
KINDS = ("seeds", "folds", "snapshots", "averages", "soup")
"""Of members that train a network; see `tuning`. Linear classifiers are always among them."""
_LEAST = 2
_KEPT = ("split", "honesty")


@dataclass(frozen=True)
class Plan:
    """`runs` are folders of finished runs, `backbones` names of the catalog, or both.

    `kinds`, of `KINDS`, are trained on the network whose linear classifiers do best.
    """

    runs: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Plan":
        """Return the plan that `to_json` wrote."""
        return cls(**{key: tuple(some) for key, some in value.items()})


def read(run: Run) -> Plan:
    """Return the plan of a prepared run.

    Raises:
        RunError: there is none.
    """
    if (kept := run.read(FILE)) is None:
        raise RunError(
            f"The run in '{run.folder}' is to be an ensemble, but what of is not said. Begin it"
            " again in a new folder."
        )
    return Plan.from_json(kept)


def of_runs(run: Run, members: Sequence[Run], seed: int = 0) -> None:
    """Prepare a run folder for an ensemble of finished runs; the same again changes nothing.

    Raises:
        RunError: a run is not finished.
        SettingsError: the runs do not go together; says which and what to do.
    """
    check(members)
    configs = [one.config() for one in members]
    widest = max(configs, key=lambda one: one.image_size)
    config = RunConfig(
        dataset=configs[0].dataset,
        backbone=widest.backbone,
        image_size=widest.image_size,
        strategy=catalog.ENSEMBLE.name,
        seed=seed,
    )
    plan = Plan(runs=tuple(str(one.folder.resolve()) for one in members))
    _begin(run, config, plan)
    _take_over(run, members[0])


def of_networks(
    run: Run,
    dataset: str,
    backbones: Sequence[str],
    budget: float | None = None,
    seed: int = 0,
    kinds: Sequence[str] = (),
) -> None:
    """Prepare a run folder for an ensemble that makes its members on these networks.

    Args:
        run: the folder.
        dataset: digest of the data set in the store.
        backbones: names of the catalog; what there is no time for at the end is left out.
        budget: seconds for the whole run; None: no limit.
        seed: of the split and the selection.
        kinds: of `KINDS`: members that train a network.

    Raises:
        TransferError: a network or a kind is not known, or the folder holds something else.
    """
    config, plan = _on_networks(dataset, backbones, budget, seed)
    _begin(run, config, replace(plan, kinds=_checked(kinds)))


def improving(run: Run, earlier: Run, budget: float | None, kinds: Sequence[str] = ()) -> None:
    """Prepare a run folder for an ensemble that is to do better than a finished run.

    Its members are made on all networks that are here, that of the run first, on the split of the
    run. Where the run has trained a network it is a member too: that cannot be had from features.

    Raises:
        TransferError: the run is not finished, or the folder holds something else.
    """
    config, trained = earlier.config(), _trained(earlier)
    own = read(earlier).backbones if earlier.read(FILE) else (config.backbone,)
    names = dict.fromkeys([*own, *here()])
    made, plan = _on_networks(config.dataset, list(names), budget, config.seed)
    largest = max([made, *(one.config() for one in trained)], key=lambda one: one.image_size)
    made = replace(made, backbone=largest.backbone, image_size=largest.image_size)
    runs = tuple(str(one.folder.resolve()) for one in trained)
    _begin(run, made, replace(plan, runs=runs, kinds=_checked(kinds)))
    _take_over(run, earlier)


def here() -> list[str]:
    """Return the networks whose weights are here, the most accurate on ImageNet first.

    The built-in one is only for where there is no other.
    """
    specs = [catalog.backbone(name) for name in catalog.names()]
    there = [
        spec for spec in specs if spec.name != catalog.BUILTIN and weights.status(spec) == "present"
    ]
    ranked = sorted(there, key=lambda spec: -(spec.top1 or 0.0))
    return [spec.name for spec in ranked] or [catalog.BUILTIN]


def _checked(kinds: Sequence[str]) -> tuple[str, ...]:
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise SettingsError(
            f"There are no members of the kind '{unknown[0]}'. Choose of: {', '.join(KINDS)}."
        )
    return tuple(dict.fromkeys(kinds))


def _on_networks(
    dataset: str, backbones: Sequence[str], budget: float | None, seed: int
) -> tuple[RunConfig, Plan]:
    specs = [catalog.backbone(name) for name in dict.fromkeys(backbones)]
    if not specs:
        raise SettingsError(
            "No network was named. Name one or several, such as --backbone MobileNetV2."
        )
    sizes = {spec.name: weights.default_size(spec) for spec in specs}
    first = max(specs, key=lambda spec: sizes[spec.name])
    config = RunConfig(
        dataset=dataset,
        backbone=first.name,
        image_size=sizes[first.name],
        strategy=catalog.ENSEMBLE.name,
        budget=budget,
        seed=seed,
    )
    return config, Plan(backbones=tuple(spec.name for spec in specs))


def _trained(earlier: Run) -> list[Run]:
    """Return the runs that have trained a network: this one, or those that an ensemble joined."""
    if earlier.read(FILE) is not None:
        runs = [Run(Path(folder)) for folder in read(earlier).runs]
    else:
        runs = [earlier]
    return [
        one
        for one in runs
        if one.finished
        and catalog.strategy(one.result()["shipped"]).tunes
        and one.answers("validation") is not None
    ]


def _take_over(run: Run, earlier: Run) -> None:
    """Let a run have the split of another, so that the same pictures test both."""
    for name in _KEPT:
        if run.read(name) is None and (known := earlier.read(name)) is not None:
            run.write(name, known)


def _begin(run: Run, config: RunConfig, plan: Plan) -> None:
    run.start(config)
    kept = run.read(FILE)
    if kept is None:
        run.write(FILE, plan.to_json())
    elif Plan.from_json(kept) != plan:
        raise SettingsError(
            f"The ensemble in '{run.folder}' was begun with other members. Name the same ones to go"
            " on with it, or another folder for a new one."
        )


def check(members: Sequence[Run]) -> None:
    """Check that finished runs can answer together.

    Raises:
        RunError: one is not finished.
        SettingsError: they do not go together; says which and what to do.
    """
    folders = [one.folder.resolve() for one in members]
    if len(members) < _LEAST or len(set(folders)) < len(folders):
        raise SettingsError(
            f"An ensemble needs at least {_LEAST} different finished runs, but"
            f" {len(set(folders))} was named. Name more runs on the same data set, or let it make"
            " its members itself: ensemble --data DATA --backbone NAME --backbone NAME."
        )
    first, result = members[0], members[0].result()
    for one in members:
        own = one.result()
        if one.config().dataset != first.config().dataset:
            raise SettingsError(_differ(first.folder, one.folder, "have other pictures",
                                        "train both on the same data set"))  # fmt: skip
        if own["classes"] != result["classes"]:
            raise SettingsError(_differ(first.folder, one.folder, "know other classes",
                                        "train both on the same data set"))  # fmt: skip
        if _parts(one) != _parts(first):
            raise SettingsError(_differ(
                first.folder, one.folder,
                "have shared their pictures out differently, so that what one was tested on the"
                " other has learned", "train one of them again with the seed of the other",
            ))  # fmt: skip
        if one.answers("validation") is None:
            raise SettingsError(
                f"The run in '{one.folder}' kept no answers to its validation pictures, by which an"
                " ensemble is chosen: it was made by an earlier version. Train it again."
            )


def _differ(one: Path, other: Path, how: str, remedy: str) -> str:
    return (
        f"The runs in '{one}' and '{other}' cannot answer together: they {how}. To join them,"
        f" {remedy}."
    )


def _parts(run: Run) -> tuple[list[int], ...]:
    kept = run.read("split") or {}
    return tuple(kept.get(name, []) for name in ("train", "val", "test"))
