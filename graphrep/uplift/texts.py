"""A fitted learner as plain data and back: LightGBM's own model strings, numbers and words. Nothing can run code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from graphrep.errors import InputError
from graphrep.uplift import linear, stages
from graphrep.uplift.choice import Chosen, Judged, Published
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.nuisance import Nuisance
from graphrep.uplift.readers import ArmOutcome, Assigned, Responded, TwoParts
from graphrep.uplift.scores import AverageEffects

Floats = NDArray[np.float64]

FORMAT = "graphrep_uplift_model_v2"


def to_plain(model: UpliftLearner) -> dict[str, Any]:
    """All that predictions are made of, as JSON knows it; equal models give equal data.

    The rows of the fit (their scores, propensities and reasons) are not in it.
    """
    check_is_fitted(model)
    trees: list[str] = []

    def tree(booster: lightgbm.Booster) -> int:
        trees.append(booster.model_to_string(num_iteration=-1))  # also those after the best: lengths are chosen apart
        return len(trees) - 1

    parameters = {name: value for name, value in model.get_params().items() if name != "folds"}
    return {
        "format": FORMAT,
        "parameters": {**parameters, "candidates": list(model.candidates)},
        "columns": model.n_features_in_,
        "arms": model.n_arms_,
        "average": {"value": _plain(model.average_effects_.value), "error": _plain(model.average_effects_.error)},
        "choices": [_chosen(one, tree) for one in model.choices_],
        "assignment": _nuisance(model._assignment, lambda one: _assigned(one, tree)),
        "response": _nuisance(model._response, lambda one: _responded(one, tree)),
        "trees": trees,
    }


def from_plain(content: Mapping[str, Any]) -> UpliftLearner:
    """A learner that predicts as the one that :func:`to_plain` was given, to the last bit.

    Raises:
        InputError: not such a model.
    """
    found = content.get("format")
    if found != FORMAT:
        raise InputError(f"a model of the format {FORMAT}", found=repr(found), fix="fit the day again")
    boosters = [lightgbm.Booster(model_str=own) for own in content["trees"]]
    model = UpliftLearner(**content["parameters"])
    model.n_features_in_, model.n_arms_ = content["columns"], content["arms"]
    model.average_effects_ = AverageEffects(*(np.asarray(content["average"][name]) for name in ("value", "error")))
    model.choices_ = [_read_chosen(one, boosters, model.threads) for one in content["choices"]]
    model._assignment = _read_nuisance(content["assignment"], lambda one: _read_assigned(one, boosters, model.threads))
    response = _read_nuisance(content["response"], lambda one: _read_responded(one, boosters, model.threads))
    assert response is not None  # every fit has one
    model._response = response
    return model


Keep = Callable[[lightgbm.Booster], int]
Boosters = list[lightgbm.Booster]


def _plain(values: Floats) -> Any:
    return np.asarray(values, np.float64).tolist()


def _scale(scale: linear.Scale) -> dict[str, Any]:
    return {"centre": _plain(scale.centre), "spread": _plain(scale.spread)}


def _read_scale(own: Mapping[str, Any]) -> linear.Scale:
    return linear.Scale(np.asarray(own["centre"]), np.asarray(own["spread"]))


def _nuisance(one: Nuisance | None, fold: Callable[[Any], dict[str, Any]]) -> dict[str, Any] | None:
    return None if one is None else {"chosen": one.chosen, "folds": [fold(model) for model in one.models]}


def _read_nuisance(own: Mapping[str, Any] | None, fold: Callable[[Any], Any]) -> Nuisance | None:
    if own is None:
        return None
    return Nuisance(np.zeros((0, 0)), [fold(model) for model in own["folds"]], own["chosen"])


def _assigned(one: Assigned, keep: Keep) -> dict[str, Any]:
    return {
        "shares": _plain(one.shares),
        "scale": _scale(one.scale),
        "slopes": _plain(one.line.slopes),
        "intercepts": _plain(one.line.intercepts),
        "booster": keep(one.booster),
        "length": one.length,
        "trees": one.trees,
        "theta": None if one.theta is None else _plain(one.theta),
    }


def _read_assigned(own: Mapping[str, Any], boosters: Boosters, threads: int) -> Assigned:
    line = linear.Logistic(np.asarray(own["slopes"]), np.asarray(own["intercepts"]))
    theta = None if own["theta"] is None else np.asarray(own["theta"])
    booster, scale = boosters[own["booster"]], _read_scale(own["scale"])
    return Assigned(np.asarray(own["shares"]), scale, line, booster, own["length"], threads, own["trees"], theta)


def _responded(one: Responded | TwoParts, keep: Keep) -> dict[str, Any]:
    if isinstance(one, TwoParts):
        parts = {name: _responded(getattr(one, name), keep) for name in ("whole", "chance", "size")}
        return {**parts, "share": _plain(one.share)}
    arms = [
        {
            "booster": keep(arm.booster),
            "line": _plain(arm.line),
            "trees": arm.trees,
            "blend": arm.blend,
            "binary": arm.binary,
        }
        for arm in one.arms
    ]
    return {"pooled": keep(one.pooled), "length": one.length, "scale": _scale(one.scale), "arms": arms}


def _read_responded(own: Mapping[str, Any], boosters: Boosters, threads: int) -> Responded | TwoParts:
    if "share" in own:
        whole, chance, size = (_read_one(own[name], boosters, threads) for name in ("whole", "chance", "size"))
        return TwoParts(whole, chance, size, np.asarray(own["share"]))
    return _read_one(own, boosters, threads)


def _read_one(own: Mapping[str, Any], boosters: Boosters, threads: int) -> Responded:
    arms = [
        ArmOutcome(
            boosters[arm["booster"]], threads, np.asarray(arm["line"]), arm["trees"], arm["blend"], arm["binary"]
        )
        for arm in own["arms"]
    ]
    return Responded(boosters[own["pooled"]], own["length"], threads, _read_scale(own["scale"]), arms)


def _chosen(one: Chosen, keep: Keep) -> dict[str, Any]:
    return {
        "judged": asdict(one.judged),
        "all_judged": [asdict(judged) for judged in one.all_judged],
        "own": _published(one.own, keep),
        "rival": _published(one.rival, keep),
    }


def _read_chosen(own: Mapping[str, Any], boosters: Boosters, threads: int) -> Chosen:
    every = [Judged(**judged) for judged in own["all_judged"]]
    pair = (_read_published(own[name], boosters, threads) for name in ("own", "rival"))
    return Chosen(Judged(**own["judged"]), every, *pair)


def _published(one: Published | None, keep: Keep) -> dict[str, Any] | None:
    return None if one is None else {"judged": asdict(one.judged), "parts": [_part(own, keep) for own in one.parts]}


def _part(one: stages.Part, keep: Keep) -> dict[str, Any]:
    fits = one.fits
    if isinstance(fits, stages.Lines):
        kept: dict[str, Any] = {"scale": _scale(fits.scale), "table": _plain(fits.table)}
    else:
        assert isinstance(fits, stages.Trees)  # there are no others
        kept = {"boosters": [keep(booster) for booster in fits.boosters]}
    return {"name": one.name, "share": one.share, "level": one.level, "centre": one.centre, "fits": kept}


def _read_published(own: Mapping[str, Any] | None, boosters: Boosters, threads: int) -> Published | None:
    if own is None:
        return None
    return Published(Judged(**own["judged"]), [_read_part(part, boosters, threads) for part in own["parts"]])


def _read_part(own: Mapping[str, Any], boosters: Boosters, threads: int) -> stages.Part:
    kept = own["fits"]
    fits: stages.Fits
    if "table" in kept:
        fits = stages.Lines(_read_scale(kept["scale"]), np.asarray(kept["table"]))
    else:
        fits = stages.Trees([boosters[at] for at in kept["boosters"]], threads)
    return stages.Part(own["name"], own["share"], own["level"], own["centre"], fits)
