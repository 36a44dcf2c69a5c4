//! A sweep's page, and its figures as files of their own.

use std::fmt::Write;

use crossover::laws::critical;
use crossover::laws::fit::{Fitted, Repetition};
use crossover::objective::Objective;
use serde_json::Value;

use super::along;
use super::findings::HEAD;
use super::laws::{FittedData, Passing};
use super::{Findings, PointFound, Sweep};
use crate::chart::Size;
use crate::figures::{Figure, file_name, standalone};
use crate::points::{Chart, Dot, Line, Spacing, cell};
use crate::strip;
use crate::theme::{Racer, racer, series};
use crate::together::Races;
use crate::{escape, numbers, page, tables, verdict};

/// A page and what is on it.
#[derive(Debug)]
pub struct Page {
    /// The page, which needs nothing else.
    pub html: String,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// The report of a sweep.
pub fn render(sweep: &Sweep, findings: &Findings) -> Page {
    let mut figures = Vec::new();
    let mut body = page::part("Result", &result(sweep, findings));
    let axes = axes(sweep, findings, &mut figures);
    if !axes.is_empty() {
        body.push_str(&page::part("Against what was varied", &axes));
    }
    if !findings.envelopes.is_empty() {
        body.push_str(&page::part(
            "Against the best AR of all",
            &envelopes(findings, &mut figures),
        ));
    }
    body.push_str(&page::part(
        "Loss along the way",
        &along::multiples(sweep, findings, &mut figures),
    ));
    if !findings.laws.is_empty() {
        body.push_str(&page::part(
            "Published laws, fitted to these runs",
            &laws(findings, &mut figures),
        ));
    }
    body.push_str(&page::part("What, where, how", &facts(sweep)));
    let record = &sweep.record;
    let html = page::frame(
        &format!("sweep {}, scale {}", record.name, record.scale),
        &findings.headline(),
        &record.about,
        &body,
    );
    figures.push(Figure {
        name: "points".to_owned(),
        svg: String::new(),
        csv: table_csv(findings),
    });
    Page { html, figures }
}

/// A key's last word.
pub(super) fn short(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A setting's value.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The table of all points, and the strip of their differences.
fn result(sweep: &Sweep, findings: &Findings) -> String {
    let rows: Vec<tables::Row> = findings
        .rows()
        .into_iter()
        .zip(&findings.points)
        .map(|([name, cells @ ..], point)| {
            let run = point.runs.first().and_then(|index| {
                let begun = sweep.runs.get(*index)?.is_some();
                begun.then(|| sweep.record.runs[*index].name.clone())
            });
            tables::row(name, cells.to_vec()).linked(run.map(|run| format!("{run}/report.html")))
        })
        .collect();
    let mut html = tables::table(
        "figures",
        "Nats per token on the test part, at each model's best checkpoint. ± is one standard error: over windows of one \
         seed (the difference's is paired by window), over seeds where there are several. Curve and envelope: the epochs of \
         the crossovers, in how many seeds, or no.",
        &HEAD,
        &rows,
    );
    let rows: Vec<strip::Row> = findings
        .points
        .iter()
        .filter_map(|point| {
            let (value, se) = point.difference()?;
            Some(strip::Row {
                name: point.name.clone(),
                value,
                se,
                is_mean: false,
            })
        })
        .collect();
    if let Some(second) = second(findings)
        && rows.len() > 1
    {
        let look = racer(second);
        let longest = rows.iter().map(|row| row.name.chars().count()).max();
        let left = 16.0 + 7.2 * longest.unwrap_or(0) as f64;
        let label = format!("Difference of {} points", rows.len());
        // On a narrow page there is no room for long names beside bars; the table has the figures.
        let drawing = strip::drawing(&rows, look, &label, left.min(520.0), Size::Wide);
        let _ = write!(
            html,
            "<figure><h3>{0} against AR, point by point</h3>{drawing}<figcaption>{0}'s bound minus AR's NLL on the test \
             part, nats/token: left of zero, {1} is better. Bars: ±2 standard errors.</figcaption></figure>",
            look.subject, look.spoken
        );
    }
    html + READING
}

const READING: &str = "<p class=\"small\">AR's loss is its exact negative log-likelihood (NLL); a diffusion model's is an \
    upper bound. Curve crossover: below AR at equal tokens. Envelope crossover: below the best AR of the same race by more \
    than two paired standard errors, confirmed on the test part. With many points some cross by chance: two standard errors \
    are one in forty.</p>";

/// What AR races against, where there are races of one kind.
fn second(findings: &Findings) -> Option<Objective> {
    findings
        .points
        .iter()
        .find_map(|point| Some(point.races()?.second()))
}

fn table_csv(findings: &Findings) -> String {
    let mut text = String::from(
        "point,seeds,ar_nats,ar_se,second,second_nats,second_se,left_to_right_nats,left_to_right_se,orders_nats,orders_se,\
         difference,difference_se,curve_crossovers,curve_epoch,envelope_crossovers,envelope_epoch\n",
    );
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for point in &findings.points {
        let (ar, second, difference) = (point.ar(), point.second(), point.difference());
        let (exact, orders) = (point.left_to_right(), point.k_order());
        let races = point.races();
        let count = |of: fn(&Races) -> usize| races.map(|races| of(races).to_string());
        let cells = [
            cell(&point.name),
            point.seeds.len().to_string(),
            number(ar.map(|ar| ar.0)),
            number(ar.and_then(|ar| ar.1)),
            second.map_or_else(String::new, |(second, _)| second.name().to_owned()),
            number(second.map(|(_, loss)| loss.0)),
            number(second.and_then(|(_, loss)| loss.1)),
            number(exact.map(|exact| exact.0)),
            number(exact.and_then(|exact| exact.1)),
            number(orders.map(|orders| orders.0)),
            number(orders.and_then(|orders| orders.1)),
            number(difference.map(|difference| difference.0)),
            number(difference.and_then(|difference| difference.1)),
            count(|races| races.curve.count).unwrap_or_default(),
            number(races.and_then(|races| Some(races.curve.epoch?.mean))),
            count(|races| races.envelope.count).unwrap_or_default(),
            number(races.and_then(|races| Some(races.envelope.epoch?.mean))),
        ];
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}

/// Charts against each axis whose values are numbers.
fn axes(sweep: &Sweep, findings: &Findings, figures: &mut Vec<Figure>) -> String {
    let mut html = String::new();
    for key in &sweep.record.axes {
        let on_axis: Vec<(f64, &PointFound)> = findings
            .points
            .iter()
            .filter_map(|point| Some((point.settings.get(key)?.as_f64()?, point)))
            .collect();
        let first = on_axis.first().map(|(x, _)| *x);
        if on_axis.iter().all(|(x, _)| Some(*x) == first) {
            continue;
        }
        // What else a point has tells lines apart.
        let other = |point: &PointFound| {
            let settings = point
                .settings
                .iter()
                .filter(|(known, _)| *known != key)
                .map(|(key, value)| format!("{}={}", short(key), shown(value)));
            point
                .label
                .iter()
                .cloned()
                .chain(settings)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut kinds: Vec<String> = Vec::new();
        for (_, point) in &on_axis {
            let other = other(point);
            if !kinds.contains(&other) {
                kinds.push(other);
            }
        }
        let of_kind = |kind: &str| -> Vec<(f64, &PointFound)> {
            let same = on_axis.iter().filter(|(_, point)| other(point) == kind);
            same.copied().collect()
        };
        for chart in [
            losses(key, &kinds, &of_kind),
            differences(key, &kinds, &of_kind),
            epochs(key, &kinds, &of_kind),
        ] {
            html.push_str(&drawn(&chart, &format!("{}-{key}", chart.y_title), figures));
        }
        for kind in &kinds {
            html.push_str(&along::of_axis(sweep, key, kind, &of_kind(kind), figures));
        }
    }
    html
}

/// Puts a chart on the page and among the figures.
pub(super) fn drawn(chart: &Chart, name: &str, figures: &mut Vec<Figure>) -> String {
    if chart.is_empty() {
        return String::new();
    }
    figures.push(Figure {
        name: file_name(name),
        svg: standalone(&chart.drawing(Size::Wide)),
        csv: chart.csv(),
    });
    format!(
        "<figure><h3>{}</h3>{}{}</figure>\n",
        escape(&chart.title),
        chart.key(),
        chart.drawings()
    )
}

/// The points of one kind on an axis.
type OfKind<'a> = dyn Fn(&str) -> Vec<(f64, &'a PointFound)> + 'a;

pub(super) fn named(what: &str, kind: &str) -> String {
    match kind.is_empty() {
        true => what.to_owned(),
        // A point that is called as its model is.
        false if kind.split(", ").next() == Some(what) => kind.to_owned(),
        false => format!("{what}, {kind}"),
    }
}

fn losses(key: &str, kinds: &[String], of_kind: &OfKind<'_>) -> Chart {
    let mut lines = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let points = of_kind(kind);
        let mut line = |look: &Racer, dots: Vec<Dot>| {
            lines.push(Line {
                name: named(look.name, kind),
                class: look.class,
                mark: Some(match kinds.len() {
                    1 => look.mark,
                    _ => series(number).mark,
                }),
                dash: look.dash,
                joined: true,
                dots,
            });
        };
        let ar = points
            .iter()
            .filter_map(|(x, point)| Some(dot(*x, point.ar()?)));
        line(racer(Objective::Autoregressive), ar.collect());
        for objective in [Objective::Masked, Objective::Block, Objective::Dual] {
            let of = points.iter().filter_map(|(x, point)| {
                let (second, loss) = point.second()?;
                (second == objective).then(|| dot(*x, loss))
            });
            line(racer(objective), of.collect());
        }
    }
    Chart {
        title: format!("Best loss on the test part against {}", short(key)),
        x_title: key.to_owned(),
        y_title: "nats per token",
        lines,
        level: None,
        rising: Spacing::Even,
    }
}

pub(super) fn dot(x: f64, (y, se): (f64, Option<f64>)) -> Dot {
    Dot { x, y, se }
}

/// A line of figures that belong to no model.
fn numbered(number: usize, name: String, dots: Vec<Dot>) -> Line {
    let look = series(number);
    Line {
        name,
        class: look.class,
        mark: Some(look.mark),
        dash: look.dash,
        joined: true,
        dots,
    }
}

fn differences(key: &str, kinds: &[String], of_kind: &OfKind<'_>) -> Chart {
    let line = |(number, kind): (usize, &String)| {
        let points = of_kind(kind);
        let dots = points
            .iter()
            .filter_map(|(x, point)| Some(dot(*x, point.difference()?)));
        numbered(number, named("difference", kind), dots.collect())
    };
    Chart {
        title: format!(
            "Bound minus AR's NLL against {}: below zero, the second model is better",
            short(key)
        ),
        x_title: key.to_owned(),
        y_title: "difference, nats per token",
        lines: kinds.iter().enumerate().map(line).collect(),
        level: Some((0.0, "no difference")),
        rising: Spacing::Even,
    }
}

fn epochs(key: &str, kinds: &[String], of_kind: &OfKind<'_>) -> Chart {
    let mut lines = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let points = of_kind(kind);
        for (shift, name, of) in [
            (
                0,
                "curve crossover",
                (|races| &races.curve) as fn(&Races) -> &_,
            ),
            (1, "envelope crossover", |races| &races.envelope),
        ] {
            let dots = points.iter().filter_map(|(x, point)| {
                let epoch = of(point.races()?).epoch?;
                Some(dot(*x, (epoch.mean, epoch.se)))
            });
            lines.push(numbered(
                2 * number + shift,
                named(name, kind),
                dots.collect(),
            ));
        }
    }
    Chart {
        title: format!("Epoch of the crossovers against {}", short(key)),
        x_title: key.to_owned(),
        y_title: "epoch",
        lines,
        level: None,
        rising: Spacing::Even,
    }
}

fn envelopes(findings: &Findings, figures: &mut Vec<Figure>) -> String {
    let sentences: String = findings
        .envelopes
        .iter()
        .map(|envelope| format!("<li>{}</li>", page::with_code(&envelope.sentence())))
        .collect();
    let head = [
        "",
        "second model",
        "AR, any budget",
        "equal tokens",
        "equal FLOPs",
        "equal time",
    ];
    let loss = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), numbers::loss);
    let cells = |envelope: &super::Envelope| {
        let fair = envelope.fair;
        vec![
            numbers::loss(fair.second),
            numbers::loss(fair.any),
            loss(fair.tokens),
            loss(fair.flops),
            loss(fair.seconds),
        ]
    };
    let name = |envelope: &super::Envelope| match envelope.among.is_empty() {
        true => format!("seed {}", envelope.seed),
        false => format!("{}, seed {}", envelope.among, envelope.seed),
    };
    let rows: Vec<tables::Row> = findings
        .envelopes
        .iter()
        .map(|envelope| tables::row(name(envelope), cells(envelope)))
        .collect();
    let mut csv = String::from("group,second,ar_any,ar_tokens,ar_flops,ar_seconds\n");
    for envelope in &findings.envelopes {
        let fair = envelope.fair;
        let budgets = [Some(fair.any), fair.tokens, fair.flops, fair.seconds]
            .map(|value| value.map(|value| value.to_string()).unwrap_or_default());
        let _ = writeln!(
            csv,
            "{},{},{}",
            cell(&name(envelope)),
            fair.second,
            budgets.join(",")
        );
    }
    figures.push(Figure {
        name: "fair-ar".to_owned(),
        svg: String::new(),
        csv,
    });
    format!(
        "<p>The regularised envelope, the strongest of the three crossovers: the bound against the best AR of any \
         regularisation tried here, on the same data and with the same shape. Its standard error counts both as independent, \
         which is rather too large.</p><ul>{sentences}</ul>{}",
        tables::table(
            "figures",
            "Lowest validation loss, nats per token: the diffusion model's, and AR's of all that were tried, within what the \
             diffusion model had spent at its best.",
            &head,
            &rows,
        )
    )
}

