"""Oracle cases about models: which options of which model stand for whose convention."""

from __future__ import annotations

import math

import numpy as np
from oracle_support import DATA, Oracle, case, close, column, pair

from rtre.models.age_weighted import AgeWeighted
from rtre.models.cornish_fisher import CornishFisher
from rtre.models.evt import Evt, fit_gpd, gpd_tail
from rtre.models.garch import fit_garch, garch_errors
from rtre.models.gaussian import Gaussian, normal_contributions, normal_factors
from rtre.models.historical import Historical
from rtre.models.sample import deviation_of, mean_of
from rtre.models.student_t import StudentT, fit_t, t_factors
from rtre.models.volatility_weighted import VolatilityWeighted, ewma_variances, volatility_scaled


def simple_returns(prices: np.ndarray) -> np.ndarray:
    return prices[1:] / prices[:-1] - 1.0


def hull_returns() -> np.ndarray:
    names = ("djia", "ftse100_usd", "cac40_usd", "nikkei_usd")
    file = "hull/hull_indices_2006_2008.csv"
    return np.column_stack([simple_returns(column(file, name)) for name in names])


def hull_pnl(*positions: float) -> np.ndarray:
    return np.sum(hull_returns() * np.array(positions), axis=1)


HULL = (4000.0, 3000.0, 1000.0, 2000.0)


@case("hull_hs_99")
def _(o: Oracle) -> None:
    want, pnl = o["expected"], hull_pnl(*HULL)
    strict = Historical(shortfall="beyond").estimate(pnl, [0.99])[0]
    pair(strict, want["VaR"], want["ES_mean_of_losses_strictly_beyond_VaR"], o["tolerance"])
    worst = Historical(shortfall="at-or-beyond").estimate(pnl, [0.99])[0]
    pair(worst, want["VaR"], want["ES_mean_of_5_worst"], o["tolerance"])
    default = Historical().estimate(pnl, [0.99])[0]  # 500 at 1 % is a whole 5: the same mean
    assert round(default.var * 1000.0) == want["published_VaR_usd"]
    assert round(default.es * 1000.0) == want["published_ES_incl_usd"]


@case("hull_ex13_4")
def _(o: Oracle) -> None:
    tails = Historical(shortfall="beyond").estimate(hull_pnl(*HULL), o["params"]["confidence"])
    for tail, level in zip(tails, ("95", "97"), strict=True):
        want = o["expected"]
        pair(tail, want[f"VaR_{level}"], want[f"ES_{level}"], o["tolerance"])


@case("hull_cov_normal_99")
def _(o: Oracle) -> None:
    pnl, want = hull_pnl(*HULL), o["expected"]
    for ddof in (0, 1):
        tail = Gaussian(mean="ignored", ddof=ddof).estimate(pnl, [0.99])[0]
        close(tail.var, want[f"VaR_ddof{ddof}"], o["tolerance"])
    close(deviation_of(pnl, mean_of(pnl), 1), want["sd_ddof1"], o["tolerance"])
    parts, _ = normal_contributions(np.array(HULL), np.zeros(4), np.cov(hull_returns().T), 0.99)
    close(float(np.sum(parts)), want["VaR_ddof1"], o["tolerance"])


@case("hull_ex14_14a")
def _(o: Oracle) -> None:
    tail = Gaussian(mean="ignored", ddof=0).estimate(hull_pnl(*(2500.0,) * 4), [0.99])[0]
    pair(tail, o["expected"]["VaR"], o["expected"]["ES"], o["tolerance"])


@case("hull_brw_lambda995_99")
def _(o: Oracle) -> None:
    tail = AgeWeighted(decay=o["params"]["lambda"]).estimate(hull_pnl(*HULL), [0.99])[0]
    pair(tail, o["expected"]["VaR"], o["expected"]["ES"], o["tolerance"])


@case("hull_volscaled_marketvars_94_99")
def _(o: Oracle) -> None:
    scaled = volatility_scaled(hull_returns(), o["params"]["lambda"])
    pnl = np.sum(scaled * np.array(HULL), axis=1)
    tail = Historical(shortfall="beyond").estimate(pnl, [0.99])[0]
    es = o["expected"]["ES_mean_of_losses_strictly_beyond_VaR"]
    pair(tail, o["expected"]["VaR"], es, o["tolerance"])