fn laws(findings: &Findings, figures: &mut Vec<Figure>) -> String {
    let laws = &findings.laws;
    let mut html = String::from(
        "<p><b>Extrapolations.</b> What a law says beyond the runs below it is a guess, however narrow its interval. Brackets: \
         the middle 90 % of 200 fits to runs drawn with replacement.</p>",
    );
    if let Some(law) = &laws.critical {
        let _ = write!(
            html,
            "<h3>Critical compute</h3><p>FLOPs at which diffusion passes AR's best: {} · U^{}, from {} (published for 25 to \
             100 million tokens: 2.12e15 (U / 10⁶)^2.174). For a million unique tokens that is {}.</p>",
            interval(law.factor, numbers::flops),
            interval(law.exponents[0], figure),
            numbers::counted(law.points, "crossover"),
            interval(law.at(&[1e6]), numbers::flops)
        );
        html.push_str(&drawn(
            &critical_chart(findings),
            "critical compute",
            figures,
        ));
    }
    if laws.has_passed() {
        html.push_str(&passings(findings, figures));
    }
    if let Some(law) = &laws.onset {
        let _ = write!(
            html,
            "<h3>Overfitting onset of masked diffusion</h3><p>Epochs at its lowest loss: {} · U^{} · N^{}, from {} that rose \
             after it (published: 27 · 254.35 U^0.39 N^−0.55; an exponent without brackets width was not varied here).</p>",
            interval(law.factor, figure),
            interval(law.exponents[0], figure),
            interval(law.exponents[1], figure),
            numbers::counted(law.points, "run")
        );
    }
    for fitted in &laws.data {
        html.push_str(&data_law(fitted, figures));
    }
    html
}