@case("hull_evt_u160")
def _(o: Oracle) -> None:
    pnl, want, u = hull_pnl(*HULL), o["expected"], o["params"]["threshold"]
    fit = fit_gpd(-pnl, u)
    assert fit.n_u == o["params"]["n_u"]
    close(fit.xi, want["xi"], o["tolerance"])
    close(fit.beta, want["beta"], o["tolerance"])
    close(-fit.nll, want["loglik"], o["tolerance"])
    model = Evt(threshold=float(u), min_exceedances=20)
    close(model.estimate(pnl, [0.999])[0].var, want["VaR_999"], o["tolerance"])


@case("evir_danish10", "evir_danish20")
def _(o: Oracle) -> None:
    losses, want = column("evt/danish.csv", "value"), o["expected"]
    fit = fit_gpd(losses, o["params"]["threshold"])
    assert (fit.n, fit.n_u) == (want["n"], want["n_u"])
    close(fit.xi, want["xi"], o["tolerance"])
    close(fit.beta, want["beta"], o["tolerance"])
    close(fit.nll, want["nll"], o["tolerance"])
    close(fit.se_xi, want["se_xi"], o["tolerance"], "se")
    close(fit.se_beta, want["se_beta"], o["tolerance"], "se")
    assert fit.nll <= want["nll"]  # at least as likely as where R's search stopped
    for confidence, (var, es) in want["VaR_ES"].items():
        pair(gpd_tail(fit, float(confidence)), var, es, o["tolerance"])


@case("fcp_garch11")
def _(o: Oracle) -> None:
    fit, want = fit_garch(column("garch/dmbp.csv", "V1")), o["expected"]
    for name in ("mu", "omega", "alpha", "beta"):
        close(getattr(fit, name), want[name], o["tolerance"])
    close(fit.loglik, want["loglik"], o["tolerance"], "loglik")
    # the benchmark's printed errors: by the Hessian, and by Bollerslev and Wooldridge's sandwich
    errors = garch_errors(column("garch/dmbp.csv", "V1"), fit)
    printed = {
        False: (0.00846212, 0.00285271, 0.0265228, 0.0335527),
        True: (0.00918935, 0.00649319, 0.0535317, 0.0724614),
    }
    for robust, numbers in printed.items():
        got = errors.se(robust=robust)
        for name, number in zip(errors.names, numbers, strict=True):
            close(got[name], number, {"rel": 1e-5})  # six printed digits


@case("tfit_sp500_all")
def _(o: Oracle) -> None:
    pnl, want = 100.0 * column("returns/sp500ret_1987_2009.csv", "ret"), o["expected"]
    fit = fit_t(pnl)
    assert not isinstance(fit, str)
    for name in ("loc", "scale", "df"):
        close(getattr(fit, name), want[name], o["tolerance"])
    close(fit.loglik, want["loglik"], o["tolerance"], "loglik")
    tail = StudentT().estimate(pnl, [0.99])[0]
    pair(tail, want["VaR99"], want["ES99"], o["tolerance"])


@case("student_t4")
def _(o: Oracle) -> None:
    for name, want in o["expected"].items():
        df, alpha = name.removeprefix("nu").split("_alpha")
        var, es = t_factors(1.0 - float(alpha), float(df))
        close(var, want["VaR"], o["tolerance"])
        close(es, want["ES"], o["tolerance"])


@case("student_t4_variance_matched")
def _(o: Oracle) -> None:
    p, want = o["params"], o["expected"]
    sd = p["value"] * p["annual_vol"] / math.sqrt(p["days"])
    for i, confidence in enumerate(want["alpha"]):
        normal = normal_factors(confidence)
        matched = t_factors(confidence, p["df"], matched=True)
        for j, name in enumerate(("VaR", "ES")):
            close(sd * normal[j], want[f"{name}_normal"][i], o["tolerance"])
            close(sd * matched[j], want[f"{name}_t4"][i], o["tolerance"])


@case("pa_edhec_95")
def _(o: Oracle) -> None:
    models = {
        "historical": Historical(rule="linear", shortfall="beyond"),
        "gaussian": Gaussian(ddof=0),
        "modified": CornishFisher(parameters="moments", shortfall="edgeworth", outside="compute"),
    }
    for fund in o["data"]["columns"]:
        pnl = column(o["data"]["file"], fund)
        for name, model in models.items():
            var, es = (-o["expected"][f"{number}_{name}"][fund] for number in ("VaR", "ES"))
            pair(model.estimate(pnl, [o["params"]["p"]])[0], var, es, o["tolerance"])