/// When the envelope was crossed, and when laws of critical compute have it, point by point.
fn passings(findings: &Findings, figures: &mut Vec<Figure>) -> String {
    let rows: Vec<tables::Row> = findings
        .laws
        .passings
        .iter()
        .map(|passing| {
            let crossed = passing.epochs.iter().flatten();
            let measured: Vec<String> = crossed.map(|epoch| numbers::short(*epoch)).collect();
            let measured = match measured.is_empty() {
                true => "no".to_owned(),
                false => measured.join(", "),
            };
            let fitted = passing
                .fitted
                .map(|fitted| interval(fitted, numbers::short));
            let cells = vec![
                numbers::count(passing.unique),
                numbers::count(passing.parameters),
                numbers::short(passing.trained),
                format!(
                    "{} of {}",
                    passing.epochs.iter().flatten().count(),
                    passing.epochs.len()
                ),
                measured,
                fitted.unwrap_or_default(),
                numbers::short(passing.published),
            ];
            tables::row(passing.point.clone(), cells)
        })
        .collect();
    let head = [
        "",
        "unique tokens",
        "parameters",
        "epochs trained",
        "seeds that crossed",
        "at epochs",
        "fitted law",
        "published law",
    ];
    let table = tables::table(
        "figures",
        "Epoch of the envelope crossover of every race. The laws are those of critical compute, as passes over a point's \
         unique tokens by a model of its size.",
        &head,
        &rows,
    );
    let chart = passing_chart(&findings.laws.passings);
    format!(
        "<h3>When diffusion passes AR's best</h3>{table}{}",
        drawn(&chart, "epoch of the envelope crossover", figures)
    )
}