@case("pa_edhec_component_gaussian_95")
def _(o: Oracle) -> None:
    returns = np.column_stack([column(o["data"]["file"], f) for f in o["data"]["columns"]])
    weights = np.array(o["params"]["weights"])
    # R's cov is unbiased; its own VaR of one series is not (see pa_edhec_95)
    both = normal_contributions(weights, returns.mean(axis=0), np.cov(returns.T), o["params"]["p"])
    for name, parts in zip(("VaR", "ES"), both, strict=True):
        close(float(np.sum(parts)), o["expected"][name], o["tolerance"])
        for part, want in zip(parts, o["expected"][f"{name}_contribution"], strict=True):
            close(float(part), want, o["tolerance"])
    # the deviation's contributions are what VaR and ES differ by, per unit of their factors
    z, c = normal_factors(o["params"]["p"])
    deviations = (both[1] - both[0]) / (c - z)
    close(float(np.sum(deviations)), o["expected"]["StdDev"], o["tolerance"])
    for part, want in zip(deviations, o["expected"]["StdDev_contribution"], strict=True):
        close(float(part), want, o["tolerance"])


@case("panel_AAPL1000")
def _(o: Oracle) -> None:
    pnl = simple_returns(column(o["data"]["file"], "AAPL"))[-1000:]
    whose = {
        "skfolio": Historical(rule="next-order-statistic"),
        "riskfolio": Historical(),
        "empyrical": Historical(rule="linear", shortfall="at-or-beyond"),
        "quantstats": Gaussian(),
        "ql": Historical(rule="next-order-statistic", shortfall="beyond"),
    }
    for alpha, want in o["expected"].items():
        confidence = round(1.0 - float(alpha), 6)
        for name, model in whose.items():
            es = want["ql_ES"] if name == "ql" else want[f"{name}_CVaR"]
            pair(model.estimate(pnl, [confidence])[0], want[f"{name}_VaR"], es, o["tolerance"])


@case("empyrical_literals")
def _(o: Oracle) -> None:
    pnl = np.array(o["params"]["returns"], dtype=float)
    for name, want in o["expected"].items():
        confidence = round(1.0 - float(name.removeprefix("cutoff")), 6)
        tail = Historical(rule="linear").estimate(pnl, [confidence])[0]
        close(-tail.var, want, o["tolerance"])


@case("skfolio_weighted_AAPL_500_0.98_0.95")
def _(o: Oracle) -> None:
    pnl = simple_returns(column(o["data"]["file"], "AAPL"))[-500:]
    tail = AgeWeighted(decay=o["params"]["lambda"]).estimate(pnl, [o["params"]["confidence"]])[0]
    pair(tail, o["expected"]["VaR"], o["expected"]["ES"], o["tolerance"])


@case("quarks_DAX", "quarks_SP500")
def _(o: Oracle) -> None:
    pnl = np.diff(np.log(column(o["data"]["file"], "close")))
    plain = Historical(rule="linear", shortfall="beyond")
    scaled = VolatilityWeighted(0.94, target="last", rule="linear", shortfall="beyond")

    def aged(decay: float) -> AgeWeighted:
        return AgeWeighted(decay, rule="linear", shortfall="beyond")

    runs = {
        "plain500_99": (plain, 500, 0.99),
        "age500_99_98": (aged(0.98), 500, 0.99),
        "age500_975_99": (aged(0.99), 500, 0.975),
        "age250_95_995": (aged(0.995), 250, 0.95),
        "vw500_99": (scaled, 500, 0.99),
        "vw1000_975": (scaled, 1000, 0.975),
        "plain_975": (plain, len(pnl), 0.975),
        "plain_99": (plain, len(pnl), 0.99),
    }
    assert set(runs) == set(o["params"])
    for name, (model, n, confidence) in runs.items():
        want = o["expected"][name]
        pair(model.estimate(pnl[-n:], [confidence])[0], want["VaR"], want["ES"], o["tolerance"])
    last = float(ewma_variances(pnl, 0.94)[-2])
    close(last, o["expected"]["ewma_variance_last"], o["tolerance"])


def nist_values(file: str) -> np.ndarray:
    lines = (DATA / file).read_text().splitlines()
    marks = [i for i, line in enumerate(lines) if line.startswith("-----")]
    if not marks:  # the second layout: a comment block "# Data", then the numbers
        marks = [max(i for i, line in enumerate(lines) if line.startswith("#"))]
    return np.array([float(line) for line in lines[marks[-1] + 1 :] if line.strip()])


@case("nist_Lew", "nist_Lottery", "nist_Mavro", "nist_NumAcc1", "nist_NumAcc3")
def _(o: Oracle) -> None:
    values, want = nist_values(o["data"]["file"]), o["expected"]
    assert len(values) == want["n"]
    mean = mean_of(values)
    close(mean, want["mean"], o["tolerance"])
    close(deviation_of(values, mean, 1), want["sd"], o["tolerance"])