/// The epoch of the envelope crossover against unique tokens: a line for each size, the laws of critical compute dashed.
/// A point that some seed didn't cross at has no epoch.
fn passing_chart(passings: &[Passing]) -> Chart {
    let mut sizes: Vec<f64> = passings.iter().map(|passing| passing.parameters).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let mut lines = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let of_size = || {
            passings
                .iter()
                .filter(move |passing| passing.parameters == *size)
        };
        let name = format!("N = {}", numbers::count(*size));
        let measured = of_size().filter_map(|passing| {
            let epoch = passing.epoch()?;
            Some(dot(passing.unique, (epoch.mean, epoch.se)))
        });
        lines.push(numbered(number, name.clone(), measured.collect()));
        let law = |what: &str, dash, dots| Line {
            mark: None,
            dash: Some(dash),
            ..numbered(number, format!("{name}, {what}"), dots)
        };
        let fitted = of_size()
            .filter_map(|passing| Some(dot(passing.unique, (passing.fitted?.value, None))));
        lines.push(law("fitted", "7 4", fitted.collect()));
        let published = of_size().map(|passing| dot(passing.unique, (passing.published, None)));
        lines.push(law("published, extrapolated", "3 4", published.collect()));
    }
    Chart {
        title: "Epoch of the envelope crossover against unique tokens".to_owned(),
        x_title: "unique tokens".to_owned(),
        y_title: "epoch",
        lines,
        level: None,
        rising: Spacing::Magnitudes,
    }
}

fn data_law(fitted: &FittedData, figures: &mut Vec<Figure>) -> String {
    let law = &fitted.law;
    let look = racer(fitted.objective);
    let (form, repeats) = match law.repetition {
        Repetition::Muennighoff => (
            "Muennighoff's form, lowest loss so far",
            "repeats count up to R",
        ),
        Repetition::Quokka => (
            "Quokka's form",
            "p, on average over budgets; its loss turns after 27 p epochs",
        ),
    };
    let mut budgets: Vec<f64> = fitted.seen.iter().map(|seen| seen.unique).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    let mut lines = Vec::new();
    for (number, unique) in budgets.iter().enumerate() {
        let of_budget = || fitted.seen.iter().filter(|seen| seen.unique == *unique);
        let measured = of_budget().map(|seen| dot(seen.epochs, (seen.nats, None)));
        let looks = series(number);
        lines.push(Line {
            joined: false,
            ..numbered(
                number,
                format!("U = {}, measured", numbers::count(*unique)),
                measured.collect(),
            )
        });
        let (first, last) = of_budget().fold((f64::MAX, 0.0_f64), |(first, last), seen| {
            (first.min(seen.epochs), last.max(seen.epochs))
        });
        let along = (0..=40).map(|step| {
            let epochs = first * (last / first).powf(f64::from(step) / 40.0);
            dot(epochs, (law.at(*unique, epochs), None))
        });
        lines.push(Line {
            name: format!("U = {}, fitted", numbers::count(*unique)),
            class: looks.class,
            mark: None,
            dash: looks.dash,
            joined: true,
            dots: along.collect(),
        });
    }
    let chart = Chart {
        title: format!("{}: {form}", look.name),
        x_title: "epochs".to_owned(),
        y_title: "nats per token",
        lines,
        level: None,
        rising: Spacing::Even,
    };
    let name = format!("law {:?} {}", law.repetition, fitted.objective.name());
    format!(
        "{}<p>L = E + B / D'^β with E = {}, β = {}, {repeats}: {}{}. Residuals: {} nats/token (root mean square, {} losses).</p>",
        drawn(&chart, &name.to_lowercase(), figures),
        interval(law.irreducible, numbers::loss),
        interval(law.exponent, figure),
        interval(law.repeats, figure),
        match law.is_unlimited() {
            true => ", the largest that is looked for: these runs show no limit",
            false => "",
        },
        numbers::error(law.residual),
        law.points
    )
}

/// Crossovers, the fitted line and the published one, both axes by magnitudes.
fn critical_chart(findings: &Findings) -> Chart {
    let crossed = &findings.laws.crossed;
    let (low, high) = crossed
        .iter()
        .fold((f64::MAX, 0.0_f64), |(low, high), run| {
            (low.min(run.unique), high.max(run.unique))
        });
    let along = |of: &dyn Fn(f64) -> f64| -> Vec<Dot> {
        (0..=20)
            .map(|step| low / 1.5 * (high / low * 2.25).powf(f64::from(step) / 20.0))
            .map(|unique| dot(unique, (of(unique).log10(), None)))
            .collect()
    };
    let line = |number: usize, name: &str, mark, dots| Line {
        mark,
        joined: mark.is_none(),
        dash: (number == 2).then_some("3 4"),
        ..numbered(number, name.to_owned(), dots)
    };
    let measured = crossed
        .iter()
        .map(|run| dot(run.unique, (run.flops.log10(), None)));
    let law = findings.laws.critical.as_ref();
    Chart {
        title: "Compute at the envelope crossover against unique tokens".to_owned(),
        x_title: "unique tokens".to_owned(),
        y_title: "FLOPs, as a power of ten",
        lines: vec![
            line(0, "crossed", Some('■'), measured.collect()),
            line(
                1,
                "fitted",
                None,
                law.map_or_else(Vec::new, |law| along(&|unique| law.at(&[unique]).value)),
            ),
            line(
                2,
                "published, extrapolated",
                None,
                along(&critical::compute),
            ),
        ],
        level: None,
        rising: Spacing::Even,
    }
}

fn interval(fitted: Fitted, text: fn(f64) -> String) -> String {
    match fitted.low == fitted.high {
        true => text(fitted.value),
        false => format!(
            "{} [{}, {}]",
            text(fitted.value),
            text(fitted.low),
            text(fitted.high)
        ),
    }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let size = value.abs().log10().floor() as i32;
    let text = match size {
        -3..=5 => format!("{value:.*}", (2 - size).max(0) as usize),
        _ => format!("{value:.2e}"),
    };
    text.replacen('-', "−", usize::from(value < 0.0))
}

fn facts(sweep: &Sweep) -> String {
    let record = &sweep.record;
    let begun = || sweep.runs.iter().flatten();
    let mut list = vec![
        ("sweep", record.name.clone()),
        ("scale", record.scale.clone()),
        ("varied", record.axes.join(", ")),
        ("runs", record.runs.len().to_string()),
    ];
    if let Some(source) = begun().find_map(|swept| swept.run.config.provenance.as_ref()) {
        list.extend([
            ("crossover", source.version.clone()),
            ("commit", source.commit.clone()),
            ("device", source.device.clone()),
            ("processor", source.processor.clone()),
        ]);
    }
    let seconds: f64 = begun()
        .filter_map(super::Swept::outcome)
        .map(verdict::wall_seconds)
        .sum();
    list.push((
        "time of all runs",
        format!("{}, evaluation included", numbers::duration(seconds)),
    ));
    list.push(("folder", sweep.folder.clone()));
    tables::facts("", list)
}
